//! Every bound on what a caller controls, on both sides: what is just within is judged on its merits, one more is refused.
//!
//! `docs/limits.md` is rendered from here; each constant of `src/decision/limits.rs` must be in it.

mod table;
mod told;

use std::fmt::Write as _;
use std::path::Path;

use table::all;

use crate::support::{Encoding, Good, Memory, NOW, judge};

/// One bound.
struct Limit {
    /// The constant, or what stands for it.
    name: &'static str,
    value: String,
    /// What it bounds.
    what: &'static str,
    shown: Shown,
}

enum Shown {
    /// The largest that is taken, with its code, and the next, with its code.
    Here(Box<Good>, &'static str, Box<Good>, &'static str),
    /// By another test.
    There(&'static str),
}

fn here(
    name: &'static str,
    value: usize,
    what: &'static str,
    within: (Good, &'static str),
    beyond: (Good, &'static str),
) -> Limit {
    let shown = Shown::Here(Box::new(within.0), within.1, Box::new(beyond.0), beyond.1);
    Limit { name, value: value.to_string(), what, shown }
}

fn there(name: &'static str, value: &dyn ToString, what: &'static str, test: &'static str) -> Limit {
    Limit { name, value: value.to_string(), what, shown: Shown::There(test) }
}

/// The largest size up to `most` at which `measure` is within `limit`, and the next.
fn around(limit: usize, most: usize, measure: impl Fn(usize) -> usize) -> (usize, usize) {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if measure(middle) <= limit { low = middle } else { high = middle - 1 }
    }
    assert!(measure(low) <= limit && measure(low + 1) > limit, "{limit} is met");
    (low, low + 1)
}

#[test]
fn every_limit_is_met_and_not_passed() {
    let mut wrong = Vec::new();
    for limit in all() {
        let Shown::Here(within, code, beyond, refused) = limit.shown else { continue };
        for (good, expected) in [(within, code), (beyond, refused)] {
            let actual = judge(&good.build(), Encoding::Raw, &Memory::new(10, 100), NOW).code;
            if actual != expected {
                wrong.push(format!("{}: expected {expected}, got {actual}", limit.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_of_limits_is_up_to_date_and_has_every_constant() {
    let mut page = HEAD.to_owned();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = text_below(&root.join("tests")) + &text_below(&root.join("src"));
    let clauses = std::fs::read_to_string(root.join("docs/conformance.md")).unwrap();
    for Limit { name, value, what, shown } in all() {
        let (beyond, by) = match shown {
            Shown::Here(.., refused) => (format!("`{refused}`"), "`every_limit_is_met_and_not_passed`".to_owned()),
            Shown::There(test) => {
                assert!(tests.contains(&format!("fn {test}()")) || clauses.contains(&format!("| {test} |")), "{test}");
                (String::new(), format!("`{test}`"))
            }
        };
        writeln!(page, "| `{name}` | {value} | {what} | {beyond} | {by} |").unwrap();
    }
    let source = std::fs::read_to_string(root.join("src/decision/limits.rs")).unwrap();
    for constant in source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next()) {
        assert!(page.contains(&format!("| `{constant}` |")), "{constant} is missing");
    }
    let path = root.join("docs/limits.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == page, "docs/limits.md is stale: run UPDATE_DOCS=1 cargo test --test hostile limits");
}

/// The text of every Rust file below a folder.
fn text_below(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&text_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    text
}

const HEAD: &str = "\
# Limits

Every bound on what a caller controls. Names in capitals are those of `src/decision/limits.rs`, where each says where its number comes
from. What is within a limit is judged on its merits; one more is refused with the code. Rendered from `tests/hostile/limits.rs`
(`UPDATE_DOCS=1 cargo test --test hostile limits`), which tries both sides; clauses are those of [`conformance.md`](conformance.md).

| limit | value | of | beyond it | shown by |
|---|---|---|---|---|
";
