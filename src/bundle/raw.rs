//! `apis.yaml` and `clients.yaml` as they are written: one struct per section, one doc comment per key.
//!
//! The JSON Schemas are derived from them; the check of a file's shape, editors and the tables in `docs/policies.md` all
//! go by those. What a type cannot say is checked in `apis` and `clients`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::decision::denial::Class;
use crate::decision::leniency::Waiver;
use crate::decision::route::{ProofDemand, Sensitivity};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "apis.yaml")]
pub(super) struct ApisFile {
    /// The inventory: what is not declared here is denied.
    #[schemars(length(min = 1))]
    pub apis: Vec<Api>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Api {
    /// Its name: 1 to 64 of `a-z`, `0-9`, `-`, unique; `Api::"…"` in Cedar.
    pub id: String,
    /// Who answers for it; `resource.owner` in Cedar.
    pub owner: String,
    /// How much harm a wrong allow does; `resource.sensitivity` in Cedar.
    pub sensitivity: Level,
    /// Request host → public origin, `https://host` with an optional port: what clients put into their proofs (`htu`,
    /// RFC 9449 §4.3). The request host is what Envoy routes on, lower case, without port. APIs that share an origin have
    /// the same hosts for it: a proof for one would be good for the other at a host that it alone has.
    #[schemars(extend("minProperties" = 1))]
    pub hosts: BTreeMap<String, String>,
    /// Issuers whose tokens it accepts, at least one; each configured in `keybound.yaml`.
    #[schemars(length(min = 1))]
    pub issuers: Vec<String>,
    /// Audiences that a token for it may name; narrows those of its issuers. All of theirs if absent.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub audiences: Option<Vec<String>>,
    /// Whether an issuer is asked about tokens (RFC 7662); if absent, nobody is, and opaque tokens are refused.
    #[serde(default)]
    pub introspection: Option<Introspection>,
    /// What every sender must prove.
    pub proof: Proof,
    /// Whether a DPoP proof must carry a nonce of ours (RFC 9449 §9). If absent: `off`, under profile fapi2 `required`.
    #[serde(default)]
    #[schemars(with = "Nonces")]
    pub nonces: Option<Nonces>,
    /// The longest lifetime (`exp` − `iat`) that a token may have, in seconds; narrows that of its issuers.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400))]
    pub max_token_lifetime_seconds: Option<i64>,
    /// Which clients may call at all.
    #[serde(default)]
    pub clients: Clients,
    /// Whether denials are enforced.
    #[serde(default)]
    pub mode: Mode,
    /// With `mode: observe`, and only then: classes of denials that are reported and let pass.
    #[serde(default)]
    pub relax: Vec<Relaxed>,
    /// Whether `X-HTTP-Method-Override` and its kin, and `_method` in the query, are let through to the API; denied otherwise.
    #[serde(default)]
    pub allow_method_override: bool,
    /// What can be done with it, at least one operation.
    #[schemars(length(min = 1))]
    pub operations: Vec<Operation>,
    /// Demands waived for one client each, until a day.
    #[serde(default)]
    pub exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Introspection {
    /// The issuer that is asked, one of the API's, with `introspection` in `keybound.yaml`. No token is shown to another.
    pub issuer: String,
    /// Which tokens it is asked about.
    #[serde(default)]
    pub tokens: Introspected,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Operation {
    /// The method, or several; case matters (RFC 9110 §9.1).
    pub method: Methods,
    /// The path, with parameters of one segment each: `/payments/{payment_id}`. In quotes if it has one.
    pub path: String,
    /// The Cedar action, declared in `schema.cedarschema`.
    pub action: String,
    /// Scopes that the token must have, all of them.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// `true`: no credential is asked for. Guardrails are asked all the same, and a bad credential is denied.
    #[serde(default)]
    pub public: bool,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Exception {
    /// Who.
    pub client: ClientName,
    /// What is waived.
    pub waives: Waived,
    /// Why; one line.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The day on which it ends, at 00:00 UTC: YYYY-MM-DD, at most 180 days ahead.
    pub expires: String,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientName {
    /// The issuer that knows the client.
    pub issuer: String,
    /// The client's id at that issuer.
    pub id: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "clients.yaml")]
pub(super) struct ClientsFile {
    /// The registry: an API without `clients: any` accepts nobody else.
    pub clients: Vec<Client>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    /// The issuer that knows it, configured in `keybound.yaml`.
    pub issuer: String,
    /// Its id at that issuer; unique there.
    pub id: String,
    /// Who answers for it; `principal.owner` in Cedar.
    pub owner: String,
    /// What it is, a word of yours: 1 to 64 of `a-z`, `0-9`, `-`, but not `unregistered`; `principal.kind` in Cedar.
    pub kind: String,
    /// What it is for, words of yours of the same form; `principal.purposes` in Cedar.
    #[serde(default)]
    pub purposes: Vec<String>,
    /// The day from which it is refused (`client_expired`), at 00:00 UTC: YYYY-MM-DD.
    #[serde(default)]
    pub expires: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// little
    Low,
    /// some
    Medium,
    /// much
    High,
}

impl From<Level> for Sensitivity {
    fn from(word: Level) -> Self {
        match word {
            Level::Low => Self::Low,
            Level::Medium => Self::Medium,
            Level::High => Self::High,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Proof {
    /// a certificate-bound token (RFC 8705) or a DPoP-bound one (RFC 9449)
    Required,
    /// a certificate-bound token
    Mtls,
    /// a DPoP-bound token
    Dpop,
    /// nothing; a key that the token names is checked all the same
    None,
}

impl From<Proof> for ProofDemand {
    fn from(word: Proof) -> Self {
        match word {
            Proof::Required => Self::Required,
            Proof::Mtls => Self::Mtls,
            Proof::Dpop => Self::Dpop,
            Proof::None => Self::None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Introspected {
    /// those that only it can read: all but three parts with a JSON header, which are JWTs and are verified here
    #[default]
    Opaque,
    /// JWTs too, once they have been verified here; then it must be the API's only issuer
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Nonces {
    /// no
    Off,
    /// yes: the first call is answered with a nonce
    Required,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Clients {
    /// those in `clients.yaml`
    #[default]
    Registered,
    /// also clients that nobody registered
    Any,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// denials are enforced
    #[default]
    Enforce,
    /// denials of the relaxed classes are reported only
    Observe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Relaxed {
    /// no token, or not exactly one
    Credential,
    /// the token is not valid here
    Token,
    /// the client is not registered, or no longer
    Client,
    /// the sender did not prove that the token is its own
    Binding,
    /// scopes and policies
    Policy,
}

impl From<Relaxed> for Class {
    fn from(word: Relaxed) -> Self {
        match word {
            Relaxed::Credential => Self::Credential,
            Relaxed::Token => Self::Token,
            Relaxed::Client => Self::Client,
            Relaxed::Binding => Self::Binding,
            Relaxed::Policy => Self::Policy,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Waived {
    /// that the token be bound to a key; a bound one is checked all the same
    Proof,
    /// `max_token_lifetime_seconds` of this API
    TokenLifetime,
}

impl From<Waived> for Waiver {
    fn from(word: Waived) -> Self {
        match word {
            Waived::Proof => Self::Proof,
            Waived::TokenLifetime => Self::TokenLifetime,
        }
    }
}

/// One method or several.
#[derive(Debug)]
pub(super) struct Methods(pub Vec<String>);

impl<'de> Deserialize<'de> for Methods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            One(String),
            Several(Vec<String>),
        }
        Ok(Self(match Either::deserialize(deserializer)? {
            Either::One(method) => vec![method],
            Either::Several(methods) => methods,
        }))
    }
}

impl JsonSchema for Methods {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Methods")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "array"], "items": { "type": "string" }, "minItems": 1 })
    }
}
