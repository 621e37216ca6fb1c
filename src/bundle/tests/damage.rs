//! Whatever the files say: a bundle is taken or refused with an error, and every problem is at a place that there is.

use proptest::prelude::*;

use super::{bundle, good, load_in};

const FILES: [&str; 5] = ["schema.cedarschema", "main.cedar", "guardrails.cedar", "apis.yaml", "clients.yaml"];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

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
