//! The table of denials: `docs/denials.md` is printed from the enum, and every denial is provoked somewhere.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use keybound::decision::denial::{Class, Denial, OauthError, Softens};

use crate::source::{Kind, root, rust_below};

const HEAD: &str = "\
# Denials

Every way to say no. The code is the contract: log field, metric label, dynamic metadata and test expectation are the same
word. This page is written from the code: `UPDATE_DOCS=1 cargo test --test tidy denials` renews it, and a test fails when it is
stale.

- A caller reads the status, one text per class and the decision's id, which leads to the code; never the code itself. Only
  `credential_repeated` and `proof_nonce_required` have words of their own in the challenge: those that the RFC gives.
- *OAuth error* stands in `WWW-Authenticate`. A 401 without one lists the schemes that the API takes.
- *Observe* says whether an API in observe mode lets it pass when it relaxes the class; what never softens is denied in every
  mode.

## Not denied

| code | the request |
|---|---|
| `allowed` | was proven, where the API demands it, and permitted |
| `public` | is for an operation that is declared public: nobody was proven |
| `observed` | went on although it would have been denied: the API observes, `would_be` has the code. Nobody was proven, and no identity goes with it |
| `answered` | asked for the API's metadata (RFC 9728), and was answered at once |

## Answers that carry no decision

Not every 4xx and 5xx is keybound's. `details` in the access log of the shipped Envoy (`%RESPONSE_CODE_DETAILS%`) says whose it
is. Where it is neither `ext_authz_denied` nor `via_upstream`, Envoy answered by itself: the caller reads no problem document.
`decision` is what the access log has beside it, `ext_authz.keybound.*` are Envoy's counters below `http.edge`.

| `details` | status | `decision` | what happened | look at |
|---|---|---|---|---|
| `ext_authz_denied` | that of the code | the denial | keybound refused: the tables below. `answered` comes this way too | `code`, `decision_id` |
| `ext_authz_error` at once | 503 | none | keybound is not there: stopped, not reachable, TLS refused, or Envoy's circuit breaker is open. keybound's log has no decision | the process, `/livez`; `cluster.keybound.health_check.failure`, `.upstream_cx_connect_fail`, `.upstream_rq_pending_overflow`; TLS: keybound's log has the handshakes that failed and the callers turned away |
| `ext_authz_error` after the filter's `timeout` (0.25 s) | 503 | none | keybound did not answer in time. The request is not decided: a decision that came later is in keybound's log and was not used, and its proof may be spent | `cluster.keybound.upstream_rq_timeout`; CPU and throttling of keybound; whether the filter's `timeout` is above `limits.deadline_milliseconds`, so that lateness becomes `fault_deadline` |
| `ext_authz_invalid` | 500 | `allowed` | keybound allowed, and Envoy refuses the header changes of the answer as a whole: the API did not see the request | `decoder_header_mutation_rules` against `upstream.identity_headers` and `upstream.strip_credentials`; `ext_authz.keybound.invalid` |
| `route_not_found` | 404 | none | Envoy has no route for this host and path: keybound was not asked | `virtual_hosts[].domains` against `hosts` in `apis.yaml` |
| `path_normalization_failed` | 400 | none | Envoy refuses the path (`%2F` and its kin) before anybody is asked | the client |
| `upstream_reset_before_response_started{…}`, `no_healthy_upstream`; `response_timeout` | 503; 504 | `allowed` | keybound allowed, and the API did not answer | the API |

The status of `ext_authz_error` is that of `status_on_error`; its body, like that of `ext_authz_invalid`, is empty.
";

/// Denials that no row of the conformance table can provoke, and where they are shown instead.
const BEYOND_CONFORMANCE: &[(Denial, &str)] = &[
    (
        Denial::FaultOverloaded,
        "answered by the service before a check is judged: needs more checks at once than the bound",
    ),
    (
        Denial::FaultSpentStoreUnavailable,
        "the memory that replicas share is silent: needs a Redis that is stopped, which `stores` and `e2e` have",
    ),
    (Denial::FaultDeadline, "answered by the gate when the judgement was late: needs a clock that runs"),
    (Denial::FaultInternal, "a defect: there is no request that should provoke it"),
];

/// The page.
fn page() -> String {
    let mut page = HEAD.to_owned();
    for class in Class::ALL {
        writeln!(page, "\n## `{}`\n\nThe caller reads: “{}”.\n", class.name(), class.text()).unwrap();
        page.push_str("| code | status | OAuth error | observe | meaning |\n|---|---|---|---|---|\n");
        for row in Denial::ALL.iter().map(|denial| denial.row()).filter(|row| row.class == class) {
            let error = row.oauth.map_or("", OauthError::code);
            let error = if error.is_empty() { String::new() } else { format!("`{error}`") };
            let observe = match row.softens {
                Softens::Yes => "relaxes",
                Softens::Never => "never",
            };
            let meaning = row.meaning.replace('|', "\\|");
            writeln!(page, "| `{}` | {} | {error} | {observe} | {meaning} |", row.slug, row.status).unwrap();
        }
    }
    page
}

#[test]
fn the_page_of_denials_is_up_to_date() {
    let path = root().join("docs/denials.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(stored == page(), "docs/denials.md is stale: run UPDATE_DOCS=1 cargo test --test tidy denials");
}

#[test]
fn every_denial_is_on_the_page_in_the_section_of_its_class() {
    let page = page();
    let missing = Denial::ALL.iter().filter(|denial| {
        let heading = format!("## `{}`", denial.row().class.name());
        let section = page.split("\n## ").find(|section| format!("## {section}").starts_with(&heading));
        !section.is_some_and(|section| section.contains(&format!("| `{}` |", denial.slug())))
    });
    crate::none(missing.map(|denial| denial.slug()), "denials that the page does not tell");
}

/// The words of the conformance suite, comments apart: a row names a denial by its code or by its variant.
fn words_of_conformance() -> Option<BTreeSet<String>> {
    let sources = rust_below("tests/conformance");
    let tokens = sources.iter().flat_map(|source| &source.tokens);
    let named = tokens.filter(|token| matches!(token.kind, Kind::Word | Kind::Text)).map(|token| token.text.clone());
    (!sources.is_empty()).then(|| named.collect())
}

#[test]
fn every_denial_is_provoked_by_a_conformance_row_or_says_why_not() {
    // Until there is a conformance suite, there is nothing to hold against it.
    let Some(words) = words_of_conformance() else { return };
    let named = |denial: &Denial| words.contains(denial.slug()) || words.contains(&format!("{denial:?}"));
    let beyond = |denial: &Denial| BEYOND_CONFORMANCE.iter().any(|(other, _)| other == denial);
    let silent = Denial::ALL.iter().filter(|denial| !named(denial) && !beyond(denial));
    crate::none(silent.map(|denial| denial.slug()), "denials without a row in tests/conformance");
    let stale = BEYOND_CONFORMANCE.iter().filter(|(denial, _)| named(denial));
    crate::none(
        stale.map(|(denial, _)| denial.slug()),
        "denials that a row provokes after all: take them off the list",
    );
}
