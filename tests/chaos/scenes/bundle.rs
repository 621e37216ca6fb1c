//! The bundle becomes garbage, and then another one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::{CALM, Fault, RATE, Row, Scene, edge, loads, plan, wait_for_load};
use crate::lab::files::{bundle, write_config_map};
use crate::lab::process::Signal;
use crate::lab::{Lab, Plan};
use crate::load::{Load, settle, sleep};
use crate::mix::{Kind, Must, proving, steady_and};
use crate::requests::dpop;
use crate::send::Direct;
use crate::support::Encoding;

pub const REPLACED: Scene = Scene {
    faults: &[Fault {
        name: "bundle",
        done: "the bundle (a ConfigMap) becomes garbage, then swaps many times with another good one that permits and forbids \
               other things",
        meanwhile: "garbage changes nothing but the log and the metric; then each request is judged by one of the two. What \
                    neither of them allows is allowed at no time, though the policies of one and the guardrails of the other would",
        ends: "the last good bundle is served within the poll",
    }],
    play: replaced,
};

/// Would be permitted by the first bundle's policies, and is not forbidden by the second's guardrails.
const DELETES: &str = r#"
@id("items-delete")
@reason("robots may delete items")
permit (principal is Client, action == Action::"items.delete", resource is Api)
when { principal.kind == "robot" };
"#;

const SECOND_POLICIES: &str = r#"
@id("items-read")
@reason("clients may read items")
permit (principal is Client, action == Action::"items.read", resource is Api);
"#;

const SECOND_GUARDRAILS: &str = r#"
@id("no-creates")
@reason("items are not created from outside")
forbid (principal is Client, action == Action::"items.create", resource is Api);

@id("no-trial-deletes")
@reason("items are never deleted from outside, whoever asks")
forbid (principal, action == Action::"trial.delete", resource is Api);
"#;

type Files = BTreeMap<String, String>;

/// Robots create, the suspended do not read; nobody deletes.
fn first() -> Files {
    let mut files = bundle();
    files.get_mut("policies.cedar").expect("policies").push_str(DELETES);
    files
}

/// Nobody creates, the suspended read; nobody deletes.
fn second() -> Files {
    with(with(bundle(), "policies.cedar", SECOND_POLICIES), "guardrails.cedar", SECOND_GUARDRAILS)
}

fn with(mut files: Files, name: &str, text: &str) -> Files {
    files.insert(name.to_owned(), text.to_owned());
    files
}

/// What is allowed by one of them only, and what by neither.
fn kinds(create: Must, suspended: Must) -> [Kind; 3] {
    let groups = |good: crate::support::Good| good.token(|token| token.claims["groups"] = json!(["suspended"]));
    [
        proving("create", 3, create, || dpop().method("POST").path("/items")),
        proving("suspended", 3, suspended, move || groups(dpop())),
        proving("delete", 3, Must::Fail, || dpop().method("DELETE")),
    ]
}

/// The trap is one: a bundle of which one half is the first's and the other the second's lets robots delete.
fn a_mixture_would_allow() {
    let lab = Lab::ready("mixture", &Plan { bundle: with(first(), "guardrails.cedar", SECOND_GUARDRAILS), ..plan() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let direct = Direct::tcp(lab.ports.check).await;
        direct.check(&dpop().method("DELETE").build(), Encoding::Raw).await.allowed();
    });
}

fn replaced() -> Vec<Row> {
    a_mixture_would_allow();
    let lab = Lab::ready("replaced", &Plan { bundle: first(), config_map: true, ..plan() });
    let edge = edge(&lab, lab.ports.check);
    let load = Load::start(&edge, steady_and(kinds(Must::Pass, Must::Fail)), RATE);
    sleep(CALM);
    load.fault();
    let refused = loads(&lab, "bundle", "refused");
    let garbage = with(first(), "policies.cedar", "permit (principal, action, resource);\n}}} \u{0}");
    write_config_map(&lab.policies(), &garbage, "..garbage");
    wait_for_load(&lab, "bundle", "refused", refused);
    sleep(1000);
    load.mix(steady_and(kinds(Must::Either, Must::Either)));
    settle();
    for turn in 0..12 {
        let files = if turn % 2 == 0 { second() } else { first() };
        swap(&lab, &files, turn);
        sleep(250);
    }
    // Longer than a poll: every load so far is counted.
    sleep(1500);
    let taken = loads(&lab, "bundle", "taken");
    // A comment: its content is new.
    let last = with(second(), "policies.cedar", &format!("{SECOND_POLICIES}// the last one\n"));
    swap(&lab, &last, 99);
    wait_for_load(&lab, "bundle", "taken", taken);
    sleep(300);
    load.mix(steady_and(kinds(Must::Fail, Must::Pass)));
    load.healed();
    load.recover(Duration::from_secs(20));
    let figures = load.end();
    figures.well_in_fault();
    let swapped = figures.codes_of("create");
    assert!(swapped.len() > 1, "only one of the bundles was ever served: {swapped:?}");
    vec![("bundle", figures)]
}

fn swap(lab: &Lab, files: &Files, turn: usize) {
    write_config_map(&lab.policies(), files, &format!("..swap-{turn}"));
    lab.keybound().signal(Signal::Hangup);
}
