//! `docs/conformance.md`, rendered from the rows.

use std::fmt::Write as _;
use std::path::Path;

use crate::family::{FAMILIES, Family};
use crate::row::Envoy;

const HEAD: &str = "\
# Conformance

What keybound is held to, clause by clause. Every row is a test: one good request with one change, or a sequence of such requests
against one memory of spent proofs, judged in both header encodings of Envoy (the map, and the raw list of `encode_raw_headers`).
The code is the one that operators see; the error is the one that the client is told in `WWW-Authenticate`, whose fields the tests
compare whole. Every refused request is also judged unchanged, and then it is allowed.

The last column says what becomes of the row behind a real Envoy 1.40 with the settings of `deploy/envoy/envoy.yaml`, in both
encodings: *same* verdict with the same answer; stopped *by Envoy*, which asks nobody; *no handshake*, because the certificate does
not lead to the CA; *rewritten* by Envoy before it asks, and then judged and served as rewritten; or *not sent*, because no client
can. Listeners for rows whose certificate comes in a header forward it, as behind a hop that writes it.

Rendered from `tests/conformance/`; `UPDATE_DOCS=1 cargo test --test conformance` writes it anew.
";

fn render() -> String {
    let mut text = HEAD.to_owned();
    let (mut rows, mut refusing, mut sent) = (0, 0, 0);
    let mut sections = String::new();
    for family in FAMILIES {
        let (of_family, refused) = section(&mut sections, family);
        (rows, refusing) = (rows + of_family, refusing + refused);
        sent += family.table().iter().filter(|row| !matches!(row.envoy, Envoy::CannotSend(_))).count();
    }
    writeln!(text, "\n{rows} rows, {refusing} of them with a refusal, {sent} of them through a real Envoy too.")
        .unwrap();
    text.push_str(&sections);
    text
}

/// Writes the section of a family; its count of rows, and of rows that refuse.
fn section(text: &mut String, family: &Family) -> (usize, usize) {
    let rows = family.table();
    writeln!(text, "\n## {}: {}\n", family.prefix, family.title).unwrap();
    text.push_str("| clause | what holds | verdict | error | through Envoy |\n|---|---|---|---|---|\n");
    for row in &rows {
        let error = row.steps.iter().rev().find_map(|step| step.expect.error()).unwrap_or_default();
        let sentence = cell(&row.sentence);
        writeln!(text, "| {} | {sentence} | {} | {error} | {} |", row.id, row.expected(), through(&row.envoy)).unwrap();
    }
    if !family.throughout.is_empty() {
        text.push_str("\nChecked on every answer of every row:\n\n");
        list(text, family.throughout);
    }
    if !family.left_out.is_empty() {
        text.push_str("\nNot shown by a row, or only in part:\n\n");
        list(text, family.left_out);
    }
    (rows.len(), rows.iter().filter(|row| row.refuses()).count())
}

fn through(envoy: &Envoy) -> String {
    match envoy {
        Envoy::Same => "same".to_owned(),
        Envoy::Stops(status) => format!("{status} by Envoy"),
        Envoy::TurnsAway => "no handshake".to_owned(),
        Envoy::Becomes(expect) => format!("rewritten: {expect}"),
        Envoy::CannotSend(why) => format!("not sent: {why}"),
    }
}

fn list(text: &mut String, items: &[(&str, &str)]) {
    for (id, what) in items {
        writeln!(text, "- {id}: {what}").unwrap();
    }
}

fn cell(sentence: &str) -> String {
    sentence.replace('|', "\\|").replace('<', "&lt;")
}

#[test]
fn the_document_is_what_the_rows_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md");
    let rendered = render();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == rendered, "docs/conformance.md is stale: run UPDATE_DOCS=1 cargo test --test conformance");
}
