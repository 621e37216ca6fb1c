//! Whatever the files say: a bundle is taken or refused with an error, and every problem is at a place that there is.

use std::collections::HashSet;

use proptest::prelude::*;

use super::example::shipped_texts;
use super::{bundle, good, issuer, load_in, surroundings};
use crate::bundle::{Files, load};
use crate::decision::policy::Asking;

const FILES: [&str; 5] = ["schema.cedarschema", "main.cedar", "guardrails.cedar", "apis.yaml", "clients.yaml"];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn no_damage_is_taken_for_a_bundle_or_told_without_a_place(
        file in prop::sample::select(FILES.to_vec()),
        from: prop::sample::Index,
        length in 1usize..40,
        put in prop::sample::select(vec!["", ";", "\"", "{", "}", "@", ":", "- ", "// ", "?", "[", "é", "\n", "0"]),
    ) {
        let text: Vec<char> = good(file).chars().collect();
        let from = from.index(text.len());
        let after = text.iter().skip(from + length);
        let damaged: String = text.iter().take(from).copied().chain(put.chars()).chain(after.copied()).collect();
        let problems = match load_in(&bundle(&[(file, &damaged)]), |_| {}) {
            Ok((_, warnings)) => {
                prop_assert!(warnings.iter().all(|warning| !warning.is_error()));
                warnings
            }
            Err(problems) => {
                prop_assert!(problems.iter().any(crate::problem::Problem::is_error), "{file}: {damaged}");
                problems
            }
        };
        for problem in problems {
            let source = if problem.place.file == file { damaged.as_str() } else { good(&problem.place.file) };
            // The end of a text that ends in a line break is on the line after it.
            let lines = source.split('\n').count();
            let line = source.split('\n').nth(problem.place.line - 1).unwrap_or_default();
            prop_assert!((1..=lines).contains(&problem.place.line), "{problem}");
            prop_assert!((1..=line.chars().count() + 1).contains(&problem.place.column), "{problem}");
            prop_assert!(!problem.what.is_empty() && !problem.remedy.is_empty(), "{problem}");
        }
    }
}

/// Cuts a piece out of a file, and puts a piece of another file, or some bytes, in its place.
#[derive(Debug, Clone)]
struct Edit {
    file: prop::sample::Index,
    from: prop::sample::Index,
    length: usize,
    put: Put,
}

#[derive(Debug, Clone)]
enum Put {
    Piece(prop::sample::Index, prop::sample::Index, usize),
    Bytes(Vec<u8>),
}

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<prop::sample::Index>;
    let length = || prop_oneof![3 => 0usize..60, 1 => 0usize..4_000];
    let put = prop_oneof![
        (index(), index(), length()).prop_map(|(file, from, length)| Put::Piece(file, from, length)),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(Put::Bytes),
        "[\\[\\](){}<>:;,.|&!?*\"'@# \n-]{0,6}".prop_map(|text| Put::Bytes(text.into_bytes())),
    ];
    (index(), index(), length(), put).prop_map(|(file, from, length, put)| Edit { file, from, length, put })
}

fn apply(edit: &Edit, files: &mut [(String, Vec<u8>)]) {
    let piece = |bytes: &[u8], from: &prop::sample::Index, length: usize| {
        let from = from.index(bytes.len() + 1);
        from..(from + length).min(bytes.len())
    };
    let put = match &edit.put {
        Put::Bytes(bytes) => bytes.clone(),
        Put::Piece(file, from, length) => {
            let source = &files[file.index(files.len())].1;
            source[piece(source, from, *length)].to_vec()
        }
    };
    let chosen = edit.file.index(files.len());
    let bytes = &mut files[chosen].1;
    let range = piece(bytes, &edit.from, edit.length);
    bytes.splice(range, put);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn the_shipped_bundle_however_it_is_changed_is_taken_or_refused_with_places(
        edits in prop::collection::vec(edit(), 1..4),
    ) {
        let mut files = shipped_texts();
        for edit in &edits {
            apply(edit, &mut files);
        }
        let rules = [
            issuer("https://as.example.com", "https://api.example.com"),
            issuer("https://partner-as.example.net", "https://partner-api.example.com"),
        ];
        let surroundings = surroundings(&rules);
        let (taken, problems) = match load(&Files::new(files.clone()).unwrap(), &surroundings) {
            Ok((_, warnings)) => (true, warnings),
            Err(problems) => (false, problems),
        };
        prop_assert_eq!(problems.iter().any(crate::problem::Problem::is_error), !taken);
        for problem in problems {
            prop_assert!(!problem.what.contains("a defect of keybound"), "the loader panicked");
            let bytes = &files.iter().find(|(name, _)| *name == problem.place.file).unwrap().1;
            // Up to the first byte that is no text; a file that is no text is told about there.
            let text = String::from_utf8_lossy(bytes);
            let line = text.split('\n').nth(problem.place.line - 1);
            prop_assert!(line.is_some_and(|line| problem.place.column <= line.chars().count() + 1), "{problem}");
            prop_assert!(problem.place.column >= 1 && !problem.what.is_empty() && !problem.remedy.is_empty());
        }
    }
}

/// A good bundle with one more policy, with this condition.
fn with_condition(condition: &str) -> String {
    let main = good("main.cedar");
    format!("{main}@id(\"deep\") @reason(\"r\")\nforbid (principal, action, resource) when {{ {condition} }};\n")
}

/// Deeper than any stack, and as deep as may be: a stack that overflows would end the process.
#[test]
fn text_that_nests_without_end_is_refused_and_does_not_end_the_process() {
    for (open, close, within) in [
        ("(", ")", 90),
        ("!(", ")", 70),
        ("[", "]", 90),
        ("{a: ", "}", 90),
        ("context.http.host == \"a\" && ", "", 380),
        ("context.http.host == \"a\" || ", "", 380),
        ("1 + ", "", 380),
        ("if context.http.host == \"a\" then ", " else false", 180),
        ("context.", "", 380),
        ("true } when { ", "", 380),
    ] {
        let deep = |count: usize| with_condition(&format!("{}true{}", open.repeat(count), close.repeat(count)));
        let problems = load_in(&bundle(&[("main.cedar", &deep(5_000))]), |_| {}).err().unwrap();
        assert!(problems.len() == 1 && problems[0].what.contains("nests too deep"), "{open}: {problems:#?}");
        assert_eq!((problems[0].place.line, &*problems[0].place.file), (16, "main.cedar"), "{open}");
        let loaded = load_in(&bundle(&[("main.cedar", &deep(within))]), |_| {});
        let told = loaded.err().unwrap_or_default();
        assert!(told.iter().all(|problem| !problem.what.contains("too deep")), "{open}: {told:#?}");
    }
}

#[test]
fn a_schema_that_nests_without_end_is_refused_and_does_not_end_the_process() {
    let schema = good("schema.cedarschema");
    let nested = |open: &str, close: &str| format!("type X = {}Long{};", open.repeat(5_000), close.repeat(5_000));
    let chain = |count: usize, link: &dyn Fn(usize) -> String| (0..count).map(link).collect::<String>();
    let types = |at: usize| format!("type X{at} = {{ a?: X{} }};\n", at + 1);
    for (more, what) in [
        (nested("{ a: ", " }"), "brackets"),
        (nested("Set<", ">"), "brackets"),
        (chain(5_000, &types), "too many types"),
        (chain(5_000, &|at| format!("action g{at} in [g{}];\n", at + 1)), "groups of actions within groups"),
        (chain(5_000, &|at| format!("entity E{at} in [E{}];\n", at + 1)), "too many entity types"),
        // As deep as may be.
        (format!("{}type X400 = Long;", chain(400, &types)), ""),
        (format!("{}action g10;", chain(10, &|at| format!("action g{at} in [g{}];\n", at + 1))), ""),
    ] {
        let text = format!("{schema}{more}");
        let told = load_in(&bundle(&[("schema.cedarschema", &text)]), |_| {}).err().unwrap_or_default();
        assert_eq!(told.len(), usize::from(!what.is_empty()), "{what}: {told:#?}");
        assert!(told.iter().all(|problem| problem.what.contains(what) && problem.place.line > 16), "{told:#?}");
    }
}

/// What goes wrong with the policy `deep` when it is asked about a request, on a stack as small as a worker's. The bundle
/// is dropped there.
fn asked_on_a_small_stack(bundle: crate::decision::snapshot::Bundle) -> Vec<String> {
    use cedar_policy_core::ast::Value;
    let ask = move || {
        let http = Value::record([("method", Value::from("POST")), ("host", Value::from("notes.test"))], None);
        let entity = |uid: &str| cedar_policy::Entity::new_no_attrs(uid.parse().unwrap(), HashSet::new());
        let (principal, resource) = (entity("Anonymous::\"anonymous\""), entity("Api::\"notes\""));
        let question =
            Asking { action: "notes.add", principal: &principal, resource: &resource, guardrails_only: false };
        let (_, _, errored) = bundle.policies.told(&question, [("http".into(), http)].into());
        errored.into_iter().collect()
    };
    // Without optimisation Cedar needs many times more.
    let mebibytes = if cfg!(debug_assertions) { 32 } else { 2 };
    std::thread::Builder::new().stack_size(mebibytes << 20).spawn(ask).unwrap().join().unwrap()
}

#[test]
fn the_deepest_policy_is_judged_evaluated_and_dropped() {
    // What is repeated on both sides, and around what.
    let host = "context.http.host == \"notes.test\"";
    let wrong = "context.http.host == 1";
    for (first, open, close, end, wrong) in [
        (host, "", " && context.http.host != \"items.test\"", "", wrong),
        ("1", "", " + 0", " == 1", "\"1\""),
        (host, "(", " && true)", "", wrong),
        (host, "!(", ")", "", wrong),
        (host, "if ", " then true else false", "", wrong),
        (host, "[", "].contains(true)", "", wrong),
        (host, "{a: ", "}[\"a\"]", "", wrong),
    ] {
        let text = |first: &str, count: usize| {
            let (open, close) = (open.repeat(count), close.repeat(count));
            with_condition(&format!("{open}{first}{close}{end}"))
                .replace("action, resource) when { ", "action == Action::\"notes.add\", resource) when { ")
        };
        let is_deep = |count: usize| {
            let text = text(first, count);
            crate::bundle::cedar::is_too_deep(text.get(good("main.cedar").len()..).unwrap())
        };
        let most = (20..400).find(|count| is_deep(*count)).unwrap() - 1;
        assert!(most >= 50, "{close}: {most}");
        let told = |text: &str| load_in(&bundle(&[("main.cedar", text)]), |_| {});
        let (loaded, _) = told(&text(first, most)).unwrap_or_else(|problems| panic!("{close}: {problems:#?}"));
        let errors = asked_on_a_small_stack(loaded);
        assert!(errors.is_empty(), "{close}: {errors:#?}");
        // Whatever is wrong at the deepest point is found.
        let problems = told(&text(wrong, most)).err().unwrap();
        assert!(problems.len() == 1 && !problems[0].what.contains("verdict"), "{close}: {problems:#?}");
    }
}
