//! The parts of a request, and every single change to one.

use std::fmt;

use crate::support::Request;
use crate::support::wire::http_of;

/// A part that a change is made to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Method,
    Authority,
    Path,
    /// The value of the header with this index.
    Value(usize, String),
    /// The header with this index, as a whole.
    Header(usize, String),
    /// `source.certificate`.
    Certificate,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("method"),
            Self::Authority => f.write_str("authority"),
            Self::Path => f.write_str("path"),
            Self::Value(_, name) => write!(f, "value of `{name}`"),
            Self::Header(_, name) => write!(f, "header `{name}`"),
            Self::Certificate => f.write_str("certificate"),
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The byte at this place becomes this one.
    Replace(usize, u8),
    /// The byte at this place is left out.
    Remove(usize),
    /// This byte is put before the one at this place, or at the end.
    Insert(usize, u8),
    /// The header is not there.
    Drop,
    /// The header is there twice.
    Double,
    /// The header is the last one.
    MoveToEnd,
    /// The header's name in capitals.
    Capitals,
    /// The header's name with underscores.
    Underscores,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replace(at, byte) => write!(f, "byte {at} replaced by {:?}", char::from(*byte)),
            Self::Remove(at) => write!(f, "byte {at} left out"),
            Self::Insert(at, byte) => write!(f, "{:?} put before byte {at}", char::from(*byte)),
            Self::Drop => f.write_str("left out"),
            Self::Double => f.write_str("there twice"),
            Self::MoveToEnd => f.write_str("moved to the end"),
            Self::Capitals => f.write_str("named in capitals"),
            Self::Underscores => f.write_str("named with underscores"),
        }
    }
}

/// Every part of a request.
pub fn parts(request: &Request) -> Vec<Part> {
    let mut parts = vec![Part::Method, Part::Authority, Part::Path];
    for (index, (name, _)) in request.headers.iter().enumerate() {
        parts.push(Part::Value(index, name.clone()));
        parts.push(Part::Header(index, name.clone()));
    }
    if request.certificate.is_some() {
        parts.push(Part::Certificate);
    }
    parts
}

/// The bytes of a part.
pub fn bytes_of(request: &Request, part: &Part) -> Vec<u8> {
    match part {
        Part::Method => request.method.clone().into_bytes(),
        Part::Authority => request.authority.clone().into_bytes(),
        Part::Path => request.path.clone().into_bytes(),
        Part::Value(index, _) => request.headers[*index].1.clone(),
        Part::Header(_, name) => name.clone().into_bytes(),
        Part::Certificate => request.certificate.map(crate::support::Leaf::encoded).unwrap_or_default().into_bytes(),
    }
}

impl Change {
    /// Every change to a part that leaves text where Envoy sends text.
    pub fn all(request: &Request, part: &Part) -> Vec<Self> {
        if matches!(part, Part::Header(..)) {
            return vec![Self::Drop, Self::Double, Self::MoveToEnd, Self::Capitals, Self::Underscores];
        }
        let bytes = bytes_of(request, part);
        let any_byte = matches!(part, Part::Value(..));
        let mut changes = Vec::new();
        for (at, byte) in bytes.iter().copied().enumerate() {
            // The lowest bit, the case, the case of the bits above, another alphabet.
            for other in [byte ^ 1, byte ^ 0x20, byte ^ 0x40, byte ^ 4, b' ', 0] {
                if other != byte && (any_byte || other.is_ascii()) {
                    changes.push(Self::Replace(at, other));
                }
            }
            if any_byte {
                changes.push(Self::Replace(at, byte ^ 0x80));
            }
            changes.push(Self::Remove(at));
            // The byte again is one more of it.
            for more in [byte, b'A', b' ', b',', b'='] {
                changes.push(Self::Insert(at, more));
            }
        }
        for more in [b'A', b' ', b',', b';', b'=', b'.', b'/', b'?', b'#', 0] {
            changes.push(Self::Insert(bytes.len(), more));
        }
        changes
    }

    /// The request with this change to this part.
    pub fn apply(&self, request: &Request, part: &Part) -> Request {
        let mut changed = request.clone();
        if let Part::Header(index, _) = part {
            self.to_header(&mut changed, *index);
            return changed;
        }
        let bytes = self.to_bytes(bytes_of(request, part));
        let text = || String::from_utf8(bytes.clone()).expect("text stays text");
        match part {
            Part::Method => changed.method = text(),
            Part::Authority => changed.authority = text(),
            Part::Path => changed.path = text(),
            Part::Value(index, _) => changed.headers[*index].1 = bytes,
            Part::Header(..) => unreachable!("changed above"),
            Part::Certificate => {
                let text = text();
                changed.edit_message = Some(std::sync::Arc::new(move |message| {
                    // The request itself stays.
                    assert!(!http_of(message).method.is_empty());
                    let source = message.attributes.as_mut().and_then(|attributes| attributes.source.as_mut());
                    source.expect("a source").certificate.clone_from(&text);
                }));
            }
        }
        changed
    }

    fn to_bytes(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Replace(at, byte) => bytes[*at] = *byte,
            Self::Remove(at) => {
                bytes.remove(*at);
            }
            Self::Insert(at, byte) => bytes.insert(*at, *byte),
            other => panic!("{other} is for headers"),
        }
        bytes
    }

    fn to_header(&self, request: &mut Request, index: usize) {
        let header = request.headers[index].clone();
        match self {
            Self::Drop => {
                request.headers.remove(index);
            }
            Self::Double => request.headers.insert(index, header),
            Self::MoveToEnd => {
                request.headers.remove(index);
                request.headers.push(header);
            }
            Self::Capitals => request.headers[index].0 = header.0.to_ascii_uppercase(),
            Self::Underscores => request.headers[index].0 = header.0.replace('-', "_"),
            other => panic!("{other} is for bytes"),
        }
    }
}
