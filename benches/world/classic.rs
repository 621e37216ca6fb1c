//! The question of the measured operation as it is asked of Cedar by the book: entities and context from JSON, checked by the
//! schema, and the authorizer over all policies. What the policy step is compared with.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request, Schema};
use serde_json::{Value, json};

use super::bundle;
use super::party::{Client, certificate};
use super::tokens::TENANT;
use super::{AUDIENCE, HOST, ISSUER, METHOD, now};

/// A whole bundle, and one question.
pub struct Classic {
    schema: Schema,
    policies: PolicySet,
    principal: EntityUid,
    action: EntityUid,
    resource: EntityUid,
    entities: Value,
    context: Value,
}

impl Classic {
    /// The certificate-bound question, and so many policies.
    pub fn new(policies: usize) -> Self {
        let files = bundle::files(policies);
        let text = |ending: &str| {
            let texts = files.iter().filter(|(name, _)| name.ends_with(ending)).map(|(_, text)| text.as_str());
            texts.collect::<Vec<_>>().join("\n")
        };
        let (schema, _) = Schema::from_cedarschema_str(&text(".cedarschema")).expect("a schema");
        let client = format!("{ISSUER}#{}", Client::Certificate.id());
        let uid = |kind: &str, id: &str| EntityUid::from_json(json!({"type": kind, "id": id})).expect("a name");
        Self {
            schema,
            policies: PolicySet::from_str(&text(".cedar")).expect("policies"),
            principal: uid("Client", &client),
            action: uid("Action", "payments.read"),
            resource: uid("Api", "payments"),
            entities: entities(&client),
            context: context(),
        }
    }

    /// Asks it all: the ids of the policies that permitted it.
    pub fn authorise(&self) -> BTreeSet<String> {
        let schema = Some(&self.schema);
        let entities = Entities::from_json_value(self.entities.clone(), schema).expect("entities");
        let context = Context::from_json_value(self.context.clone(), Some((&self.schema, &self.action)));
        let (principal, action, resource) = (self.principal.clone(), self.action.clone(), self.resource.clone());
        let request =
            Request::new(principal, action, resource, context.expect("a context"), schema).expect("a request");
        let response = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        assert_eq!(response.decision(), Decision::Allow, "{:?}", response.diagnostics());
        let named = response.diagnostics().reason().filter_map(|id| self.policies.policy(id)?.annotation("id"));
        named.map(str::to_owned).collect()
    }
}

fn entities(client: &str) -> Value {
    json!([
        {"uid": {"type": "Client", "id": client}, "parents": [], "attrs": {
            "issuer": ISSUER, "client_id": Client::Certificate.id(), "registered": true, "kind": "service",
            "purposes": ["settlement"], "owner": "finance-team"}},
        {"uid": {"type": "Api", "id": "payments"}, "parents": [], "attrs": {
            "owner": "payments-team", "sensitivity": "high"}},
    ])
}

fn context() -> Value {
    let extension = |name: &str, text: &str| json!({"__extn": {"fn": name, "arg": text}});
    let time = time::OffsetDateTime::from_unix_timestamp(now()).expect("a time");
    let (date, clock) = (time.date(), time.time());
    let time = format!("{date}T{:02}:{:02}:{:02}Z", clock.hour(), clock.minute(), clock.second());
    json!({
        "token": {
            "issuer": ISSUER,
            "subject": format!("{}@clients.example.com", Client::Certificate.id()),
            "scopes": ["accounts.read", "payments.read", "payments.write"],
            "audiences": [AUDIENCE],
            "lifetime_seconds": 3_600,
            "age_seconds": 5,
            "claims": {"acr": "urn:example:silver", "groups": ["payments", "ledger"], "tenant": TENANT},
        },
        "proof": {"method": "mtls"},
        "certificate": {"thumbprint": certificate().thumbprint()},
        "http": {
            "method": METHOD, "host": HOST, "peer_ip": extension("ip", "192.0.2.77"),
            "path": {"payment_id": "pay_01HV7Q3M9K2T"},
        },
        "now": extension("datetime", &time),
    })
}
