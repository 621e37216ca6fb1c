//! Every attribute that policies can read: one row each, and the values to go with it.
//!
//! The rows are the contract with `schema.cedarschema`: a bundle that declares anything else is refused when it is loaded. A new
//! attribute is a row here, its value below, the schema and a policy test.

use cedar_policy::RestrictedExpression as Expression;

use crate::decision::certificate::PeerCertificate;
use crate::decision::client::{ClientId, Registration};
use crate::decision::facts::RequestFacts;
use crate::decision::jose::base64url_of;
use crate::decision::policy::Subject;
use crate::decision::route::{Api, Route};
use crate::decision::token::{ClaimValue, VerifiedToken};

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

type Pairs = Vec<(String, Expression)>;

/// The values of [`CONTEXT`]; without a subject, those for `Anonymous`.
#[must_use]
pub fn context(facts: &RequestFacts<'_>, route: &Route<'_>, subject: Option<&Subject<'_>>, now: i64) -> Option<Pairs> {
    let mut pairs = vec![pair("http", http(facts, route)?), pair("now", datetime(now)?)];
    if let Some(subject) = subject {
        pairs.push(pair("token", token(subject.token, now)?));
        pairs.push(pair("proof", proof(subject, now)?));
        if let Some(certificate) = subject.certificate {
            pairs.push(pair("certificate", record(self::certificate(certificate))?));
        }
    }
    Some(pairs)
}

fn token(token: &VerifiedToken, now: i64) -> Option<Expression> {
    let mut pairs = vec![
        pair("issuer", text(token.issuer())),
        pair("scopes", texts(token.scopes())),
        pair("audiences", texts(token.audiences())),
        pair("lifetime_seconds", Expression::new_long(token.lifetime_seconds())),
        pair("age_seconds", Expression::new_long(token.age_seconds(now))),
        pair("claims", claims(token.declared())?),
    ];
    pairs.extend(token.subject().map(|subject| pair("subject", text(subject))));
    record(pairs)
}

fn proof(subject: &Subject<'_>, now: i64) -> Option<Expression> {
    let mut pairs = vec![pair("method", text(subject.sender.method().name()))];
    if let Some(proof) = subject.sender.proof() {
        pairs.push(pair("key_thumbprint", text(&base64url_of(proof.key_thumbprint()))));
        pairs.push(pair("age_seconds", Expression::new_long(proof.age_seconds(now))));
    }
    record(pairs)
}

fn certificate(certificate: &PeerCertificate) -> Pairs {
    let mut pairs = vec![pair("thumbprint", text(&base64url_of(certificate.thumbprint())))];
    if let Some(names) = certificate.names() {
        pairs.push(pair("dns_names", texts(&names.dns_names)));
        pairs.push(pair("uris", texts(&names.uris)));
        pairs.push(pair("issuer", text(&names.issuer)));
        pairs.extend(names.spiffe_id.as_deref().map(|id| pair("spiffe_id", text(id))));
    }
    pairs
}

fn http(facts: &RequestFacts<'_>, route: &Route<'_>) -> Option<Expression> {
    let path = route.parameters().iter().map(|(name, value)| pair(name, text(value))).collect();
    let mut pairs = vec![
        pair("method", text(facts.method())),
        pair("host", text(&facts.host().to_ascii_lowercase())),
        pair("path", record(path)?),
    ];
    pairs.extend(facts.peer_ip().map(|ip| pair("peer_ip", Expression::new_ip(ip.to_string()))));
    record(pairs)
}

fn claims(declared: &[(String, ClaimValue)]) -> Option<Expression> {
    let pairs: Option<Pairs> = declared.iter().map(|(name, value)| Some(pair(name, claim(value)?))).collect();
    record(pairs?)
}

fn claim(value: &ClaimValue) -> Option<Expression> {
    Some(match value {
        ClaimValue::Text(value) => text(value),
        ClaimValue::Long(value) => Expression::new_long(*value),
        ClaimValue::Bool(value) => Expression::new_bool(*value),
        ClaimValue::Date(value) => datetime(*value)?,
        ClaimValue::Set(values) => Expression::new_set(values.iter().map(claim).collect::<Option<Vec<_>>>()?),
        ClaimValue::Record(declared) => claims(declared)?,
    })
}

/// The values of [`CLIENT`].
#[must_use]
pub fn client(client: &ClientId, registration: Option<&Registration>) -> Pairs {
    let mut pairs = vec![
        pair("issuer", text(&client.issuer)),
        pair("client_id", text(&client.id)),
        pair("registered", Expression::new_bool(registration.is_some())),
        pair("kind", text(registration.map_or(UNREGISTERED, |registration| &registration.kind))),
        pair("purposes", texts(registration.map_or(&[], |registration| &registration.purposes))),
    ];
    pairs.extend(registration.map(|registration| pair("owner", text(&registration.owner))));
    pairs
}

/// The values of [`API`].
#[must_use]
pub fn api(api: &Api) -> Pairs {
    vec![pair("owner", text(&api.owner)), pair("sensitivity", text(api.sensitivity.name()))]
}

fn pair(name: &str, value: Expression) -> (String, Expression) {
    (name.to_owned(), value)
}

fn text(value: &str) -> Expression {
    Expression::new_string(value.to_owned())
}

fn texts(values: &[String]) -> Expression {
    Expression::new_set(values.iter().map(|value| text(value)))
}

fn record(pairs: Pairs) -> Option<Expression> {
    Expression::new_record(pairs).ok()
}

/// `None` only for a time that no calendar has.
fn datetime(seconds: i64) -> Option<Expression> {
    let time = time::OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let (date, clock) = (time.date(), time.time());
    let (hour, minute, second) = clock.as_hms();
    let year = u16::try_from(date.year()).ok().filter(|year| *year <= 9999)?;
    Some(Expression::new_datetime(format!(
        "{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z",
        u8::from(date.month()),
        date.day(),
    )))
}
