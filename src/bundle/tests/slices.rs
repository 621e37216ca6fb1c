//! A decision looks only at the policies that could apply to its action. That must never show.

use std::collections::{BTreeSet, HashSet};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Effect, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Request,
    Response, RestrictedExpression, Schema,
};
use cedar_policy_core::ast::Value;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use smol_str::SmolStr;

use crate::bundle::cedar::{self, ReadSchema};
use crate::decision::policy::{Asking, AuthoredPolicy, Evaluation};
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
        "principal == Client::\"d\"",
        "principal in Client::\"c\"",
        "principal is Client in Client::\"d\"",
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
    let resource = prop::sample::select(vec![
        "resource",
        "resource == Api::\"x\"",
        "resource == Api::\"y\"",
        "resource is Api",
        "resource in Api::\"x\"",
        "resource is Client",
        "resource is Api in Api::\"y\"",
    ]);
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
        "when { principal.level < 2 }",
        "when { principal has level && principal.level == 2 }",
        "when { resource.owner == \"x\" }",
        "when { principal == resource }",
        "when { principal has level && (if context.flag then principal.level * -3 < 1 else principal.level - 1 == 1) }",
        "when { resource.owner like \"x*\" && !([context.flag, true].contains(false)) }",
        "when { {a: resource.owner, b: {c: -1}}.b.c == -1 && ip(\"10.0.0.1\").isInRange(ip(\"10.0.0.0/8\")) }",
        "unless { principal is Client && principal in [Client::\"c\", Client::\"z\"] }",
        "when { datetime(\"2026-01-01\") < datetime(\"2026-01-02T00:00:00Z\") && [1, 2].containsAll([2]) } unless { context.flag }",
        "when { action in Action::\"g2\" }",
        "when { action == Action::\"a1\" || context.flag }",
    ]);
    (effect, scope(), condition).prop_map(|(effect, scope, condition)| format!("{effect} {scope} {condition};"))
}

/// What a request is answered: whether it is allowed, by which policies, and which errored.
type Told = (bool, BTreeSet<String>, BTreeSet<String>);

fn told(response: &Response) -> Told {
    let errors = response.diagnostics().errors();
    let errors = errors.map(|AuthorizationError::PolicyEvaluationError(error)| error.policy_id().to_string()).collect();
    let reasons = response.diagnostics().reason().map(ToString::to_string).collect();
    (response.decision() == cedar_policy::Decision::Allow, reasons, errors)
}

fn uid(kind: &str, id: &str) -> EntityUid {
    format!("{kind}::\"{id}\"").parse().unwrap()
}

fn entity(kind: &str, id: &str, attributes: &[(&str, RestrictedExpression)]) -> Entity {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Entity::new(uid(kind, id), attributes, HashSet::new()).unwrap()
}

/// What a request is about: whether the flag is up, and the level of the principal, if it has one.
type About = (bool, Option<i64>);

#[test]
fn the_policies_that_the_index_finds_decide_as_the_whole_set() {
    let source = schema();
    let mut findings = Findings::new("schema.cedarschema", &source);
    let schema = cedar::read(&source, &mut findings).unwrap();
    assert_eq!(findings.into_problems(), []);
    let entities = Schema::from_cedarschema_str(&source).unwrap().0.action_entities().unwrap();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) };
    let cases = (prop::collection::vec(policy(), 0..8), (any::<bool>(), prop::option::of(0..3_i64)));
    let judged = TestRunner::new(config).run(&cases, |(texts, about)| {
        check(&schema, &entities, &texts, about);
        Ok(())
    });
    judged.unwrap_or_else(|failure| panic!("{failure}"));
}

fn check(schema: &ReadSchema, entities: &Entities, texts: &[String], about: About) {
    let numbered = texts.iter().enumerate();
    let policies: Vec<_> = numbered
        .map(|(number, text)| Policy::parse(Some(PolicyId::new(format!("p{number}"))), text).unwrap())
        .collect();
    let authored = policies.iter().cloned();
    let authored: Vec<_> = authored
        .map(|policy| AuthoredPolicy { guardrail: is_guardrail(&policy), policy, reason: String::new() })
        .collect();
    let indexed = schema.index(&authored, Evaluation::Indexed).unwrap();
    let whole = schema.index(&authored, Evaluation::Whole).unwrap();
    let (mut asked, mut left_out) = (0, 0);
    for action in ACTIONS {
        for (kind, id, api) in
            [("Client", "c", "x"), ("Client", "d", "x"), ("Client", "c", "y"), ("Anonymous", "c", "x")]
        {
            let level = about.1.map(|level| ("level", RestrictedExpression::new_long(level)));
            let principal = entity(kind, id, level.as_slice());
            let resource = entity("Api", api, &[("owner", RestrictedExpression::new_string(api.to_owned()))]);
            for guardrails_only in [false, true] {
                let chosen = policies.iter().filter(|policy| is_guardrail(policy) || !guardrails_only);
                let set = PolicySet::from_policies(chosen.cloned()).unwrap();
                let context = [("flag".to_owned(), RestrictedExpression::new_bool(about.0))];
                let context = Context::from_pairs(context).unwrap();
                let request =
                    Request::new(principal.uid(), uid("Action", action), resource.uid(), context, None).unwrap();
                let known = entities.clone().add_entities([principal.clone(), resource.clone()], None).unwrap();
                let expected = told(&Authorizer::new().is_authorized(&request, &set, &known));
                let question = Asking { action, principal: &principal, resource: &resource, guardrails_only };
                let flag = (SmolStr::new("flag"), Value::from(about.0));
                assert_eq!(indexed.told(&question, [flag.clone()].into()), expected, "{request}: {texts:#?}");
                assert_eq!(whole.told(&question, [flag].into()), expected, "{request}: {texts:#?}");
                asked += indexed.count(&question);
                left_out += set.policies().count() - indexed.count(&question);
            }
        }
    }
    // The index does leave out what names another action, resource or principal.
    let scope = |text: &str| text.split(')').next().unwrap_or_default().to_owned();
    let narrow = |text: &&String| {
        let scope = scope(text);
        scope.contains("action == Action::\"a1\"") || scope.contains("resource == Api::\"x\"")
    };
    let single = texts.iter().filter(narrow).count();
    assert!(left_out >= single, "{asked} asked, {left_out} left out: {texts:#?}");
}

/// Forbids with an even number of letters: as good as any choice.
fn is_guardrail(policy: &Policy) -> bool {
    policy.effect() == Effect::Forbid && policy.to_string().len().is_multiple_of(2)
}
