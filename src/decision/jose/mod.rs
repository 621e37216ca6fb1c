//! Strict JOSE: what a token and a proof have in common before either has a meaning.
//!
//! Proves: one compact serialisation, canonical base64url, JSON objects without duplicate members, a header without
//! extensions, a key of the right family, a good signature. Trusts nothing in the text. RFC 7515, 7517, 7518, 7638, 8037.

pub mod algorithm;
mod compact;
mod hash;
mod header;
mod json;
mod key;

pub use compact::{Compact, NotCompact, base64url, base64url_32, base64url_of, is_compact_shaped};
pub use hash::{sha256, sha256_of};
pub use header::{Header, HeaderMalformed};
pub use json::{Map, NotAnObject, NumericDate, Value, parse_object};
pub use key::{KeyDenial, PublicKey};
