//! Every attribute that policies can read: one row each; `values` has the value to go with it.
//!
//! The rows are the contract with `schema.cedarschema`: a bundle that declares anything else is refused when it is loaded. A new
//! attribute is a row here, its value there, the schema and a policy test.

/// An attribute that is offered to policies.
#[derive(Debug)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// When it is there.
    pub presence: Presence,
    /// What it says; the line in the documentation.
    pub meaning: &'static str,
}

/// The Cedar type of an attribute.
#[derive(Debug)]
pub enum Kind {
    /// `String`
    Text,
    /// `Long`
    Long,
    /// `Bool`
    Bool,
    /// `datetime`
    Datetime,
    /// `ipaddr`
    Ip,
    /// `Set<String>`
    TextSet,
    /// A record of these.
    Record(&'static [Attribute]),
    /// A record that the schema declares: the claims to read.
    Claims,
    /// A record of strings: the parameters of the operation's path.
    PathParameters,
}

impl Kind {
    /// As it is written in a schema.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Text => "String",
            Self::Long => "Long",
            Self::Bool => "Bool",
            Self::Datetime => "datetime",
            Self::Ip => "ipaddr",
            Self::TextSet => "Set<String>",
            Self::Record(_) | Self::Claims | Self::PathParameters => "{ … }",
        }
    }
}

/// When an attribute is there. A schema may declare it required only if it is always there for every principal of the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Always.
    Always,
    /// When the principal is a `Client`; never for `Anonymous`.
    ForClients,
    /// Not always.
    Sometimes,
}

const fn row(name: &'static str, kind: Kind, presence: Presence, meaning: &'static str) -> Attribute {
    Attribute { name, kind, presence, meaning }
}

use Presence::{Always, ForClients, Sometimes};

/// The context of every request.
pub const CONTEXT: &[Attribute] = &[
    row("token", Kind::Record(TOKEN), ForClients, "The verified access token."),
    row("proof", Kind::Record(PROOF), ForClients, "How the sender proved that the token is its own."),
    row(
        "certificate",
        Kind::Record(CERTIFICATE),
        Sometimes,
        "The client certificate of the connection, if one was presented.",
    ),
    row("http", Kind::Record(HTTP), Always, "The request."),
    row("now", Kind::Datetime, Always, "When the request is judged, UTC."),
];

const TOKEN: &[Attribute] = &[
    row("issuer", Kind::Text, Always, "`iss`: who issued it."),
    row("subject", Kind::Text, Sometimes, "`sub`: whom it is about."),
    row("scopes", Kind::TextSet, Always, "The scopes, each once."),
    row("audiences", Kind::TextSet, Always, "`aud`: whom it is for."),
    row("lifetime_seconds", Kind::Long, Always, "How long it lives in all: `exp` − `iat`."),
    row("age_seconds", Kind::Long, Always, "How long ago it was issued."),
    row("claims", Kind::Claims, Always, "The claims that the schema declares; those that the token has."),
];

const PROOF: &[Attribute] = &[
    row(
        "method",
        Kind::Text,
        Always,
        "`dpop`, `mtls` or `none`; `none` only where the API tolerates it: `proof: none`, an exception, observe mode.",
    ),
    row("key_thumbprint", Kind::Text, Sometimes, "RFC 7638 thumbprint of the key of the DPoP proof."),
    row("age_seconds", Kind::Long, Sometimes, "How long ago the DPoP proof was made."),
];

const CERTIFICATE: &[Attribute] = &[
    row("thumbprint", Kind::Text, Always, "SHA-256 of the certificate, base64url."),
    row(
        "dns_names",
        Kind::TextSet,
        Sometimes,
        "Its DNS names. Names are there only where somebody vouches for the chain (`certificate.chain_verified_by`).",
    ),
    row("uris", Kind::TextSet, Sometimes, "Its URIs."),
    row("spiffe_id", Kind::Text, Sometimes, "Its SPIFFE id, if it is a leaf X.509-SVID."),
    row("issuer", Kind::Text, Sometimes, "The name of its issuer, as RFC 2253 text."),
];

const HTTP: &[Attribute] = &[
    row("method", Kind::Text, Always, "The method, as it was written."),
    row("host", Kind::Text, Always, "The host that was asked, in lower case."),
    row("peer_ip", Kind::Ip, Sometimes, "The address of the direct peer, which may be a proxy."),
    row(
        "path",
        Kind::PathParameters,
        Always,
        "The parameters of the path, percent-decoded: `context.http.path.payment_id`.",
    ),
];

/// The principal `Client::"issuer#client id"`.
pub const CLIENT: &[Attribute] = &[
    row("issuer", Kind::Text, Always, "The issuer that knows it."),
    row("client_id", Kind::Text, Always, "Its id at that issuer."),
    row("registered", Kind::Bool, Always, "Whether it is in `clients.yaml`."),
    row("kind", Kind::Text, Always, "What it is, from `clients.yaml`; `unregistered` if it is not there."),
    row("purposes", Kind::TextSet, Always, "What it is for, from `clients.yaml`; empty if it is not there."),
    row("owner", Kind::Text, Sometimes, "Who answers for it, from `clients.yaml`."),
];

/// The resource `Api::"id"`.
pub const API: &[Attribute] = &[
    row("owner", Kind::Text, Always, "Who answers for it."),
    row("sensitivity", Kind::Text, Always, "`low`, `medium` or `high`."),
];

/// The `kind` of a client that is not in the registry; the registry may not use it.
pub const UNREGISTERED: &str = "unregistered";
