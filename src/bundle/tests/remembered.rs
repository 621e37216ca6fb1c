//! What is remembered of the last good bundle: found where the text is the same, and never more than that. That it changes no
//! finding is asserted for every bundle of these tests, by `load_in`.

use std::sync::Arc;

use super::{GUARDRAILS, MAIN, SCHEMA, bundle, issuers, remembered, surroundings};
use crate::bundle::{Remembered, load_again};
use crate::decision::snapshot::Bundle;
use crate::problem::Problem;

/// What a change comes to by what is remembered, and what is remembered then.
fn again(changed: &[(&str, &str)], before: &Remembered) -> (Result<Bundle, Vec<Problem>>, Remembered) {
    let (issuers, mut after) = (issuers(), before.clone());
    let loaded = load_again(&bundle(changed), &surroundings(&issuers), &mut after);
    (loaded.map(|(bundle, _)| bundle), after)
}

#[test]
fn a_text_that_is_the_same_is_read_once_wherever_it_stands() {
    let before = remembered();
    assert_eq!(remembered().shared_with(&before), (4, 0), "only what is handed on is shared");
    let moved = MAIN.replace("// Who may read.\n", "// Who may read, in\n// a longer comment.\n");
    let (taken, after) = again(&[("main.cedar", &moved)], &before);
    assert_eq!(after.shared_with(&before), (4, 4));
    let (also_taken, later) = again(&[("main.cedar", &moved.replace("gold", "silver"))], &after);
    assert_eq!(later.shared_with(&after), (4, 3), "one policy is another one");
    let [one, two] = [taken, also_taken].map(|taken| Arc::clone(taken.unwrap().policies.claims()));
    assert!(Arc::ptr_eq(&one, &two), "what was made of tokens by the claims stays good");
    let (_, gone) = again(&[("main.cedar", &MAIN.replace("gold", "silver"))], &before);
    assert_eq!(again(&[], &gone).1.shared_with(&before), (4, 3), "what is not in the last bundle is forgotten");
}

#[test]
fn under_another_schema_nothing_is_remembered() {
    let before = remembered();
    // A comment is enough.
    let (taken, after) = again(&[("schema.cedarschema", &format!("{SCHEMA}// later\n"))], &before);
    assert!(taken.is_ok());
    assert_eq!(after.shared_with(&before), (4, 0));
    // Each policy was valid, and one is no more.
    let other = SCHEMA.replace("{ acr?: String, ", "{ acr?: Long, ");
    let (refused, kept) = again(&[("schema.cedarschema", &other)], &before);
    let problems = refused.err().unwrap();
    assert!(problems.iter().any(|problem| problem.place.file == "main.cedar" && problem.is_error()), "{problems:?}");
    assert_eq!(kept.shared_with(&before), (4, 4), "the last good bundle is what is remembered");
}

#[test]
fn what_a_text_does_not_say_by_itself_is_judged_each_time() {
    let before = remembered();
    let permit = "@id(\"all\")\n@reason(\"All clients add notes\")\n\
                  permit (principal is Client, action == Action::\"notes.add\", resource);\n";
    let (taken, before) = again(&[("more.cedar", permit)], &before);
    assert!(taken.is_ok());
    let twice = format!("{permit}\n{permit}");
    let guardrail = format!("{GUARDRAILS}\n{permit}");
    for (file, text) in [("more.cedar", &twice), ("guardrails.cedar", &guardrail)] {
        let (refused, kept) = again(&[(file, text)], &before);
        assert!(refused.is_err(), "{file}");
        assert_eq!(kept.shared_with(&before), (5, 5));
    }
}
