//! The values of the attributes, as Cedar's evaluator has them: made as they are, because a detour through expressions or JSON
//! costs more than all the rest of a decision.

use cedar_policy_core::ast::Value;
use smol_str::SmolStr;

use super::attributes::UNREGISTERED;
use crate::decision::cedar::{self, Record, pair, text, texts};
use crate::decision::certificate::PeerCertificate;
use crate::decision::client::{ClientId, Registration};
use crate::decision::facts::RequestFacts;
use crate::decision::jose::base64url_of;
use crate::decision::policy::Subject;
use crate::decision::route::{Api, Route};
use crate::decision::token::VerifiedToken;

/// The values of [`super::attributes::CONTEXT`]; without a subject, those for `Anonymous`. `None` for a time that no calendar has.
#[must_use]
pub fn context(facts: &RequestFacts<'_>, route: &Route<'_>, subject: Option<&Subject<'_>>, now: i64) -> Option<Record> {
    let mut record =
        Record::from([pair("http", cedar::record(http(facts, route)?)), pair("now", cedar::instant(now)?)]);
    if let Some(subject) = subject {
        record.extend([
            pair("token", cedar::record(token(subject.token, now))),
            pair("proof", cedar::record(proof(subject, now))),
        ]);
        record.extend(subject.certificate.map(|presented| pair("certificate", certificate(presented))));
    }
    Some(record)
}

fn token(token: &VerifiedToken, now: i64) -> Record {
    let mut record = token.told().clone();
    record.extend([pair("age_seconds", Value::from(token.age_seconds(now)))]);
    record
}

fn proof(subject: &Subject<'_>, now: i64) -> Record {
    let mut record = Record::from([pair("method", text(subject.sender.method().name()))]);
    if let Some(proof) = subject.sender.proof() {
        record.extend([
            pair("key_thumbprint", text(&base64url_of(proof.key_thumbprint()))),
            pair("age_seconds", Value::from(proof.age_seconds(now))),
        ]);
    }
    record
}

/// Of a certificate whose names count, all of it is the same on each request: the value is kept with the names.
fn certificate(certificate: &PeerCertificate) -> Value {
    let thumbprint = || pair("thumbprint", text(&base64url_of(certificate.thumbprint())));
    let Some(names) = certificate.names() else { return cedar::record(Record::from([thumbprint()])) };
    let told = names.told.get_or_init(|| {
        let mut record = Record::from([
            thumbprint(),
            pair("dns_names", texts(&names.dns_names)),
            pair("uris", texts(&names.uris)),
            pair("issuer", text(&names.issuer)),
        ]);
        record.extend(names.spiffe_id.as_deref().map(|id| pair("spiffe_id", text(id))));
        cedar::record(record)
    });
    told.clone()
}

fn http(facts: &RequestFacts<'_>, route: &Route<'_>) -> Option<Record> {
    let path: Record = route.parameters().iter().map(|(name, value)| (SmolStr::new(name), text(value))).collect();
    let mut record = Record::from([
        pair("method", text(facts.method())),
        pair("host", text(&facts.host().to_ascii_lowercase())),
        pair("path", cedar::record(path)),
    ]);
    if let Some(address) = facts.peer_ip() {
        record.extend([pair("peer_ip", cedar::address(address)?)]);
    }
    Some(record)
}

/// The values of [`super::attributes::CLIENT`].
#[must_use]
pub fn client(client: &ClientId, registration: Option<&Registration>) -> Record {
    let mut record = Record::from([
        pair("issuer", text(&client.issuer)),
        pair("client_id", text(&client.id)),
        pair("registered", Value::from(registration.is_some())),
        pair("kind", text(registration.map_or(UNREGISTERED, |registration| &registration.kind))),
        pair("purposes", texts(registration.map_or(&[], |registration| &registration.purposes))),
    ]);
    record.extend(registration.map(|registration| pair("owner", text(&registration.owner))));
    record
}

/// The values of [`super::attributes::API`].
#[must_use]
pub fn api(api: &Api) -> Record {
    Record::from([pair("owner", text(&api.owner)), pair("sensitivity", text(api.sensitivity.name()))])
}
