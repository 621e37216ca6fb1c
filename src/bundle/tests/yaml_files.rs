//! `apis.yaml` and `clients.yaml`: each refusal is one change from the good bundle, and has an allowed twin.

use super::{APIS, NOW, bundle, load_in, refuse, row, take, warn};
use crate::bundle::{apis_schema, clients_schema};
use crate::decision::client::ClientId;
use crate::decision::denial::Class;
use crate::decision::leniency::Waiver;
use crate::decision::route::ProofDemand;
use crate::yaml::shape::assert_known_keywords;

const A: &str = "apis.yaml";
const C: &str = "clients.yaml";

#[test]
fn the_schemas_have_only_keywords_that_the_check_knows() {
    assert_known_keywords(&apis_schema());
    assert_known_keywords(&clients_schema());
}

#[test]
fn values_arrive_as_they_are_written() {
    let bundle = take(A, "id: items", "id: items");
    let [items, notes] = bundle.inventory.apis() else { panic!("two APIs") };
    assert_eq!(
        (items.owner.as_str(), items.sensitivity.name(), items.proof),
        ("items-team", "high", ProofDemand::Required)
    );
    assert_eq!((items.nonces, items.registered_clients, items.max_token_lifetime_seconds), (false, true, Some(300)));
    assert_eq!(items.hosts[0].0, "items.test");
    assert_eq!(items.operations[1].methods, ["GET", "HEAD"]);
    assert!(items.operations[2].public && !items.operations[0].public);
    let shop = ClientId { issuer: "https://as.test".into(), id: "shop".into() };
    let end = 1_806_451_200; // 2027-03-31
    assert!(items.leniency.waives(Waiver::Proof, &shop, end - 1));
    assert!(!items.leniency.waives(Waiver::Proof, &shop, end));
    assert_eq!(notes.leniency.relaxed, [Class::Binding]);
    assert!(!notes.registered_clients);
    assert_eq!(bundle.clients.admit(&shop, true, NOW).unwrap().unwrap().purposes, ["selling"]);
}

#[test]
fn keys_types_and_words_are_checked() {
    row(A, "owner: items-team", "^ownr: x", "unknown key `ownr`", "did you mean `owner`", "owner: y");
    row(A, "owner: items-team", "owner: x\n    ^owner: y", "here twice", "keep one", "owner: y");
    row(A, "sensitivity: low", "sensitivity: ^none", "not a value", "low, medium, high", "sensitivity: medium");
    row(A, "proof: dpop", "proof: ^bearer", "not a value", "required, mtls, dpop, none", "proof: mtls");
    row(
        A,
        "proof: dpop",
        "proof: dpop\n    nonces: ^on",
        "not a value",
        "off, required",
        "proof: dpop\n    nonces: off",
    );
    row(A, "clients: any", "clients: ^all", "not a value", "registered, any", "clients: registered");
    row(
        A,
        "relax: [binding]",
        "relax: [^request]",
        "not a value",
        "credential, token, client, binding, policy",
        "relax: [policy]",
    );
    row(A, "waives: proof", "waives: ^binding", "not a value", "proof, token_lifetime", "waives: token_lifetime");
    row(A, "_seconds: 300", "_seconds: ^0", "out of range", "from 1 to 86400", "_seconds: 1");
    row(
        A,
        "{ notes.test: https://notes.test }",
        "^{}",
        "`hosts` is empty",
        "at least one",
        "{ a.test: https://a.test }",
    );
    row(A, "[GET, HEAD]", "^7", "a whole number, not text", "quotes", "PUT");
    row(A, "public: true", "public: ^yes", "text, not true or false", "true or false", "public: true");
    row(
        C,
        "kind: partner",
        "kind: partner, ^purpose: a",
        "unknown key `purpose`",
        "did you mean `purposes`",
        "kind: partner, purposes: [a]",
    );
    row(
        C,
        "{ issuer: https://other.test, id: shop, owner: others,",
        "^{ issuer: https://other.test, id: shop,",
        "`owner` is missing",
        "add `owner`: Who answers",
        "{ issuer: https://other.test, id: shop, owner: another,",
    );
}

#[test]
fn ids_owners_and_reasons_say_something() {
    row(A, "id: notes", "id: ^Notes", "no id of an API", "a-z", "id: notes-2");
    row(A, "id: notes", "id: ^items", "two APIs", "its own id", "id: items2");
    row(A, "owner: notes-team", "owner: ^' '", "says nothing", "who or why", "owner: Notes Team");
    row(A, "reason: not ready", "reason: ^\"a\\nb\"", "one line", "256", "reason: \"a b\"");
    row(C, "kind: partner", "kind: ^unregistered", "not in this file", "another word", "kind: registered");
    row(C, "kind: partner", "kind: ^Partner", "no kind", "a-z", "kind: partner-2");
    row(C, "purposes: [selling]", "purposes: [selling, ^to sell]", "no purpose", "a-z", "purposes: [selling, to-sell]");
    row(C, "purposes: [selling]", "purposes: [selling, ^selling]", "twice", "keep one", "purposes: [selling, sold]");
    row(
        C,
        "https://other.test, id: shop",
        "https://as.test, id: ^shop",
        "here twice",
        "keep one",
        "https://as.test, id: shop2",
    );
    row(
        C,
        "https://other.test, id",
        "^https://nobody.test, id",
        "not configured",
        "https://as.test, https://other.test",
        "https://other.test, id",
    );
}

#[test]
fn hosts_and_origins_are_those_of_requests_and_proofs() {
    let hosts = "{ notes.test: https://notes.test }";
    let bad_host = |host: &str| format!("{{ ^{host}: https://notes.test }}");
    for host in ["Notes.test", "notes.test/x", "'notes.test:443'", "'https://notes.test'", "'a b'", "'[::1]:8'", "''"] {
        refuse(A, hosts, &bad_host(host), "no request host", "lower case");
    }
    for good in
        ["{ internal.test: https://notes.test }", "{ '[::1]': https://notes.test }", "{ a_b.test: https://notes.test }"]
    {
        take(A, hosts, good);
    }
    for origin in
        ["notes.test", "https://notes.test/", "https://notes.test/x", "ftp://notes.test", "https://u@notes.test"]
    {
        refuse(A, hosts, &format!("{{ notes.test: ^{origin} }}"), "no origin", "https://notes.test");
    }
    row(
        A,
        hosts,
        "{ notes.test: ^http://notes.test }",
        "not https",
        "loopback",
        "{ notes.test: http://127.0.0.1:8080 }",
    );
    row(
        A,
        hosts,
        "{ items.test: ^https://items.test:8443 }",
        "API `items`",
        "same origin",
        "{ items.test: https://items.test:443 }",
    );
}

#[test]
fn issuers_audiences_and_demands_can_be_met() {
    let issuers = "[https://as.test, https://other.test]";
    row(
        A,
        issuers,
        "[https://as.test, ^https://as.test/]",
        "not configured",
        "https://other.test",
        "[https://other.test]",
    );
    row(A, issuers, "[https://as.test, ^https://as.test]", "twice", "keep one", "[https://as.test]");
    row(
        A,
        "[https://api.test]",
        "[^https://other-api.test]",
        "none of its issuers'",
        "https://api.test",
        "[https://api.test]",
    );
    warn(
        A,
        "proof: dpop",
        "audiences: ^[https://api.test]\n    proof: dpop",
        "no token of `https://other.test`",
        "https://other-api.test",
    );
    warn(A, "max_token_lifetime_seconds: 300", "max_token_lifetime_seconds: ^3600", "narrows nothing", "lower it");
    let mtls = APIS.replace("proof: dpop", "proof: mtls");
    let problems = load_in(&bundle(&[(A, &mtls)]), |surroundings| surroundings.certificates = false).err().unwrap();
    assert!(problems[0].what.contains("nobody can meet this demand") && problems[0].place.line == 26, "{problems:#?}");
    assert!(load_in(&bundle(&[(A, &mtls)]), |_| {}).is_ok());
}

#[test]
fn under_profile_fapi2_nonces_are_asked_for_unless_the_api_says_otherwise() {
    let nonces = |apis: &str| {
        let (loaded, _) = load_in(&bundle(&[(A, apis)]), |surroundings| surroundings.fapi2 = true).unwrap();
        loaded.inventory.apis().iter().map(|api| api.nonces).collect::<Vec<_>>()
    };
    assert_eq!(nonces(APIS), [true, true]);
    assert_eq!(nonces(&APIS.replace("proof: dpop", "proof: dpop\n    nonces: off")), [true, false]);
    let none = APIS.replace("proof: dpop", "proof: none");
    let (_, warnings) = load_in(&bundle(&[(A, &none)]), |surroundings| surroundings.fapi2 = true).unwrap();
    assert!(warnings.len() == 1 && warnings[0].what.contains("profile fapi2"), "{warnings:#?}");
}

#[test]
fn operations_are_well_formed_and_have_an_action_that_applies() {
    let list = "{ method: GET, path: /items, action: items.list, scopes: [items.read] }";
    let refused = |with: &str, what: &str, remedy: &str| refuse(A, list, &format!("{{ {with} }}"), what, remedy);
    refused("method: GET, path: ^items, action: items.list", "begins with `/`", "Envoy");
    refused(
        "method: GET, path: '^/items/x{b}', action: items.list".replace("'^", "^'").as_str(),
        "whole segment",
        "Envoy",
    );
    refused("method: GET, path: ^/items//x, action: items.list", "canonical", "Envoy");
    refused("method: ^G T, path: /items, action: items.list", "no method", "one word");
    refused("method: [GET, ^GET], path: /items, action: items.list", "twice", "keep one");
    refused("method: GET, path: /items, action: ^items.lst", "applies to nothing", "did you mean `items.list`");
    refused("method: GET, path: /items, action: ^read", "applies to nothing", "known here");
    refused("method: GET, path: /items, action: items.list, scopes: [a, ^'b c']", "no scope", "RFC 6749");
    refused("method: GET, path: /items, action: items.list, scopes: [a, ^a]", "twice", "keep one");
    refused(
        "method: GET, path: /items, action: ^items.list, public: true",
        "does not apply to Anonymous",
        "write `principal: [Client, Anonymous]` for action \"items.list\"",
    );
    refused("method: GET, path: /items, action: ^health", "does not apply to Client", "principal: [Client, Anonymous]");
    refuse(
        A,
        "action: health, public: true }",
        "action: health, public: true, scopes: ^[a] }",
        "asks for no token",
        "remove",
    );
    warn(A, "method: [GET, HEAD]", "method: [GET, ^get]", "matched exactly", "GET");
    take(A, list, "{ method: [GET, QUERY], path: /items, action: items.list, scopes: [a, 'b:c'] }");
}

#[test]
fn two_operations_for_one_request_are_told_at_the_later() {
    let add = "{ method: POST, path: /notes, action: notes.add }";
    let hosts = "{ notes.test: https://notes.test }";
    let same_host = APIS.replace(hosts, "{ items.test: https://items.test }");
    for (other, bad) in [
        ("{ method: POST, path: '/items/{x}', action: notes.add }", false),
        ("{ method: GET, path: '/items/{x}', action: notes.add }", true),
        ("{ method: POST, path: '/{x}/y', action: notes.add }", true),
        ("{ method: GET, path: /items, action: notes.add }", true),
        ("{ method: POST, path: /items, action: notes.add }", false),
    ] {
        let problems = load_in(&bundle(&[(A, &same_host.replace(add, other))]), |_| {}).err().unwrap_or_default();
        assert_eq!(problems.len(), usize::from(bad), "{other}: {problems:#?}");
        for problem in problems {
            assert_eq!(
                (problem.place.line, problem.place.column),
                (31, other.find("path: ").unwrap() + 15),
                "{problem}"
            );
            assert!(problem.what.contains("of API `items`") && problem.what.contains("items.test"), "{problem}");
        }
    }
}

#[test]
fn observe_mode_says_what_it_relaxes_and_can_be_walked_to_its_end() {
    let observe = "mode: observe\n    relax: [binding]";
    row(A, observe, "relax: ^[binding]", "without observe mode", "mode: observe", "mode: enforce");
    row(A, observe, "mode: ^observe", "relaxes nothing", "add `relax`", "mode: observe\n    relax: [client, policy]");
    row(A, "relax: [binding]", "relax: [binding, ^binding]", "twice", "keep one", "relax: [binding, policy]");
    refuse(
        A,
        "relax: [binding]",
        "relax: ^[token, binding]",
        "`client, policy` has nothing to judge",
        "add client, policy to `relax`",
    );
    let all = APIS.replace("relax: [binding]", "relax: [token, client, binding, policy]");
    assert!(load_in(&bundle(&[(A, &all)]), |_| {}).is_ok());
    refuse(
        A,
        "relax: [binding]\n    operations:\n      - { method: POST, path: /notes, action: notes.add }",
        "relax: [credential, token, client, binding, policy]\n    operations:\n      - { method: POST, path: /notes, action: ^items.list }",
        "the API relaxes `credential`",
        "`principal: [Client, Anonymous]`",
    );
    warn(
        A,
        "sensitivity: low\n    hosts: { notes.test: https://notes.test }\n    issuers: [https://as.test, https://other.test]\n    proof: dpop\n    clients: any\n    mode: observe",
        "sensitivity: high\n    hosts: { notes.test: https://notes.test }\n    issuers: [https://as.test, https://other.test]\n    proof: dpop\n    clients: any\n    mode: ^observe",
        "high sensitivity",
        "guardrails.cedar",
    );
}

#[test]
fn exceptions_are_for_a_client_a_demand_and_half_a_year() {
    let client = "{ issuer: https://as.test, id: shop }";
    row(A, client, "{ issuer: https://as.test, id: ^shp }", "not registered", "clients.yaml", client);
    row(A, client, "{ issuer: ^https://other.test, id: shop }", "accepts no tokens", "https://as.test", client);
    // NOW is 2026-12-01; 180 days later it is 2027-05-30.
    let expires = "expires: 2027-03-31";
    row(A, expires, "expires: ^2027-05-31", "more than 180 days", "nearer", "expires: 2027-05-30");
    row(A, expires, "expires: ^2027-02-29", "no date", "YYYY-MM-DD", "expires: 2027-02-28");
    row(A, expires, "expires: ^31.03.2027", "no date", "YYYY-MM-DD", "expires: '2027-03-31'");
    warn(A, expires, "expires: ^2026-12-01", "has ended", "renew");
    take(A, expires, "expires: 2026-12-02");
    refuse(A, "waives: proof", "waives: proof\n        ^expire: x", "unknown key", "did you mean `expires`");
    let second = "\n      - { client: ^{ issuer: https://as.test, id: shop }, waives: proof, reason: r, owner: o, expires: 2027-01-01 }";
    refuse(A, expires, &format!("{expires}{second}"), "two exceptions", "keep one");
    take(
        A,
        expires,
        &format!("{expires}{}", second.replace("waives: proof", "waives: token_lifetime").replace('^', "")),
    );
    let lifetime = "max_token_lifetime_seconds: 300\n";
    let rest = &APIS[APIS.find(lifetime).unwrap() + lifetime.len()..APIS.find("        reason: not").unwrap()];
    let without = rest.replace("waives: proof", "waives: ^token_lifetime");
    refuse(
        A,
        &format!("{lifetime}{rest}"),
        without.trim_start_matches("    ").to_string().as_str(),
        "no ceiling to waive",
        "cannot be waived",
    );
    let bearer = format!("proof: required\n    {lifetime}{rest}");
    let without = bearer.replace("proof: required", "proof: none").replace("waives: proof", "waives: ^proof");
    refuse(A, &bearer, &without, "no proof to waive", "proof: required");
}

#[test]
fn a_registration_that_ended_is_told() {
    row(C, "expires: 2027-06-30", "expires: ^2027-6-30", "no date", "YYYY-MM-DD", "expires: 2030-01-01");
    warn(C, "expires: 2027-06-30", "expires: ^2026-12-01", "has ended", "renew");
}
