//! The table of attributes is the contract with authors' schemas; the values that policies see must be exactly those rows.

use cedar_policy::{Context, RestrictedExpression};
use keybound::decision::binding::{self, Bound, Sender, Spending};
use keybound::decision::facts::RequestFacts;
use keybound::decision::policy::Subject;
use keybound::decision::policy::attributes::{API, Attribute, CLIENT, CONTEXT, Kind, Presence, api, client, context};
use keybound::decision::{certificate, credential, route, token};
use serde_json::Value;

use crate::world::{ENFORCED, NOW, Sent, World};

/// Which of the rows must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// Every one.
    Yes,
    /// Only those that always are.
    No,
}

/// The values as Cedar prints them.
fn json(pairs: Vec<(String, RestrictedExpression)>) -> Value {
    Context::from_pairs(pairs).unwrap().to_json_value().unwrap()
}

/// What is wrong between rows and values.
fn differences(rows: &[Attribute], values: &Value, client: bool, whole: Whole, at: &str, found: &mut Vec<String>) {
    let members = values.as_object().unwrap();
    let unknown = members.keys().filter(|name| !rows.iter().any(|row| row.name == **name));
    found.extend(unknown.map(|name| format!("{at}{name} has no row")));
    for row in rows {
        let name = format!("{at}{}", row.name);
        match (members.get(row.name), row.presence) {
            (None, Presence::Always) => found.push(format!("{name} is missing")),
            (None, Presence::ForClients) if client => found.push(format!("{name} is missing for a client")),
            (Some(_), Presence::ForClients) if !client => found.push(format!("{name} is there for Anonymous")),
            (None, _) if whole == Whole::Yes => found.push(format!("{name} is never there")),
            (None, _) => {}
            (Some(value), _) => typed(row, value, (client, whole), &name, found),
        }
    }
}

fn typed(row: &Attribute, value: &Value, (client, whole): (bool, Whole), name: &str, found: &mut Vec<String>) {
    let extension = |function: &str| value["__extn"]["fn"] == function;
    let texts = |values: Option<&Vec<Value>>| values.is_some_and(|values| values.iter().all(Value::is_string));
    let fits = match row.kind {
        Kind::Text => value.is_string(),
        Kind::Long => value.is_i64(),
        Kind::Bool => value.is_boolean(),
        Kind::Datetime => extension("datetime"),
        Kind::Ip => extension("ip"),
        Kind::TextSet => texts(value.as_array()),
        Kind::Claims => value.is_object(),
        Kind::PathParameters => value.as_object().is_some_and(|members| members.values().all(Value::is_string)),
        Kind::Record(rows) => return differences(rows, value, client, whole, &format!("{name}."), found),
    };
    if !fits {
        found.push(format!("{name} is no {:?}", row.kind));
    }
}

/// Walks a request step by step and hands its evidence to `look`.
fn with_subject(world: &World, sent: &Sent, look: impl FnOnce(&RequestFacts<'_>, &route::Route<'_>, &Subject<'_>)) {
    let raw = sent.raw();
    let facts = RequestFacts::new("edge", &raw).unwrap();
    let (snapshot, bundle) = (&world.snapshot, world.bundle());
    let route = route::resolve(&bundle.inventory, &facts).unwrap();
    let credential = credential::present(&facts).unwrap();
    let signed = token::verify(credential.token(), &snapshot.issuers).unwrap();
    let token = signed.accept(route.api(), bundle.policies.claims(), NOW).unwrap();
    let registration = bundle.clients.admit(token.client(), true, NOW).unwrap();
    let certificate = certificate::present(&snapshot.certificates, None, &facts.certificate(), NOW).unwrap();
    let proven = binding::prove(&Sender {
        facts: &facts,
        route: &route,
        credential: &credential,
        token: &token,
        certificate: certificate.as_ref(),
        certificates: &snapshot.certificates,
        proofs: &snapshot.proofs,
        nonces: &snapshot.nonces,
        now: NOW,
    });
    let sender = match proven {
        Ok(Bound::MustSpend(bound)) => bound.settle(Spending::Fresh).unwrap(),
        Ok(Bound::Proven(_)) => panic!("nothing to spend"),
        Err(denial) => panic!("{denial:?}"),
    };
    let subject = Subject { token: &token, registration, certificate: certificate.as_ref(), sender: &sender };
    look(&facts, &route, &subject);
}

#[test]
fn a_request_with_everything_has_every_attribute_of_the_table() {
    let world = World::new();
    let mut found = Vec::new();
    with_subject(&world, &world.good(ENFORCED, None), |facts, route, subject| {
        let values = json(context(facts, route, Some(subject), NOW).unwrap());
        differences(CONTEXT, &values, true, Whole::Yes, "context.", &mut found);
        assert_eq!(values["http"]["path"]["payment_id"], "p {1", "parameters are decoded");
        assert_eq!(values["token"]["claims"]["where"]["site"], "x");
        let principal = json(client(subject.token.client(), subject.registration));
        differences(CLIENT, &principal, true, Whole::Yes, "principal.", &mut found);
        differences(API, &json(api(route.api())), true, Whole::Yes, "resource.", &mut found);
    });
    crate::none(found, "src/decision/policy/attributes.rs: rows and values differ");
}

#[test]
fn a_request_with_nothing_has_only_the_attributes_that_are_always_there() {
    let world = World::new();
    let mut found = Vec::new();
    let sent = World::bare(ENFORCED, "/health");
    let raw = sent.raw();
    let facts = RequestFacts::new("edge", &raw).unwrap();
    let route = route::resolve(&world.bundle().inventory, &facts).unwrap();
    let values = json(context(&facts, &route, None, NOW).unwrap());
    differences(CONTEXT, &values, false, Whole::No, "context.", &mut found);
    let stranger = keybound::decision::client::ClientId { issuer: "i".to_owned(), id: "c".to_owned() };
    differences(CLIENT, &json(client(&stranger, None)), true, Whole::No, "principal.", &mut found);
    crate::none(found, "src/decision/policy/attributes.rs: rows and values differ");
}
