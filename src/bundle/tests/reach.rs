//! Warnings of what policies and operations say of each other: operations that nothing permits, guardrails that are passed
//! by leaving the token out.

use super::{APIS, GUARDRAILS, MAIN, SCHEMA, bundle, load_in};
use crate::problem::Problem;

fn warnings(changed: &[(&str, &str)]) -> Vec<Problem> {
    let (_, warnings) =
        load_in(&bundle(changed), |_| {}).unwrap_or_else(|problems| panic!("{changed:#?}: {problems:#?}"));
    warnings
}

/// File, line, column and words of each warning, as they are.
fn told(changed: &[(&str, &str)]) -> Vec<(String, usize, usize, String)> {
    let place = |warning: Problem| (warning.place.file, warning.place.line, warning.place.column, warning.what);
    warnings(changed).into_iter().map(place).collect()
}

#[test]
fn an_action_that_no_policy_permits_is_told_where_an_operation_names_it() {
    let scope = "permit (principal is Client, action == Action::\"notes.add\", resource);";
    let place = ("apis.yaml".to_owned(), 31, 47);
    let denied = "no policy permits action `notes.add` of API `notes`: every request to it is denied";
    for (other, permits) in [
        ("permit (principal, action, resource);", true),
        ("permit (principal, action in Action::\"write\", resource is Api);", true),
        ("permit (principal, action in [Action::\"read\", Action::\"notes.add\"], resource in Api::\"notes\");", true),
        ("permit (principal == Client::\"https://other.test#guest\", action in Action::\"write\", resource);", true),
        ("forbid (principal is Client, action == Action::\"notes.add\", resource);", false),
        ("permit (principal is Client, action in Action::\"read\", resource);", false),
        ("permit (principal is Client, action == Action::\"items.list\", resource);", false),
        ("permit (principal is Anonymous, action == Action::\"notes.add\", resource);", false),
        ("permit (principal is Client, action == Action::\"notes.add\", resource == Api::\"items\");", false),
    ] {
        let text = MAIN.replace(scope, other);
        assert_ne!(text, MAIN);
        let expected = if permits { vec![] } else { vec![(place.0.clone(), place.1, place.2, denied.to_owned())] };
        assert_eq!(told(&[("main.cedar", &text)]), expected, "{other}");
    }
    let text = MAIN.replace(scope, "forbid (principal is Anonymous, action == Action::\"notes.add\", resource);");
    let remedy = &warnings(&[("main.cedar", &text)])[0].remedy;
    assert!(
        remedy.contains("permit (principal is Client, action == Action::\"notes.add\", resource == Api::\"notes\")")
    );
}

#[test]
fn a_permit_for_a_client_that_the_api_does_not_admit_permits_nothing() {
    let group = "permit (principal is Client, action in Action::\"read\", resource == Api::\"items\")";
    let only = |client: &str| {
        MAIN.replace(
            group,
            &format!("permit (principal == Client::\"{client}\", action in Action::\"read\", resource)"),
        )
    };
    // `items` takes registered clients of one issuer.
    assert_eq!(told(&[("main.cedar", &only("https://as.test#shop"))]), []);
    for client in ["https://other.test#shop", "https://as.test#guest"] {
        let told = told(&[("main.cedar", &only(client))]);
        let places: Vec<_> = told.iter().map(|(file, line, column, _)| (file.as_str(), *line, *column)).collect();
        assert_eq!(places, [("apis.yaml", 13, 66)], "{told:#?}");
        assert!(told[0].3.contains("`items.get` of API `items`"), "{told:#?}");
    }
}

#[test]
fn an_action_that_nothing_permits_is_told_once_and_only_where_it_matters() {
    let operation = "- { method: POST, path: /notes, action: notes.add }";
    let text = MAIN.replace(
        "permit (principal is Client, action == Action::\"notes.add",
        "forbid (principal is Client, action == Action::\"notes.add",
    );
    let twice =
        APIS.replace(operation, &format!("{operation}\n      - {{ method: PUT, path: /notes, action: notes.add }}"));
    assert_eq!(told(&[("main.cedar", &text), ("apis.yaml", &twice)]).len(), 1);
    let public = APIS.replace(operation, "- { method: POST, path: /notes, action: notes.add, public: true }");
    assert_eq!(told(&[("main.cedar", &text), ("apis.yaml", &public)]), []);
    let observed = APIS.replace("relax: [binding]", "relax: [policy]");
    let told = told(&[("main.cedar", &text), ("apis.yaml", &observed)]);
    assert!(
        told.len() == 1 && told[0].3.ends_with("every request to it is denied, or let pass by observe mode alone"),
        "{told:#?}"
    );
    // Where a policy cannot be read, it may be the one that permits.
    let broken =
        MAIN.replace("action == Action::\"notes.add\", resource);", "action == Action::\"notes.add\", resource;");
    let problems = load_in(&bundle(&[("main.cedar", &broken)]), |_| {}).err().unwrap();
    assert!(problems.iter().all(Problem::is_error), "{problems:#?}");
}

/// The good bundle with notes open to whoever brings no valid token, and this guardrail.
fn lenient(guardrails: &str) -> Vec<(String, usize, usize, String)> {
    let apis = APIS.replace("relax: [binding]", "relax: [credential, token, client, binding, policy]");
    let told = told(&[("apis.yaml", &apis), ("guardrails.cedar", guardrails)]);
    assert!(told.iter().all(|(file, ..)| file == "guardrails.cedar"), "{told:#?}");
    told
}

#[test]
fn a_guardrail_that_is_passed_by_leaving_the_token_out_is_told() {
    assert_eq!(told(&[]), [], "nobody is let pass without a token");
    let what = "whoever brings no valid token passes this guardrail: API `notes` relaxes `credential`, and guardrails on \
                action `notes.add` are then asked about Anonymous";
    assert_eq!(lenient(GUARDRAILS), [("guardrails.cedar".to_owned(), 3, 1, what.to_owned())]);
    let head = "@id(\"g\") @reason(\"r\") ";
    for (guardrail, passed) in [
        ("forbid (principal is Client, action, resource);", true),
        ("forbid (principal == Client::\"https://as.test#shop\", action, resource);", true),
        (
            "forbid (principal, action in Action::\"write\", resource) when { principal is Client && principal.kind == \"a\" };",
            true,
        ),
        (
            "forbid (principal, action in Action::\"write\", resource) unless { principal is Anonymous || principal.kind == \"a\" };",
            true,
        ),
        (
            "forbid (principal, action in Action::\"write\", resource) when { context has token && !(context.token.scopes.contains(\"a\")) };",
            true,
        ),
        ("forbid (principal, action in Action::\"write\", resource) when { context has token.subject };", true),
        (
            "forbid (principal, action in Action::\"write\", resource) when { if principal is Client then principal.kind == \"a\" else false };",
            true,
        ),
        (
            "forbid (principal is Client, action in [Action::\"write\"], resource) when { resource.sensitivity == \"low\" };",
            true,
        ),
        // It says something about whoever asks.
        (
            "forbid (principal, action in Action::\"write\", resource) when { context.http.host == \"notes.test\" };",
            false,
        ),
        (
            "forbid (principal, action in Action::\"write\", resource) unless { principal is Client && principal.kind == \"a\" };",
            false,
        ),
        (
            "forbid (principal, action in Action::\"write\", resource) unless { context has proof && context.proof.method == \"dpop\" };",
            false,
        ),
        // It is not about this API, or not about its operation.
        ("forbid (principal is Client, action in Action::\"read\", resource);", false),
        ("forbid (principal is Client, action, resource == Api::\"items\");", false),
        ("forbid (principal is Client, action, resource) when { resource.sensitivity == \"high\" };", false),
        ("forbid (principal is Client, action, resource) when { action in [Action::\"read\"] };", false),
        ("forbid (principal is Client, action, resource) unless { action == Action::\"notes.add\" };", false),
        ("forbid (principal is Client, action, resource) when { resource != Api::\"notes\" };", false),
    ] {
        let told = lenient(&format!("{head}{guardrail}\n"));
        assert_eq!(told.len(), usize::from(passed), "{guardrail}: {told:#?}");
        for (_, line, column, words) in told {
            assert_eq!((line, column), (1, head.len() + 1), "{guardrail}");
            assert!(words.contains("passes this guardrail"), "{words}");
        }
    }
}

#[test]
fn a_guardrail_need_not_hold_where_another_one_stops_whoever_has_no_token() {
    let proof = "@id(\"proof\") @reason(\"r\") forbid (principal, action in Action::\"write\", resource) unless { context has proof && context.proof.method != \"none\" };\n";
    assert_eq!(lenient(&format!("{GUARDRAILS}{proof}")), []);
    // One that may stop them and may not is not enough.
    let perhaps = proof.replace("unless { ", "when { context.http.host == \"notes.test\" } unless { ");
    assert_eq!(lenient(&format!("{GUARDRAILS}{perhaps}")).len(), 1);
    let elsewhere = proof.replace("resource)", "resource == Api::\"items\")");
    assert_eq!(lenient(&format!("{GUARDRAILS}{elsewhere}")).len(), 1);
    // What is public is open to all anyway.
    let public = APIS.replace("action: notes.add }", "action: notes.add, public: true }");
    assert_eq!(told(&[("apis.yaml", &public), ("schema.cedarschema", SCHEMA)]), []);
}
