//! The shape of the code: lengths, module docs, and what must not be in it.

use crate::source::{Kind, Source, Token, files_below, relative, root, rust_below, src};

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 60;
const MODULE_DOC_LINES: usize = 15;
const MAIN_LINES: usize = 80;
const MAP_LINES: usize = 120;

fn all_rust() -> Vec<Source> {
    let mut sources: Vec<_> = ["src", "tests", "benches"].into_iter().flat_map(rust_below).collect();
    sources.push(Source::read(&root().join("build.rs")));
    sources
}

#[test]
fn no_file_is_longer_than_four_hundred_lines() {
    let long = all_rust().into_iter().map(|source| (source.text.lines().count(), source.path));
    let long = long.filter(|(lines, _)| *lines > FILE_LINES).map(|(lines, path)| format!("{path}: {lines} lines"));
    crate::none(long.collect::<Vec<_>>(), "files to split along their seams");
}

/// Each function with a body: its name, its first and its last line. Counted from `fn` to the brace that closes the body; a
/// function inside a function counts for both. Not seen: a function that a macro makes, and a signature with a brace in it
/// (`[u8; { N }]`), whose body would seem to end early.
fn functions(source: &Source) -> Vec<(&str, usize, usize)> {
    let tokens = &source.tokens;
    let starts = (0..tokens.len())
        .filter(|at| tokens[*at].is("fn") && tokens.get(at + 1).is_some_and(|name| name.kind == Kind::Word));
    let body = |start: usize| {
        let mut depth = 0_usize;
        (start..tokens.len()).find_map(|at| {
            let token = &tokens[at];
            depth += usize::from(token.is("(") || token.is("["));
            depth -= usize::from(token.is(")") || token.is("]"));
            match () {
                () if depth == 0 && token.is(";") => Some(None),
                () if depth == 0 && token.is("{") => Some(Some(source.closing(at))),
                () => None,
            }
        })?
    };
    starts
        .filter_map(|start| Some((tokens[start + 1].text.as_str(), tokens[start].line, tokens[body(start)?].line)))
        .collect()
}

#[test]
fn no_function_is_longer_than_sixty_lines() {
    let mut long = Vec::new();
    let mut seen = 0;
    for source in all_rust() {
        for (name, first, last) in functions(&source) {
            seen += 1;
            // A table of cases is one function, however many cases it has.
            if last - first + 1 > FUNCTION_LINES && !source.path.contains("tests") {
                long.push(format!("{}: `{name}` has {} lines", source.at(first), last - first + 1));
            }
        }
    }
    assert!(seen > 500, "only {seen} functions were found: the measure is broken");
    crate::none(long, "functions to split");
}

#[test]
fn every_file_says_first_what_it_is_in_few_lines() {
    let mut offences = Vec::new();
    for source in src().iter().filter(|source| source.path != "src/lib.rs" && !source.path.ends_with("/tests.rs")) {
        let docs = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        if docs == 0 {
            offences.push(format!("{}: no module docs", source.path));
        } else if docs > MODULE_DOC_LINES {
            offences.push(format!("{}: {docs} lines of module docs", source.path));
        }
    }
    crate::none(offences, "module docs: what the room proves, trusts and refuses");
}

#[test]
fn lib_rs_is_the_map_and_nothing_else() {
    let source = src().iter().find(|source| source.path == "src/lib.rs").unwrap();
    let docs = source.text.lines().filter(|line| line.starts_with("//!")).count();
    assert!(docs > 20, "the map is missing");
    assert!(docs <= MAP_LINES, "the map has {docs} lines, more than {MAP_LINES}");
    let code = source.text.lines().filter(|line| !line.starts_with("//!") && !line.trim().is_empty());
    let other = code.filter(|line| {
        let module = (line.starts_with("pub mod ") || line.starts_with("mod ")) && line.ends_with(';');
        !(module || line.starts_with("#![doc = include_str!("))
    });
    crate::none(other.collect::<Vec<_>>(), "code in src/lib.rs");
    for room in src().iter().filter_map(|source| source.module().first().cloned()).filter(|room| room != "main") {
        assert!(
            source.text.contains(&format!("`{room}`")) || source.text.contains(&format!("{room}/")),
            "`{room}` is not on the map"
        );
    }
}

#[test]
fn main_rs_only_hands_arguments_on() {
    let source = src().iter().find(|source| source.path == "src/main.rs").unwrap();
    assert!(source.text.lines().count() <= MAIN_LINES, "src/main.rs is longer than {MAIN_LINES} lines");
}

fn is_macro(two: &[Token], names: &[&str]) -> bool {
    names.iter().any(|name| two[0].is(name)) && two[1].is("!")
}

#[test]
fn nothing_is_left_undone_and_no_test_is_skipped() {
    let mut offences = Vec::new();
    for source in all_rust() {
        for two in source.tokens.windows(2) {
            let undone = is_macro(two, &["todo", "unimplemented", "dbg"]);
            let skipped = two[0].is("[") && two[1].is("ignore");
            if undone || skipped {
                offences.push(format!("{}: {}", source.at(two[0].line), two[usize::from(skipped)].text));
            }
        }
    }
    crate::none(offences, "unfinished code");
}

#[test]
fn nothing_outside_tests_may_panic_on_purpose() {
    let mut offences = Vec::new();
    for source in src() {
        for three in source.tokens.windows(3).filter(|three| !three[0].test) {
            let call = three[0].is(".") && (three[1].is("unwrap") || three[1].is("expect")) && three[2].is("(");
            if call || is_macro(three, &["panic", "unreachable", "assert", "assert_eq", "assert_ne"]) {
                offences.push(format!("{}: {}{}", source.at(three[0].line), three[0].text, three[1].text));
            }
        }
    }
    crate::none(offences, "code that panics");
}

#[test]
fn every_lint_that_is_allowed_has_a_reason() {
    let mut offences = Vec::new();
    for source in all_rust() {
        for (index, two) in source.tokens.windows(2).enumerate() {
            if two[0].is("[") && (two[1].is("allow") || two[1].is("expect")) {
                let attribute = &source.tokens[index..source.closing(index)];
                if !attribute.iter().any(|token| token.is("reason")) {
                    offences.push(source.at(two[0].line));
                }
            }
        }
    }
    crate::none(offences, "#[allow] without a reason");
}

#[test]
fn names_say_what_a_thing_is() {
    let (empty, vague) =
        (["Manager", "Handler", "Util", "Utils", "Helper"], ["common", "types", "util", "utils", "helper", "helpers"]);
    let mut offences = Vec::new();
    for source in src() {
        offences.extend(source.module().into_iter().filter(|name| vague.contains(&name.as_str())));
        for two in source.tokens.windows(2).filter(|two| two[1].kind == Kind::Word) {
            let (keyword, name) = (&two[0], two[1].text.as_str());
            let defines = ["struct", "enum", "trait", "type", "mod"].iter().any(|word| keyword.is(word));
            let bad = (defines && (empty.iter().any(|end| name.ends_with(end)) || vague.contains(&name)))
                || (keyword.is("fn") && name.starts_with("get_"));
            if bad {
                offences.push(format!("{}: {name}", source.at(keyword.line)));
            }
        }
    }
    crate::none(offences, "names that say nothing");
}

#[test]
fn every_limit_says_where_its_number_comes_from() {
    let limits = src().iter().find(|source| source.path == "src/decision/limits.rs").unwrap();
    let lines: Vec<_> = limits.text.lines().collect();
    let constants = lines.windows(2).filter(|two| two[1].contains("const ") && two[1].contains(':'));
    let silent = constants.clone().filter(|two| !two[0].starts_with("///")).map(|two| two[1]);
    crate::none(silent.collect::<Vec<_>>(), "limits without a word");
    assert!(constants.count() > 15, "src/decision/limits.rs was not understood");
}

#[test]
fn tests_are_named_as_sentences() {
    // Three words at least, or a row id with words: `dp_40_a_proof_is_fresh_once`.
    let mut offences = Vec::new();
    for source in all_rust() {
        let named = source
            .tokens
            .windows(6)
            .filter(|six| six[0].is("#") && six[2].is("test") && six[3].is("]") && six[4].is("fn"));
        let short = named.filter(|six| six[5].text.split('_').count() < 3);
        offences.extend(short.map(|six| format!("{}: {}", source.at(six[5].line), six[5].text)));
    }
    crate::none(offences, "tests whose names are no sentences");
}

#[test]
fn every_source_file_is_reached_by_a_module() {
    let declared = src().iter().flat_map(|source| {
        let own = source.module();
        let modules = source.tokens.windows(3).filter(|three| three[0].is("mod") && three[2].is(";"));
        modules.map(move |three| own.iter().cloned().chain([three[1].text.clone()]).collect::<Vec<_>>())
    });
    let declared: Vec<_> = declared.collect();
    let roots = ["src/lib.rs", "src/main.rs"];
    let orphans =
        files_below(&root().join("src")).into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let orphans = orphans.map(|path| relative(&path)).filter(|path| !roots.contains(&path.as_str()));
    let orphans = orphans.filter(|path| {
        let module = Source::of(path.clone(), String::new()).module();
        !declared.contains(&module)
    });
    crate::none(orphans.collect::<Vec<_>>(), "files that no module declares are never compiled");
}
