//! The changes that do no harm, each with why.

use super::change::{Change, Part, bytes_of};
use crate::support::Request;

/// Name and reason.
pub const HARMLESS: &[(&str, &str)] = &[
    ("unread", "the header is not read: nothing that it says can matter"),
    ("case-of-host", "hosts have no case (RFC 3986 §3.2.2); the inventory's spelling is what counts"),
    ("case-of-scheme", "authentication schemes have no case (RFC 9110 §11.1)"),
    (
        "space-around-credential",
        "white space around a field value is not part of it (RFC 9110 §5.5), and 1*SP stands after the scheme",
    ),
    ("order", "fields of different names have no order (RFC 9110 §5.3)"),
    ("case-of-name", "field names have no case (RFC 9110 §5.1)"),
    ("same-name", "there is no hyphen in it to replace"),
    (
        "another-item",
        "a certificate vouches for the connection, not for one path (RFC 8705 §3): it is another good request",
    ),
    ("case-of-key", "keys of `x-forwarded-client-cert` have no case"),
    ("case-of-escape", "the digits of an escape have no case (RFC 3986 §2.1)"),
    ("same-element", "of several elements of `x-forwarded-client-cert` the last counts, and it is the same"),
    ("case-of-hash", "hexadecimal digits have no case"),
    ("query", "a query is no part of what is routed, and `htu` has none (RFC 9449 §4.3)"),
];

/// The list, applied.
pub struct Harmless;

impl Harmless {
    /// The name on the list, if the change is on it.
    pub fn of(request: &Request, part: &Part, change: &Change, changed: &Request) -> Option<&'static str> {
        match part {
            Part::Value(_, name) | Part::Header(_, name) if unread(name) => Some("unread"),
            Part::Authority => {
                let same = request.authority.eq_ignore_ascii_case(&changed.authority);
                same.then_some("case-of-host")
            }
            Part::Path => of_path(request, changed),
            Part::Value(_, name) if name == XFCC => of_xfcc(request, part, change),
            Part::Header(_, name) if name == XFCC && *change == Change::Double => Some("same-element"),
            Part::Certificate => of_escape(&bytes_of(request, part), change),
            Part::Value(_, name) if name == "authorization" => of_credential(request, part, change),
            Part::Header(_, name) => of_header(name, change),
            Part::Method | Part::Value(..) => None,
        }
    }
}

const XFCC: &str = "x-forwarded-client-cert";

fn of_path(request: &Request, changed: &Request) -> Option<&'static str> {
    if changed.path.strip_prefix(&request.path).is_some_and(|rest| rest == "?") {
        return Some("query");
    }
    // A proof names the path.
    let proven = request.headers.iter().any(|(name, _)| name == "dpop");
    let item = changed.path.strip_prefix("/items/").filter(|item| !item.is_empty() && !proven)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b",=.".contains(&byte);
    item.bytes().all(plain).then_some("another-item")
}

fn of_xfcc(request: &Request, part: &Part, change: &Change) -> Option<&'static str> {
    let value = bytes_of(request, part);
    let Change::Replace(at, other) = change else { return None };
    let same = value[*at].eq_ignore_ascii_case(other);
    let key = value.iter().position(|byte| *byte == b'=').expect("a key");
    match at {
        at if *at < key => same.then_some("case-of-key"),
        _ if value.starts_with(b"Hash=") => same.then_some("case-of-hash"),
        _ => of_escape(&value, change),
    }
}

/// The case of a digit after `%`.
fn of_escape(value: &[u8], change: &Change) -> Option<&'static str> {
    let Change::Replace(at, other) = change else { return None };
    let escape = |back: usize| at.checked_sub(back).is_some_and(|at| value[at] == b'%');
    ((escape(1) || escape(2)) && value[*at].eq_ignore_ascii_case(other)).then_some("case-of-escape")
}

fn unread(name: &str) -> bool {
    name == "accept"
}

fn of_header(name: &str, change: &Change) -> Option<&'static str> {
    match change {
        Change::MoveToEnd => Some("order"),
        Change::Capitals => Some("case-of-name"),
        Change::Underscores if !name.contains('-') => Some("same-name"),
        _ => None,
    }
}

fn of_credential(request: &Request, part: &Part, change: &Change) -> Option<&'static str> {
    let value = bytes_of(request, part);
    let scheme = value.iter().position(|byte| *byte == b' ').expect("a scheme");
    match change {
        Change::Replace(at, other) if *at < scheme => {
            value[*at].eq_ignore_ascii_case(other).then_some("case-of-scheme")
        }
        Change::Insert(at, b' ') if *at == 0 || *at == scheme || *at == scheme + 1 || *at == value.len() => {
            Some("space-around-credential")
        }
        _ => None,
    }
}
