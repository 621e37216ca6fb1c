//! A decision looks only at the policies that could apply to its action. That must never show.

use std::collections::BTreeSet;

use cedar_policy::{
    Authorizer, Context, Entities, EntityUid, Policy, PolicyId, PolicySet, Request, Response, RestrictedExpression,
    Schema,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::bundle::cedar::{self, ReadSchema};
use crate::decision::policy::AuthoredPolicy;
use crate::problem::Findings;

const ACTIONS: [&str; 4] = ["a1", "a2", "a3", "a4"];

/// Groups within groups, an action in two of them and one in none.
fn schema() -> String {
    let applies = "appliesTo { principal: [Client, Anonymous], resource: Api, context: { now: datetime } };";
    format!(
        "entity Client; entity Anonymous; entity Api;
        action \"all\"; action \"g1\", \"g2\" in [\"all\"];
        action \"a1\" in [\"g1\"] {applies}
        action \"a2\" in [\"g1\", \"g2\"] {applies}
        action \"a3\" in [\"g2\"] {applies}
        action \"a4\" {applies}"
    )
}

fn scope() -> impl Strategy<Value = String> {
    let principal = prop::sample::select(vec![
        "principal",
        "principal is Client",
        "principal == Client::\"c\"",
        "principal is Anonymous",
    ]);
    let uid = prop::sample::select(vec!["a1", "a2", "a3", "a4", "g1", "g2", "all"])
        .prop_map(|id| format!("Action::\"{id}\""));
    let action = prop_oneof![
        Just("action".to_owned()),
        uid.clone().prop_map(|uid| format!("action == {uid}")),
        uid.clone().prop_map(|uid| format!("action in {uid}")),
        prop::collection::vec(uid, 0..4).prop_map(|uids| format!("action in [{}]", uids.join(", "))),
    ];
    let resource = prop::sample::select(vec!["resource", "resource == Api::\"x\"", "resource is Api"]);
    (principal, action, resource)
        .prop_map(|(principal, action, resource)| format!("({principal}, {action}, {resource})"))
}

/// Some policies hold, some do not, some cannot be evaluated; some ask about the action in their conditions too.
fn policy() -> impl Strategy<Value = String> {
    let effect = prop::sample::select(vec!["permit", "forbid"]);
    let condition = prop::sample::select(vec![
        "",
        "when { false }",
        "when { context.flag }",
        "unless { context.flag }",
        "when { context.missing }",
        "unless { principal.missing == 1 }",
        "when { action in Action::\"g2\" }",
        "when { action == Action::\"a1\" || context.flag }",
    ]);
    (effect, scope(), condition).prop_map(|(effect, scope, condition)| format!("{effect} {scope} {condition};"))
}

/// Decision, reasons, policies that errored.
fn answer(response: &Response) -> (bool, BTreeSet<String>, BTreeSet<String>) {
    let errors = response.diagnostics().errors().map(ToString::to_string).collect();
    let reasons = response.diagnostics().reason().map(ToString::to_string).collect();
    (response.decision() == cedar_policy::Decision::Allow, reasons, errors)
}

fn uid(kind: &str, id: &str) -> EntityUid {
    format!("{kind}::\"{id}\"").parse().unwrap()
}

#[test]
fn the_slice_of_an_action_decides_as_the_whole_set() {
    let source = schema();
    let mut findings = Findings::new("schema.cedarschema", &source);
    let schema = cedar::read(&source, &mut findings).unwrap();
    assert_eq!(findings.into_problems(), []);
    let entities = Schema::from_cedarschema_str(&source).unwrap().0.action_entities().unwrap();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) };
    let cases = (prop::collection::vec(policy(), 0..8), any::<bool>());
    let judged = TestRunner::new(config).run(&cases, |(texts, flag)| {
        check(&schema, &entities, &texts, flag);
        Ok(())
    });
    judged.unwrap_or_else(|failure| panic!("{failure}"));
}

fn check(schema: &ReadSchema, entities: &Entities, texts: &[String], flag: bool) {
    let numbered = texts.iter().enumerate();
    let policies: Vec<_> = numbered
        .map(|(number, text)| Policy::parse(Some(PolicyId::new(format!("p{number}"))), text).unwrap())
        .collect();
    let whole = PolicySet::from_policies(policies.iter().cloned()).unwrap();
    let authored = policies.iter().cloned();
    let authored = authored.map(|policy| AuthoredPolicy { policy, guardrail: false, reason: String::new() });
    let index = schema.index(&authored.collect::<Vec<_>>()).unwrap();
    let mut left_out = 0;
    for action in ACTIONS {
        let (slice, own) = index.slice(action).unwrap();
        left_out += policies.len() - slice.policies().count();
        for (principal, resource) in [("Client", "x"), ("Client", "y"), ("Anonymous", "x")] {
            let context = Context::from_pairs([("flag".to_owned(), RestrictedExpression::new_bool(flag))]).unwrap();
            let [principal, action, resource] =
                [(principal, "c"), ("Action", action), ("Api", resource)].map(|(kind, id)| uid(kind, id));
            let request = Request::new(principal, action, resource, context, None).unwrap();
            let expected = answer(&Authorizer::new().is_authorized(&request, &whole, entities));
            let sliced = answer(&Authorizer::new().is_authorized(&request, slice, own));
            assert_eq!(sliced, expected, "{request}: {texts:#?}");
        }
    }
    // The slices do leave out what names another action.
    let single = texts.iter().filter(|text| text.contains(", action == Action::\"a")).count();
    assert!(left_out >= single * (ACTIONS.len() - 1));
}
