//! The reader that the other rules rest on sees what it must: a rule that reads wrongly would hold for ever.

use crate::source::{Kind, Source};

fn read(path: &str, text: &str) -> Source {
    Source::of(path.to_owned(), text.to_owned())
}

fn words(text: &str) -> Vec<String> {
    let source = read("src/a.rs", text);
    source.tokens.iter().filter(|token| token.kind == Kind::Word).map(|token| token.text.clone()).collect()
}

fn named(path: &str, text: &str) -> Vec<String> {
    read(path, text).named().iter().map(|named| named.segments.join("::")).collect()
}

#[test]
fn comments_and_strings_are_no_words() {
    assert_eq!(words("a // b\n/* c /* d */ e */ f"), ["a", "f"]);
    assert_eq!(words(r##"a "b \" c" r#"d " e"# b"f" br"g" 'h' b'i' '\'' '"' j"##), ["a", "j"]);
    assert_eq!(words("fn a<'b>(c: &'b str) { 'd: loop {} }"), ["fn", "a", "c", "str", "loop"]);
    assert_eq!(words("é /* ü */ ö // ä"), ["é", "ö"]);
    let text = read("src/a.rs", "x(\"told\", r#\"raw\"#)");
    let texts: Vec<_> = text.tokens.iter().filter(|token| token.kind == Kind::Text).map(|token| &token.text).collect();
    assert_eq!(texts, ["told", "raw"]);
}

#[test]
fn lines_are_counted_through_comments_and_strings() {
    let source = read("src/a.rs", "a\n/* \n */ b \"\n\n\" c");
    let lines: Vec<_> = source.tokens.iter().map(|token| (token.text.trim(), token.line)).collect();
    assert_eq!(lines, [("a", 1), ("b", 3), ("", 3), ("c", 5)]);
}

#[test]
fn trees_of_imports_are_followed_to_every_leaf() {
    let paths = named("src/edge/spent/memory.rs", "use std::{fs, io::{self, Write as _}, net::*};");
    assert_eq!(paths[1..5], ["std::fs", "std::io", "std::io::Write", "std::net::*"]);
    assert!(named("src/a.rs", "fn f() { tokio::spawn(x) }").contains(&"tokio::spawn".to_owned()));
    assert!(named("src/a.rs", "fn f() { ::tokio::spawn(x) }").contains(&"tokio::spawn".to_owned()));
    assert!(named("src/a.rs", "type A = Vec<crate::edge::B>;").contains(&"crate::edge::B".to_owned()));
    assert!(named("src/a.rs", "use crate::{config, edge::wire};").contains(&"crate::edge::wire".to_owned()));
}

#[test]
fn relative_paths_are_resolved_to_their_zone() {
    let path = |file: &str, text: &str| named(file, text).pop().unwrap();
    assert_eq!(path("src/edge/spent/memory.rs", "use super::super::wire"), "crate::edge::wire");
    assert_eq!(path("src/edge/spent/memory.rs", "use super::super::super::config"), "crate::config");
    assert_eq!(path("src/edge/mod.rs", "use super::config"), "crate::config");
    assert_eq!(path("src/problem.rs", "mod tests { use super::Place }"), "crate::problem::Place");
    assert_eq!(path("src/decision/mod.rs", "use self::facts::hex"), "crate::decision::facts::hex");
    assert_eq!(path("src/main.rs", "use keybound::operator"), "crate::operator");
    let imports = read("src/a.rs", "use tokio; let time = 1;").named();
    assert!(imports.iter().any(|named| named.import && named.segments == ["tokio"]));
    assert!(imports.iter().any(|named| !named.import && named.segments == ["time"]));
}

#[test]
fn only_what_is_compiled_for_tests_is_test_code() {
    let text = "a #[cfg(test)] mod tests { b { c } } d #[cfg(test)] mod fixtures; e #[cfg(not(test))] fn f() { g }";
    let source = read("src/a.rs", text);
    let of = |word: &str| source.tokens.iter().find(|token| token.is(word)).unwrap().test;
    assert!(["b", "c", "fixtures"].iter().all(|word| of(word)));
    assert!(["a", "d", "e", "f", "g"].iter().all(|word| !of(word)));
    let test_files = crate::source::src().iter().filter(|source| source.path.ends_with("/tests.rs"));
    assert!(test_files.flat_map(|source| &source.tokens).all(|token| token.test));
}
