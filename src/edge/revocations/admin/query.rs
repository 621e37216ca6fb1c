//! Which entries a caller wants to see: read strictly, so that a typing error is no list of all.

use http::StatusCode;

use super::problem::Problem;
use crate::config::Url;
use crate::decision::revocation::{EntryId, Kind};

/// Entries of one page, at most and unless asked otherwise.
const PAGE: (usize, usize) = (1_000, 100);

/// Which entries are asked for.
pub struct Query {
    pub kind: Option<Kind>,
    pub issuer: Option<String>,
    pub after: Option<EntryId>,
    pub limit: usize,
}

impl Query {
    pub fn of(text: &str) -> Result<Self, Problem> {
        let wrong = |what: String, remedy: String| Problem::new(StatusCode::BAD_REQUEST, what, remedy);
        let mut query = Self { kind: None, issuer: None, after: None, limit: PAGE.1 };
        let url = Url::parse(&format!("http://keybound/?{text}"));
        let url = url.map_err(|_| wrong("this query cannot be read".to_owned(), "write name=value&…".to_owned()))?;
        let mut seen = Vec::new();
        for (name, value) in url.query_pairs() {
            if seen.contains(&name) {
                return Err(wrong(format!("`{name}` is here twice"), "keep one".to_owned()));
            }
            let known = match name.as_ref() {
                "kind" => Kind::ALL.into_iter().find(|kind| kind.name() == value).map(|kind| query.kind = Some(kind)),
                "issuer" => {
                    query.issuer = Some(value.into_owned());
                    Some(())
                }
                "after" => EntryId::parse(&value).map(|after| query.after = Some(after)),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=PAGE.0).contains(limit));
                    limit.map(|limit| query.limit = limit)
                }
                _ => None,
            };
            if known.is_none() {
                let remedy = format!(
                    "kind: one of {}; issuer: its URL; after: an id; limit: 1 to {}",
                    Kind::ALL.map(Kind::name).join(", "),
                    PAGE.0
                );
                return Err(wrong(format!("`{name}` is unknown, or its value is none"), remedy));
            }
            seen.push(name);
        }
        Ok(query)
    }
}
