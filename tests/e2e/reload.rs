//! Files change under a serving keybound: bad ones change no answer, good ones are served within the poll.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::lab::files::{Plan, bundle, replace, write_config_map};
use crate::lab::process::Signal;
use crate::lab::{Edge, Lab, told, until};
use crate::requests::{ISSUER, dpop, dpop_of};
use crate::support::keys;

/// A poll of one second, a load, and a busy machine.
const POLL: Duration = Duration::from_secs(5);

const FORBID_READING: &str = r#"
@id("closed")
@reason("closed for the day")
forbid (principal, action == Action::"items.read", resource);
"#;

fn loads(lab: &Lab, what: &str, outcome: &str) -> f64 {
    lab.metric("keybound_loads_total", &[("what", what), ("outcome", outcome)])
}

/// Waits until one more load came out like this.
fn one_more(lab: &Lab, what: &str, outcome: &str, before: f64) {
    until(&format!("{what} {outcome}"), POLL, || (loads(lab, what, outcome) > before).then_some(()));
}

/// Answers are what they were: one that is allowed, one that policy refuses, one that no key proves.
async fn unchanged(edge: &Edge) {
    edge.send(&dpop().build()).await.allowed();
    edge.send(&dpop().method("DELETE").build()).await.denied("policy_guardrail", 403);
    edge.send(&dpop().without("dpop").build()).await.denied("proof_missing", 400);
}

#[tokio::test]
async fn garbage_changes_nothing_and_is_told_with_its_place() {
    let lab = Lab::ready("garbage", &Plan::default());
    let edge = lab.edge();
    unchanged(&edge).await;
    let served = told::line("a line in the log", lab.log(), |line| line["message"] == "started")["revision"].clone();
    let broken_policy = format!("{FORBID_READING}\npermit (principal, action ==");
    let invalid_policy = r#"@id("x") @reason("y") permit (principal, action, resource) when { context.nothing };"#;
    for (file, text, place) in [
        ("schema.cedarschema", b"entity Client = {\n  broken".as_slice(), "schema.cedarschema:"),
        ("apis.yaml", b"apis:\n  - id: [", "apis.yaml:"),
        ("apis.yaml", b"apis: []\n", "apis.yaml:1:"),
        ("clients.yaml", b"clients:\n  - id: robot\n", "clients.yaml:2:"),
        ("policies.cedar", broken_policy.as_bytes(), "policies.cedar:"),
        ("policies.cedar", invalid_policy.as_bytes(), "policies.cedar:1:"),
        ("policies.cedar", b"\xFF\xFE", "policies.cedar:1:1"),
        ("guardrails.cedar", b"forbid (principal, action, resource);", "guardrails.cedar:1:1"),
        ("more.cedar", b"permit", "more.cedar:1:"),
    ] {
        let good = bundle().remove(file);
        let (refused, taken) = (loads(&lab, "bundle", "refused"), loads(&lab, "bundle", "taken"));
        let path = lab.policies().join(file);
        let seen = told::length(lab.log());
        replace(&path, text);
        one_more(&lab, "bundle", "refused", refused);
        let told = told::line_after("a line in the log", lab.log(), seen, |line| {
            line["what"] == "bundle" && line["place"].is_string()
        });
        let found = told["place"].as_str().expect("a place");
        let position: Vec<_> = found.rsplit(':').take(2).map(str::parse::<u32>).collect();
        assert!(found.contains(&format!("/{place}")) && position.iter().all(Result::is_ok), "{file}: {told}");
        assert!(served.is_string() && told["revision"] == served, "{file}: {told}");
        assert!(told["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{told}");
        unchanged(&edge).await;
        match good {
            Some(good) => replace(&path, good),
            None => std::fs::remove_file(&path).unwrap(),
        }
        one_more(&lab, "bundle", "taken", taken);
    }
    unchanged(&edge).await;
}

#[tokio::test]
async fn whoever_asks_for_another_look_is_told_that_nothing_is_new() {
    let lab = Lab::ready("asked", &Plan::default());
    let started = told::line("a line in the log", lab.log(), |line| line["message"] == "started");
    let file = started["config_file"].as_str().expect("a file");
    assert!(Path::new(file).is_file(), "{started}");
    let quiet =
        |line: &serde_json::Value| line["message"].as_str().is_some_and(|said| said.starts_with("looked again"));
    // Polls say nothing.
    let refused = loads(&lab, "bundle", "refused");
    replace(&lab.policies().join("more.cedar"), "permit");
    one_more(&lab, "bundle", "refused", refused);
    let before = String::from_utf8(told::rest_of(lab.log(), 0)).expect("text");
    assert!(!before.contains("looked again"), "{before}");
    lab.keybound().signal(Signal::Hangup);
    let told = told::line("a line in the log", lab.log(), quiet);
    assert_eq!((&told["level"], &told["revision"]), (&json!("INFO"), &started["revision"]), "{told}");
}

#[tokio::test]
async fn a_missing_file_or_directory_changes_nothing() {
    let lab = Lab::ready("missing", &Plan::default());
    let edge = lab.edge();
    let away = lab.directory.join("away");
    for path in ["policies/apis.yaml", "policies"] {
        let refused = loads(&lab, "bundle", "refused");
        std::fs::rename(lab.directory.join(path), &away).unwrap();
        one_more(&lab, "bundle", "refused", refused);
        unchanged(&edge).await;
        std::fs::rename(&away, lab.directory.join(path)).unwrap();
        // Back again, and changed: it is read.
        let taken = loads(&lab, "bundle", "taken");
        replace(&lab.policies().join("more.cedar"), FORBID_READING);
        one_more(&lab, "bundle", "taken", taken);
        edge.send(&dpop().build()).await.denied("policy_forbidden", 403);
        let taken = loads(&lab, "bundle", "taken");
        std::fs::remove_file(lab.policies().join("more.cedar")).unwrap();
        one_more(&lab, "bundle", "taken", taken);
        unchanged(&edge).await;
    }
}

#[tokio::test]
async fn a_good_bundle_is_served_within_the_poll() {
    let lab = Lab::ready("reload", &Plan::default());
    let edge = lab.edge();
    edge.send(&dpop().build()).await.allowed();
    replace(&lab.policies().join("more.cedar"), FORBID_READING);
    let denied = served(&edge, "policy_forbidden").await;
    assert_eq!(denied["reason"], "closed for the day");
    // A bundle that is bad does not bring back what was before the last good one.
    let refused = loads(&lab, "bundle", "refused");
    replace(&lab.policies().join("apis.yaml"), "apis: 7\n");
    one_more(&lab, "bundle", "refused", refused);
    edge.send(&dpop().build()).await.denied("policy_forbidden", 403);
    replace(&lab.policies().join("apis.yaml"), &bundle()["apis.yaml"]);
    std::fs::remove_file(lab.policies().join("more.cedar")).unwrap();
    served(&edge, "allowed").await;
}

/// Waits until a fresh request comes to this; its decision.
async fn served(edge: &Edge, code: &str) -> serde_json::Value {
    let begun = Instant::now();
    loop {
        let answer = edge.send(&dpop().build()).await;
        if answer.code() == code {
            return answer.decision;
        }
        assert!(begun.elapsed() < POLL, "still {}", answer.code());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Enough policies to be seen while they are read.
const MANY: usize = 300;

#[tokio::test]
async fn bundles_are_read_anew_at_a_low_priority_and_by_nobody_who_judges() {
    let lab = Lab::ready("priority", &Plan::default());
    let edge = lab.edge();
    for times in 1..=2 {
        let taken = loads(&lab, "bundle", "taken");
        let policy = |id| FORBID_READING.replace("closed\"", &format!("closed-{times}-{id}\""));
        replace(&lab.policies().join("more.cedar"), (0..MANY).map(policy).collect::<String>());
        let reading = until("the bundle is read", POLL, || lab.keybound().nice("keybound-bundle").pop());
        assert_eq!(reading, 10);
        one_more(&lab, "bundle", "taken", taken);
        served(&edge, "policy_forbidden").await;
        let keybound = lab.keybound();
        assert_eq!(keybound.nice("keybound-reload"), [10], "one thread, whose priority nobody else inherits");
        let workers = keybound.nice("keybound-worker");
        assert!(!workers.is_empty() && workers.iter().all(|nice| *nice == 0), "{workers:?}");
        let others = ["keybound", "tokio-runtime-w", "tokio-rt-worker"].map(|name| keybound.nice(name)).concat();
        assert!(!others.is_empty() && others.iter().all(|nice| *nice == 0), "{others:?}");
    }
}

#[tokio::test]
async fn a_config_map_swap_is_noticed() {
    let lab = Lab::ready("configmap", &Plan { config_map: true, ..Plan::default() });
    let edge = lab.edge();
    edge.send(&dpop().build()).await.allowed();
    let mut next = bundle();
    next.get_mut("policies.cedar").unwrap().push_str(FORBID_READING);
    write_config_map(&lab.policies(), &next, "..second");
    assert_eq!(served(&edge, "policy_forbidden").await["reason"], "closed for the day");
    // What one version left behind counts no more once it is gone.
    std::fs::remove_dir_all(lab.policies().join("..first")).unwrap();
    write_config_map(&lab.policies(), &bundle(), "..third");
    served(&edge, "allowed").await;
}

#[tokio::test]
async fn a_hangup_reloads_at_once() {
    let lab = Lab::ready("hangup", &Plan { poll_seconds: 60, ..Plan::default() });
    let edge = lab.edge();
    replace(&lab.policies().join("more.cedar"), FORBID_READING);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    edge.send(&dpop().build()).await.allowed();
    lab.keybound().signal(Signal::Hangup);
    served(&edge, "policy_forbidden").await;
    // Keys too.
    rotate(&lab.directory.join("keys.json"));
    lab.keybound().signal(Signal::Hangup);
    served(&edge, "token_key_unknown").await;
}

/// The old key leaves, a new one comes.
fn rotate(path: &Path) {
    replace(path, json!({"keys": [keys().second.jwk_as("new", &json!({}))]}).to_string());
}

#[tokio::test]
async fn rotated_keys_are_served_and_old_ones_are_not() {
    let lab = Lab::ready("rotate", &Plan::default());
    let edge = lab.edge();
    let path = lab.directory.join("keys.json");
    let with_new_key = || dpop_of(ISSUER, "new", &keys().second);
    edge.send(&dpop().build()).await.allowed();
    edge.send(&with_new_key()).await.denied("token_key_unknown", 401);
    for garbage in ["", "{}", "{\"keys\": 1}"] {
        let (refused, seen) = (loads(&lab, "keys", "refused"), told::length(lab.log()));
        replace(&path, garbage);
        one_more(&lab, "keys", "refused", refused);
        let told = told::line_after("a line in the log", lab.log(), seen, |line| {
            line["what"] == "keys" && line["place"].is_string()
        });
        assert!(told["place"].as_str().is_some_and(|place| place.ends_with("keys.json:1:1")), "{told}");
        edge.send(&dpop().build()).await.allowed();
    }
    let (taken, seen) = (loads(&lab, "keys", "taken"), told::length(lab.log()));
    rotate(&path);
    one_more(&lab, "keys", "taken", taken);
    let told = told::line_after("a line in the log", lab.log(), seen, |line| line["what"] == "keys");
    assert_eq!((&told["issuer"], &told["keys"]), (&json!(ISSUER), &json!(1)), "{told}");
    assert_eq!(told["digest"].as_str().map(str::len), Some(64), "{told}");
    let denied = edge.send(&dpop().build()).await;
    denied.denied("token_key_unknown", 401);
    assert_eq!(denied.log_line()["issuer"], ISSUER, "whose token it was is told");
    assert_eq!(denied.log_line()["client"], json!(null), "who sent it is not known");
    edge.send(&with_new_key()).await.allowed();
    // A sound set without a key that verifies anything says that there is none.
    for withdrawn in ["{\"keys\": []}", "{\"keys\": [{\"kty\": \"oct\", \"k\": \"AAAA\"}]}"] {
        let taken = loads(&lab, "keys", "taken");
        replace(&path, withdrawn);
        one_more(&lab, "keys", "taken", taken);
        edge.send(&with_new_key()).await.denied("fault_keys_unavailable", 503);
        let taken = loads(&lab, "keys", "taken");
        rotate(&path);
        one_more(&lab, "keys", "taken", taken);
        edge.send(&with_new_key()).await.allowed();
    }
}
