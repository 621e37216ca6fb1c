//! From the bytes of a CheckRequest to [`RawRequest`], which borrows them; whatever cannot be read is a denial, never a gRPC error:
//! that obeys the mesh's `failure_mode_allow`, a denial never does.
//!
//! The message is read here and not by a decoder, which would make a value of every field, a hundred bytes of an empty one. What a field
//! means is protobuf's: the last of two values counts, two messages are one, and what is unknown is skipped. Stricter than that: all
//! headers of one name are kept, and a field that is known and has another wire type is refused.

use prost::bytes::Buf as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::decision::denial::Denial;
use crate::decision::facts::RawRequest;
use crate::decision::limits;

/// The `context_extensions` key with which a route may say which API it is for.
const API_HINT: &[u8] = b"api";

/// Fields that are looked at: a header is up to four, and four times as many as we take may come to be refused with their own denial.
const FIELDS: usize = limits::HEADERS * 16;

/// Headers that there is room for at once; most requests have fewer.
const USUAL_HEADERS: usize = 32;

/// Reads a CheckRequest.
///
/// # Errors
/// `request_malformed`: no protobuf, no HTTP request in it, both header forms at once, or a header value given twice;
/// `request_limit_exceeded`: more fields than any request needs; `request_header_repeated`: two words for the API.
pub fn read(message: &[u8]) -> Result<RawRequest<'_>, Denial> {
    let mut reader = Reader { left: FIELDS, ..Reader::default() };
    reader.raw.headers.reserve(USUAL_HEADERS);
    reader.check_request(message)?;
    reader.finish()
}

/// What has been read so far. Each method reads one message, named by its field numbers in `proto/`.
#[derive(Default)]
struct Reader<'a> {
    raw: RawRequest<'a>,
    left: usize,
    has_http: bool,
    /// `headers` had an entry.
    has_map: bool,
    /// `header_map` was there, empty or not.
    has_list: bool,
    hints: usize,
}

impl<'a> Reader<'a> {
    fn check_request(&mut self, message: &'a [u8]) -> Result<(), Denial> {
        self.each(message, &[1], |reader, _, attributes| reader.attributes(attributes))
    }

    fn attributes(&mut self, message: &'a [u8]) -> Result<(), Denial> {
        self.each(message, &[1, 4, 10], |reader, field, content| match field {
            1 => reader.source(content),
            4 => reader.each(content, &[2], |reader, _, http| reader.http(http)),
            _ => {
                let (key, value) = reader.entry(content)?;
                if key == API_HINT {
                    reader.hints = reader.hints.saturating_add(1);
                    reader.raw.api_hint = Some(value);
                }
                Ok(())
            }
        })
    }

    fn source(&mut self, message: &'a [u8]) -> Result<(), Denial> {
        self.each(message, &[1, 4, 5], |reader, field, content| {
            match field {
                1 => {
                    return reader.each(content, &[1], |reader, _, socket| {
                        reader.each(socket, &[2], |reader, _, address| {
                            reader.raw.peer_address = address;
                            Ok(())
                        })
                    });
                }
                4 => reader.raw.peer_principal = content,
                _ => reader.raw.peer_certificate = content,
            }
            Ok(())
        })
    }

    fn http(&mut self, message: &'a [u8]) -> Result<(), Denial> {
        self.has_http = true;
        self.each(message, &[2, 3, 4, 5, 7, 8, 13], |reader, field, content| {
            match field {
                2 => reader.raw.method = content,
                3 => {
                    reader.has_map = true;
                    let entry = reader.entry(content)?;
                    reader.raw.headers.push(entry);
                }
                4 => reader.raw.path = content,
                5 => reader.raw.host = content,
                7 => reader.raw.query = content,
                8 => reader.raw.fragment = content,
                _ => {
                    reader.has_list = true;
                    return reader.each(content, &[1], |reader, _, header| reader.header(header));
                }
            }
            Ok(())
        })
    }

    /// An entry of a map.
    fn entry(&mut self, message: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Denial> {
        let (mut key, mut value): (&[u8], &[u8]) = Default::default();
        self.each(message, &[1, 2], |_, field, content| {
            *(if field == 1 { &mut key } else { &mut value }) = content;
            Ok(())
        })?;
        Ok((key, value))
    }

    /// A header of the list: its value is text or raw, never both.
    fn header(&mut self, message: &'a [u8]) -> Result<(), Denial> {
        let (mut key, mut value, mut raw_value): (&[u8], &[u8], &[u8]) = Default::default();
        self.each(message, &[1, 2, 3], |_, field, content| {
            match field {
                1 => key = content,
                2 => value = content,
                _ => raw_value = content,
            }
            Ok(())
        })?;
        if !value.is_empty() && !raw_value.is_empty() {
            return Err(Denial::RequestMalformed);
        }
        self.raw.headers.push((key, if value.is_empty() { raw_value } else { value }));
        Ok(())
    }

    /// Reads the fields of one message: `take` is given those that are known, which all have a length; the others are skipped. All are
    /// counted.
    fn each(
        &mut self,
        mut message: &'a [u8],
        known: &[u32],
        mut take: impl FnMut(&mut Self, u32, &'a [u8]) -> Result<(), Denial>,
    ) -> Result<(), Denial> {
        while !message.is_empty() {
            self.left = self.left.checked_sub(1).ok_or(Denial::RequestLimitExceeded)?;
            let (number, kind) = decode_key(&mut message).map_err(|_| Denial::RequestMalformed)?;
            if !known.contains(&number) {
                let context = DecodeContext::default();
                skip_field(kind, number, &mut message, context).map_err(|_| Denial::RequestMalformed)?;
                continue;
            }
            if kind != WireType::LengthDelimited {
                return Err(Denial::RequestMalformed);
            }
            let length = decode_varint(&mut message).ok().and_then(|length| usize::try_from(length).ok());
            let content = length.and_then(|length| message.get(..length)).ok_or(Denial::RequestMalformed)?;
            message.advance(content.len());
            take(self, number, content)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<RawRequest<'a>, Denial> {
        // Envoy fills one of the two forms, `header_map` with `encode_raw_headers`; both at once could disagree.
        if !self.has_http || (self.has_map && self.has_list) {
            return Err(Denial::RequestMalformed);
        }
        if self.hints > 1 { Err(Denial::RequestHeaderRepeated) } else { Ok(self.raw) }
    }
}

#[cfg(test)]
mod tests;
