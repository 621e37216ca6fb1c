//! The table of attributes is the contract with authors' schemas; the values that policies see must be exactly those rows.

use std::sync::Arc;

use cedar_policy_core::ast::Context;
use keybound::decision::binding::{self, Bound, Occasion, Sender, Spending};
use keybound::decision::cedar::Record;
use keybound::decision::facts::RequestFacts;
use keybound::decision::policy::Subject;
use keybound::decision::policy::attributes::{API, Attribute, CLIENT, CONTEXT, Kind, Presence};
use keybound::decision::policy::values::{api, client, context};
use keybound::decision::{certificate, credential, route, token};
use keybound::edge::wire;
use serde_json::{Value, json};

use crate::support::inventory::host;
use crate::support::wire::encode;
use crate::support::{Encoding, Good, NOW, Request, Setting, good_bearer_at, good_both};

/// Which of the rows must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// Every one.
    Yes,
    /// Only those that always are.
    No,
}

/// The values as Cedar prints them.
fn as_json(record: Record) -> Value {
    Context::Value(Arc::new(record)).to_json_value().unwrap()
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

/// A request with everything that a request can have.
fn with_everything() -> Good {
    let request = good_both().under(Setting::VerifiedByEnvoy).raw_path("/items/p%20%7B1");
    let request = request.proof(|proof| proof.claims["htu"] = json!("https://rs.example.com/items/p%20%7b1"));
    request.token(|token| {
        for (name, value) in [
            ("acr", json!("high")),
            ("level", json!(3)),
            ("groups", json!(["a", "b"])),
            ("auth_time", json!(NOW - 500)),
            ("trusted", json!(true)),
            ("place", json!({"site": "x"})),
        ] {
            token.claims[name] = value;
        }
    })
}

/// Takes a request as far as its route.
fn with_route(request: &Request, look: impl FnOnce(&RequestFacts<'_>, &route::Route<'_>)) {
    let message = encode(request, Encoding::Raw);
    let facts = RequestFacts::new("edge", &wire::read(&message).unwrap()).unwrap();
    let snapshot = request.setting.snapshot();
    look(&facts, &route::resolve(&snapshot.bundle.as_ref().unwrap().inventory, &facts).unwrap());
}

/// Walks a routed request step by step and hands its evidence to `look`.
fn with_subject(setting: Setting, facts: &RequestFacts<'_>, route: &route::Route<'_>, look: impl FnOnce(&Subject<'_>)) {
    let snapshot = setting.snapshot();
    let bundle = snapshot.bundle.as_ref().unwrap();
    let credential = credential::present(facts).unwrap();
    let known = snapshot.tokens.as_ref();
    let verified = token::verify(credential.token(), credential.token_hash(), &snapshot.issuers, known);
    let (signed, just_read) = verified.unwrap();
    let token = signed.accept(just_read, route.api(), bundle.policies.claims(), NOW).unwrap();
    let registration = bundle.clients.admit(token.client(), true, NOW).unwrap();
    let certificate =
        certificate::present(&snapshot.certificates, None, &facts.certificate(), snapshot.leaves.as_ref(), NOW)
            .unwrap();
    let occasion = Occasion {
        facts,
        route,
        credential: &credential,
        proofs: &snapshot.proofs,
        nonces: &snapshot.nonces,
        now: NOW,
    };
    let certificates = &snapshot.certificates;
    let sender = Sender { occasion, token: &token, certificate: certificate.as_ref(), certificates };
    let sender = match binding::prove(&sender, None) {
        Ok(Bound::MustSpend(bound)) => bound.settle(Spending::Fresh).unwrap(),
        Ok(Bound::Proven(_)) => panic!("nothing to spend"),
        Err(denial) => panic!("{denial:?}"),
    };
    let subject = Subject { token: &token, registration, certificate: certificate.as_ref(), sender: &sender };
    look(&subject);
}

#[test]
fn a_request_with_everything_has_every_attribute_of_the_table() {
    let mut found = Vec::new();
    let request = with_everything().build();
    with_route(&request, |facts, route| {
        with_subject(request.setting, facts, route, |subject| {
            let values = as_json(context(facts, route, Some(subject), NOW).unwrap());
            differences(CONTEXT, &values, true, Whole::Yes, "context.", &mut found);
            assert_eq!(values["http"]["path"]["item_id"], "p {1", "parameters are decoded");
            let claims = &values["token"]["claims"];
            assert_eq!((&claims["place"]["site"], &claims["level"]), (&json!("x"), &json!(3)));
            let principal = as_json(client(subject.token.client(), subject.registration));
            differences(CLIENT, &principal, true, Whole::Yes, "principal.", &mut found);
            differences(API, &as_json(api(route.api())), true, Whole::Yes, "resource.", &mut found);
        });
    });
    crate::none(found, "src/decision/policy/attributes.rs: rows and values differ");
}

#[test]
fn a_request_with_nothing_has_only_the_attributes_that_are_always_there() {
    let mut found = Vec::new();
    let request = good_bearer_at(host::ITEMS).without("authorization").path("/health").build();
    with_route(&request, |facts, route| {
        let values = as_json(context(facts, route, None, NOW).unwrap());
        differences(CONTEXT, &values, false, Whole::No, "context.", &mut found);
    });
    let stranger = keybound::decision::client::ClientId { issuer: "i".to_owned(), id: "c".to_owned() };
    differences(CLIENT, &as_json(client(&stranger, None)), true, Whole::No, "principal.", &mut found);
    crate::none(found, "src/decision/policy/attributes.rs: rows and values differ");
}
