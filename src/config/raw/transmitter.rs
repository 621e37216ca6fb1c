//! `revocations.transmitters`: whose security events are taken, as it is written.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AlgorithmName, Keys};
use crate::decision::security_event::EventKind;

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Transmitter {
    /// As logs, metrics and entries (`ssf:NAME`) name it: 1 to 32 of `a-z`, `0-9` and `-`, unique.
    pub name: String,
    /// The `iss` value of its events, compared exactly: an https URL without query or fragment; each transmitter has its own.
    pub issuer: String,
    /// The `aud` value that means this receiver, compared exactly: what was agreed when the stream was made.
    pub audience: String,
    /// Where its keys come from: exactly one of `file`, `url` and `discovery: true` (`/.well-known/ssf-configuration`). They are its own:
    /// where it is an issuer of tokens too, no key of its tokens signs its events.
    pub keys: Keys,
    /// Signature algorithms of its events, whatever `profile` says of tokens. If absent: RS256, PS256, ES256, `EdDSA` and Ed25519.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub algorithms: Option<Vec<AlgorithmName>>,
    /// Issuers of `issuers` of whose tokens it may revoke some, at least one; it is refused (`access_denied`) for any other.
    #[schemars(length(min = 1))]
    pub may_revoke_for: Vec<String>,
    /// Events that revoke, where they tell of a change for the worse; all others are counted and logged, and nothing more. If absent:
    /// session-revoked, credential-change, token-claims-change and account-disabled.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub events: Option<Vec<EventName>>,
    /// Its events are fetched (RFC 8936) and not pushed. It needs no `listeners.events`, and what it pushes all the same is refused.
    #[serde(default)]
    pub poll: Option<Poll>,
    /// A file with the whole value of the `Authorization` header that it must send beside the signature, 16 to 1024 characters; none is
    /// asked for if absent. Read again when it changes. Not with `poll`, which has its own.
    #[serde(default)]
    pub authorization_file: Option<PathBuf>,
    /// The issuer, one of `may_revoke_for`, whose `sub` it means by a subject that is an opaque id alone, and whose `sid` by a session
    /// without a user. If absent, such events revoke nothing, and are told of as errors.
    #[serde(default)]
    pub opaque_subjects_of: Option<String>,
    /// Whether plain http to a loopback host is allowed, for this issuer and its keys. For laboratories.
    #[serde(default)]
    pub allow_loopback_http: bool,
}

/// How events are fetched.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Poll {
    /// The https URL that the transmitter gave for it (`endpoint_url` of the stream's delivery).
    pub url: String,
    /// A file with the whole value of the `Authorization` header that is sent, 16 to 1024 characters (`Bearer …`). Read for every poll.
    pub authorization_file: PathBuf,
    /// Between two polls, in seconds: an event is in force that much later at most.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 300))]
    pub every_seconds: u64,
}

fn two() -> u64 {
    2
}

/// An event by the end of its URI.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct EventName(pub EventKind);

impl<'de> Deserialize<'de> for EventName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = EventKind::REVOKING.into_iter().find(|kind| kind.name() == name);
        known.map(Self).ok_or_else(|| D::Error::custom("unknown event"))
    }
}

impl Serialize for EventName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl JsonSchema for EventName {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Event")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": EventKind::REVOKING.map(EventKind::name) })
    }
}
