//! Slips that authors make, and the words that set them right.

use super::{APIS, MAIN, SCHEMA, bundle, load_in, refuse, row, take};
use crate::problem::Problem;

const A: &str = "apis.yaml";
const M: &str = "main.cedar";

/// All that is wrong with the good bundle when these files are put into it.
fn errors(changed: &[(&str, &str)]) -> Vec<Problem> {
    let problems = load_in(&bundle(changed), |_| {}).err().unwrap();
    problems.into_iter().filter(Problem::is_error).collect()
}

#[test]
fn a_path_parameter_that_the_schema_does_not_declare_is_declared_there() {
    let condition = "context.token.claims has acr && context.token.claims.acr == \"gold\"";
    refuse(
        M,
        condition,
        "principal.kind == \"a\" && ^context.http.path.item_id == \"x\"",
        "attribute `http.path` in context for Action::\"items.list\" not found",
        "declare `path: { item_id: String }` in `http` in the context type of Action::\"items.list\" in schema.cedarschema",
    );
    let whole = "action == Action::\"items.list\", resource)\nwhen { context.token.claims has acr && context.token.claims.acr == \"gold\" }";
    row(
        M,
        whole,
        "action == Action::\"items.get\", resource)\nwhen { ^context.http.path.itm_id == \"7\" }",
        "`http.path.itm_id` in context for Action::\"items.get\" not found",
        "declare `itm_id: String` in `path` in the context type of Action::\"items.get\"",
        "action == Action::\"items.get\", resource)\nwhen { context.http.path.item_id == \"7\" }",
    );
}

#[test]
fn an_action_that_only_a_policy_names_is_declared_or_the_policy_goes() {
    let action = "action == Action::\"items.list\"";
    refuse(
        M,
        action,
        "action == ^Action::\"things.destroy\"",
        "unrecognized action `Action::\"things.destroy\"`",
        "declare it in schema.cedarschema, or remove the policy",
    );
    refuse(
        M,
        action,
        "action == ^Action::\"items.lst\"",
        "unrecognized action",
        "did you mean Action::\"items.list\"? If not, declare it in schema.cedarschema, or remove the policy",
    );
    // It is no reason to tell what would be wrong for all other actions.
    row(
        M,
        action,
        "action in [Action::\"items.list\", ^Action::\"things.destroy\"]",
        "unrecognized action",
        "declare it",
        "action in [Action::\"items.list\"]",
    );
}

#[test]
fn an_operation_that_anyone_may_call_has_an_action_for_both() {
    let operation = "action: items.list, scopes: [items.read] }";
    refuse(
        A,
        operation,
        "action: ^ping, public: true }",
        "action `ping` applies to nothing in schema.cedarschema",
        "declare: action \"ping\" appliesTo { principal: [Client, Anonymous], resource: Api",
    );
    refuse(
        A,
        operation,
        "action: ^ping }",
        "applies to nothing",
        "declare: action \"ping\" appliesTo { principal: Client, resource: Api",
    );
    refuse(
        A,
        operation,
        "action: ^items.list, public: true }",
        "the operation is public, and action `items.list` does not apply to Anonymous",
        "write `principal: [Client, Anonymous]` for action \"items.list\" in schema.cedarschema, with `token?` and `proof?`",
    );
    // What the help says is taken.
    let schema = SCHEMA.replace("action \"health\"\n  appliesTo { principal: Anonymous", "action \"ping\"\n  appliesTo { principal: [Client, Anonymous], resource: Api };\naction \"health\"\n  appliesTo { principal: Anonymous");
    let apis = APIS.replace(operation, "action: ping, public: true }");
    assert!(load_in(&bundle(&[(A, &apis), ("schema.cedarschema", &schema)]), |_| {}).is_ok());
}

#[test]
fn a_brace_that_yaml_takes_for_a_mapping_is_put_in_quotes() {
    let path = "path: '/items/{item_id}'";
    let quote = "quote a value that has { or } in it";
    row(A, path, "path: /items/^{item_id}", "not YAML", quote, "path: \"/items/{item_id}\"");
    refuse(A, path, "path: /items/^{item_id}/parts", "not YAML", quote);
    refuse(A, path, "path: ^{item_id}", "`path` is a mapping of keys, not text", quote);
    refuse(A, "{ notes.test: https://notes.test }", "{ notes.test: https://^{notes}.test }", "not YAML", quote);
    refuse(A, "owner: items-team", "owner: {items}^-team", "not YAML", quote);
    // What has nothing to do with braces is told as before.
    let cut = APIS.replace("action: items.get }", "action: items.get");
    let problems = errors(&[(A, &cut)]);
    assert!(!problems[0].remedy.contains("quote") && problems[0].remedy.contains("indented"), "{problems:#?}");
    // In a block mapping YAML takes it.
    let block = "- method: [GET, HEAD]\n        path: /items/{item_id}\n        action: items.get";
    take(A, "- { method: [GET, HEAD], path: '/items/{item_id}', action: items.get }", block);
}

#[test]
fn a_policy_without_an_id_is_named_by_its_place() {
    let text = MAIN.replace("@id(\"shop-reads\")\n", "").replace("Action::\"items.list\"", "Action::\"things\"");
    let problems = errors(&[(M, &text)]);
    let told: Vec<_> = problems.iter().map(|problem| (problem.place.line, problem.place.column)).collect();
    assert_eq!(told, [(8, 1), (8, 64)], "{problems:#?}");
    assert!(problems[0].what.contains("no @id"), "{problems:#?}");
    assert!(problems[1].what.contains("for policy `main.cedar:8:1`"), "{problems:#?}");
    // Several on one line are several.
    let forbid = "forbid (principal, action, resource) when { principal.nothing };";
    let text = format!("{MAIN}@reason(\"a\") {forbid} @reason(\"b\") {forbid}\n");
    let problems = errors(&[(M, &text)]);
    assert!(problems.iter().any(|problem| problem.what.contains("`main.cedar:15:14`")), "{problems:#?}");
    assert!(problems.iter().any(|problem| problem.what.contains("`main.cedar:15:92`")), "{problems:#?}");
}

#[test]
fn a_misspelled_key_is_not_missing_as_well() {
    row(A, "proof: dpop", "^prof: dpop", "unknown key `prof`", "did you mean `proof`?", "proof: dpop");
    refuse(A, "audiences: [https", "^audience: [https", "unknown key `audience`", "did you mean `audiences`?");
    // Another word is no misspelling: both are told.
    let apis = APIS.replace("proof: dpop", "evidence: dpop");
    let problems = errors(&[(A, &apis)]);
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems.iter().any(|problem| problem.what.contains("`proof` is missing")), "{problems:#?}");
}

#[test]
fn apis_that_share_an_origin_have_the_same_hosts_for_it() {
    let notes = "hosts: { notes.test: https://notes.test }";
    let items = "hosts:\n      items.test: https://items.test\n";
    let remedy = "a proof for one would be good for the other";
    row(
        A,
        notes,
        "hosts: { notes.test: ^https://items.test }",
        "API `items` has the same origin for other hosts: items.test",
        remedy,
        "hosts: { items.test: https://items.test }",
    );
    // The host that is not shared is told, and each origin once.
    refuse(
        A,
        notes,
        "hosts: { items.test: https://items.test, a.test: ^https://items.test, b.test: https://items.test }",
        "for other hosts: items.test",
        remedy,
    );
    // One API may have one origin behind several hosts; another may not have it behind one of them alone.
    let two = APIS.replace(items, "hosts:\n      in.test: https://items.test\n      items.test: https://items.test\n");
    assert!(load_in(&bundle(&[(A, &two)]), |_| {}).is_ok());
    let part = two.replace(notes, "hosts: { items.test: https://items.test }");
    let problems = errors(&[(A, &part)]);
    assert_eq!((problems.len(), problems[0].place.line, problems[0].place.column), (1, 25, 26), "{problems:#?}");
    assert!(problems[0].what.contains("in.test, items.test"), "{problems:#?}");
    let both = two.replace(notes, "hosts: { items.test: https://items.test, in.test: https://items.test }");
    assert!(load_in(&bundle(&[(A, &both)]), |_| {}).is_ok());
    take(A, notes, "hosts: { notes.test: https://items.test:8443 }");
}
