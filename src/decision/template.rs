//! Path templates: literal segments and named parameters, matched on the exact bytes that Envoy routes on.
//!
//! A parameter takes one whole segment and is never empty. Request paths are canonical, so a parameter has one spelling.

use crate::decision::facts::{RawRequest, RequestFacts, octets};

/// A path with named parameters, one segment each: `/payments/{payment_id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter(String),
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix('/').ok_or("a path begins with `/`")?;
        let mut segments = Vec::new();
        for part in rest.split('/') {
            let segment = match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(name) if is_name(name) => Segment::Parameter(name.to_owned()),
                Some(name) => return Err(format!("`{name}` is no parameter name: use letters, digits and `_`")),
                None if part.starts_with(':') => {
                    return Err(format!("a parameter is written `{{{}}}`", part.trim_start_matches(':')));
                }
                None if part.contains(['{', '}']) => {
                    return Err("a parameter takes a whole segment: `/a/{b}`".to_owned());
                }
                None => Segment::Literal(part.to_owned()),
            };
            if segments.contains(&segment) && matches!(segment, Segment::Parameter(_)) {
                return Err(format!("the parameter `{part}` is named twice"));
            }
            segments.push(segment);
        }
        let template = Self { segments };
        let sample = template.sample();
        let raw = RawRequest { method: b"GET", host: b"a", path: sample.as_bytes(), ..Default::default() };
        if sample.contains('?') || RequestFacts::new("", &raw).is_err() {
            return Err("no request can have this path: it is not in canonical form".to_owned());
        }
        Ok(template)
    }

    /// The names of its parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }

    /// Whether it has no parameter.
    #[must_use]
    pub(super) fn is_exact(&self) -> bool {
        self.parameters().next().is_none()
    }

    /// How many segments it has.
    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// A path that matches; the only one, if it is exact.
    pub(super) fn sample(&self) -> String {
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            path.push_str(match segment {
                Segment::Literal(text) => text,
                Segment::Parameter(_) => "x",
            });
        }
        path
    }

    /// Whether some path matches both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|pair| match pair {
                (Segment::Literal(one), Segment::Literal(two)) => one == two,
                (Segment::Literal(text), Segment::Parameter(_)) | (Segment::Parameter(_), Segment::Literal(text)) => {
                    !text.is_empty()
                }
                (Segment::Parameter(_), Segment::Parameter(_)) => true,
            })
    }

    /// Whether both match exactly the same paths.
    pub(super) fn same_shape(&self, other: &Self) -> bool {
        self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|pair| match pair {
                (Segment::Literal(one), Segment::Literal(two)) => one == two,
                (Segment::Parameter(_), Segment::Parameter(_)) => true,
                (Segment::Literal(_), Segment::Parameter(_)) | (Segment::Parameter(_), Segment::Literal(_)) => false,
            })
    }

    /// Whether the segments of a path are those of the template, as far as its literals say. Nothing is decoded for a path that is
    /// another one anyway.
    fn fits(&self, parts: &[&str]) -> bool {
        self.segments.len() == parts.len()
            && self.segments.iter().zip(parts).all(|(segment, part)| match segment {
                Segment::Literal(text) => text == part,
                Segment::Parameter(_) => !part.is_empty(),
            })
    }

    /// The parameters' values, percent-decoded; `None` if the path does not match.
    pub(super) fn matches<'t>(&'t self, parts: &[&str]) -> Option<Vec<(&'t str, String)>> {
        if !self.fits(parts) {
            return None;
        }
        let mut values = Vec::new();
        for (segment, part) in self.segments.iter().zip(parts) {
            if let Segment::Parameter(name) = segment {
                values.push((name.as_str(), decoded(part).filter(|value| !value.is_empty())?));
            }
        }
        Some(values)
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// Percent-decoded UTF-8; the path is canonical, so every value has one spelling but for the case of hexadecimal digits and
/// for characters that need no escape where they stand.
fn decoded(part: &str) -> Option<String> {
    String::from_utf8(octets(part)?).ok()
}
