//! Every bound on what a caller controls, with where the number comes from.

/// Method length. The longest registered one (RFC 9110, IANA) has 17 characters.
pub const METHOD_BYTES: usize = 32;
/// Authority length: a DNS name has at most 253 characters (RFC 1035 §2.3.4), and a port.
pub const AUTHORITY_BYTES: usize = 260;
/// Path and query. Envoy's default header block is 60 KiB; servers commonly stop at 8 KiB.
pub const TARGET_BYTES: usize = 8 * 1024;
/// `X-Request-Id`, which only names the request in logs. Envoy's own has 36 characters.
pub const REQUEST_ID_BYTES: usize = 128;
/// Segments of a path; bounds routing work.
pub const PATH_SEGMENTS: usize = 64;
/// Header fields of a request. Envoy's default is 100 (`max_headers_count`), its usual raised value 200.
pub const HEADERS: usize = 256;
/// All header names and values together. Envoy's default is 60 KiB (`max_request_headers_kb`).
pub const HEADER_BYTES: usize = 256 * 1024;
/// An access token. Tokens with many groups reach 8 KiB.
pub const TOKEN_BYTES: usize = 16 * 1024;
/// What an authorization server answers about a token (RFC 7662 §2.2): four times what the claims of the largest JWT can be.
pub const INTROSPECTION_BYTES: usize = 64 * 1024;
/// A DPoP proof: two RSA-8192 numbers and a long `htu` stay below this.
pub const PROOF_BYTES: usize = 8 * 1024;
/// A security event token (RFC 8417): one event about one subject stays far below it.
pub const SET_BYTES: usize = 64 * 1024;
/// The URI of a status list. Long ones have some hundred characters.
pub const STATUS_URI_BYTES: usize = 2 * 1024;
/// Nesting of JSON in a token or a proof. Real ones have 3 or 4 levels.
pub const JSON_DEPTH: usize = 8;
/// Members and elements, all levels together, in one JSON text of a token or proof.
pub const JSON_NODES: usize = 2048;
/// `kid`, compared as text; a certificate thumbprint or a UUID is common.
pub const KID_BYTES: usize = 256;
/// `jti` of a proof. RFC 9449 §11.1: a server should refuse ones that are unreasonably long.
pub const JTI_BYTES: usize = 256;
/// `htu`: as long as the target it names, and an origin.
pub const HTU_BYTES: usize = TARGET_BYTES + 512;
/// `nonce` of a proof; ours have 54 characters.
pub const NONCE_BYTES: usize = 256;
/// Identifiers from a token that are carried on: `client_id`, `sub`, `jti`.
pub const IDENTIFIER_BYTES: usize = 512;
/// Scopes of one token.
pub const SCOPES: usize = 512;
/// Audiences of one token.
pub const AUDIENCES: usize = 64;
/// Keys of one issuer that one token may be tried with, when several fit (RFC 7517 §5).
pub const KEY_TRIES: usize = 4;
/// Keys of one key set.
pub const KEYS: usize = 128;
/// RSA modulus, bits (FAPI 2.0 §5.4.1 sets the lower bound; the upper one bounds the work).
pub const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=8192;
/// A NumericDate beyond the year 9999 is not a date.
pub const NUMERIC_DATE: i64 = 253_402_300_799;
/// With nonces the nonce judges time; `iat` may then be this far off, in seconds, either way (conformance §1).
pub const NONCE_IAT_WINDOW_SECONDS: i64 = 300;
