//! What is written: that documents name only what exists, and that no file tells where or with what it was made.
//!
//! The patterns are put together here, so that this file does not match itself.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::source::{Kind, files_below, relative, root, rust_below};

/// Directories of the root that are no part of the repository: version control, and what `.gitignore` names.
fn ignored() -> Vec<String> {
    let listed = std::fs::read_to_string(root().join(".gitignore")).unwrap();
    listed.lines().map(|line| line.trim_matches('/').to_owned()).chain([".git".to_owned()]).collect()
}

/// Every file of the repository.
fn files() -> Vec<PathBuf> {
    let ignored = ignored();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        if ignored.contains(&relative(&path)) {
            continue;
        }
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    assert!(files.len() > 80, "only {} files were found", files.len());
    files
}

fn text(path: &PathBuf) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

/// Every line of the repository that holds one of these, letter case apart.
fn lines_with(patterns: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for path in files() {
        for (index, line) in text(&path).lines().enumerate() {
            let lower = line.to_lowercase();
            if patterns.iter().any(|pattern| lower.contains(pattern.as_str())) {
                found.push(format!("{}:{}", relative(&path), index + 1));
            }
        }
    }
    found
}

#[test]
fn no_file_names_the_host_of_a_registry() {
    let hosts = [
        ("registry.npm", "js"),
        ("registry.yarn", "pkg"),
        ("python", "hosted.org"),
        ("py", "pi.org"),
        ("static.crates", ".io"),
        ("index.crates", ".io"),
        ("proxy.go", "lang.org"),
        ("deb.deb", "ian.org"),
        ("arti", "factory"),
        ("jf", "rog"),
        ("_auth", "token"),
    ];
    crate::none(lines_with(&hosts.map(|(one, other)| format!("{one}{other}"))), "hosts of registries");
}

#[test]
fn no_file_names_a_path_of_a_machine() {
    let places = ["home", "root", "users", "work", "mnt", "private", "workspace", "builds"];
    let mut patterns: Vec<_> = ["\"", "'", "`", " ", "=", "("]
        .iter()
        .flat_map(|before| places.map(|place| format!("{before}/{place}/")))
        .collect();
    patterns.push(format!("file:{}", "///"));
    crate::none(lines_with(&patterns), "absolute paths of a machine");
}

#[test]
fn no_file_names_the_tools_it_was_written_with() {
    let tools = [
        ("cla", "ude"),
        ("anth", "ropic"),
        ("open", "ai"),
        ("chat", "gpt"),
        ("copi", "lot"),
        ("gem", "ini"),
        ("cod", "ex"),
        ("ll", "m"),
        ("sub", "agent"),
        ("work", "tree"),
    ];
    let tools: Vec<_> = tools.map(|(one, other)| format!("{one}{other}")).to_vec();
    let mut found = Vec::new();
    for path in files().into_iter().filter(|path| path.extension().is_none_or(|end| end != "lock" && end != "bin")) {
        for (index, line) in text(&path).to_lowercase().lines().enumerate() {
            let mut words = line.split(|letter: char| !letter.is_ascii_alphanumeric());
            if words.any(|word| tools.iter().any(|tool| tool == word)) {
                found.push(format!("{}:{}", relative(&path), index + 1));
            }
        }
    }
    crate::none(found, "tools that are no part of the project");
}

#[test]
fn lock_files_say_what_and_not_where_from() {
    let lock = text(&root().join("Cargo.lock"));
    let index = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let other = lock.lines().filter(|line| line.starts_with("source") && *line != index);
    crate::none(other, "packages that are not from crates.io");
    for path in files().into_iter().filter(|path| path.ends_with("package-lock.json")) {
        assert!(!text(&path).contains("\"resolved\""), "{} holds download addresses", relative(&path));
    }
}

/// What stands in backticks on the lines of a document; code blocks apart.
fn quoted(document: &str) -> Vec<String> {
    let prose = document.split("```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The documents that tell of the source. `src/lib.rs` is one of them.
fn documents() -> Vec<(String, String)> {
    let named = ["src/lib.rs", "src/why.md", "src/threats.md", "CONTRIBUTING.md", "SECURITY.md", "README.md"];
    named.map(|path| (path.to_owned(), text(&root().join(path)))).to_vec()
}

#[test]
fn documents_name_only_files_that_exist() {
    let mut missing = Vec::new();
    for (name, document) in documents() {
        for word in quoted(&document) {
            let path = word.split("::").next().unwrap_or_default().trim_end_matches('/');
            let is_path = [".rs", ".md", ".proto"].iter().any(|end| path.ends_with(end)) || path.starts_with("src/");
            let plain = path.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter));
            let there = ["", "src/"].iter().any(|base| root().join(base).join(path).exists()) || path == "mod.rs";
            if is_path && plain && !there {
                missing.push(format!("{name}: {word}"));
            }
        }
    }
    crate::none(missing, "documents that name what is not there");
}

/// The names of all tests, and the ids of the rows of the conformance table.
fn tests() -> BTreeSet<String> {
    let sources: Vec<_> = ["src", "tests"].into_iter().flat_map(rust_below).collect();
    let tokens = sources.iter().flat_map(|source| source.tokens.windows(2));
    let functions = tokens.filter(|two| two[0].is("fn")).map(|two| two[1].text.clone());
    let rows = sources.iter().filter(|source| source.path.starts_with("tests/conformance/"));
    let rows = rows.flat_map(|source| &source.tokens).filter(|token| token.kind == Kind::Text);
    functions.chain(rows.map(|token| token.text.clone())).collect()
}

#[test]
fn every_test_that_the_threats_name_exists() {
    let tests = tests();
    let threats = text(&root().join("src/threats.md"));
    let head = ["| attack |", "|---|"];
    let rows = threats.lines().filter(|line| line.starts_with('|') && !head.iter().any(|head| line.starts_with(head)));
    let rows: Vec<_> = rows.collect();
    assert!(rows.len() > 40, "src/threats.md was not understood");
    let mut offences = Vec::new();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        let [_, stops, shown] = cells.as_slice() else { panic!("three cells are wanted: {row}") };
        let named = quoted(shown);
        offences.extend(named.iter().filter(|name| !tests.contains(*name)).map(|name| format!("no test `{name}`")));
        if named.is_empty() && shown.trim() != "none yet" {
            offences.push(format!("names no test and does not say `none yet`: {row}"));
        }
        if !quoted(stops).iter().any(|room| room.contains(".rs")) {
            offences.push(format!("names no room: {row}"));
        }
    }
    crate::none(offences, "src/threats.md");
}
