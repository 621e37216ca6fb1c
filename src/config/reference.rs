//! The reference of the operator's file, as `docs/config.md` has it: printed from the JSON Schema.

use crate::yaml::reference::{one_line, properties, table};
use crate::yaml::shape;

const HEAD: &str = "\
# keybound.yaml

The operator's file; `deploy/keybound.yaml` is an example that names every key. This page is written from the code:
`UPDATE_DOCS=1 cargo test config` renews it, and a test fails when it is stale.

- Unknown and repeated keys are refused, and so is every value outside its range: nothing is guessed.
- Units are at the end of a name. Booleans are `true` and `false`.
- A relative path belongs to the directory that the file is in.
- Where the default is *not set*, the key may also be `null`.
- This file is read at start only. The files that it names are read again when their content changes, which is looked at every
  `bundle.poll_seconds` and at once on SIGHUP: the bundle, `keys.file`, `trust_bundle`, `nonce_key_files` and the TLS files of
  listeners; those of `introspection.auth` on the poll alone. What is broken changes nothing: the last good one stays, and the log and `keybound_loads_total` (by `what` and
  `outcome`) say so. Only `jwks.ca_file` is read at start and never again; the files of `redis` at every connect.
- `keybound check` reads all that the start reads, says what is wrong with it, and opens no socket.";

/// The reference in Markdown.
#[must_use]
pub fn reference() -> String {
    let schema = super::schema();
    let mut lines = vec![HEAD.to_owned()];
    for (name, section) in properties(&schema) {
        lines.push(format!("\n## `{name}`\n\n{}\n", one_line(shape::description(Some(section)))));
        lines.push(table(&schema, name));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects, reason = "tests")]

    use serde_json::Value;

    use super::super::{Jwks, Limits, Log, Metadata, Upstream, parse, raw, schema};
    use super::*;
    use crate::problem::Findings;
    use crate::yaml::{Kind, Node};

    const EXAMPLE: &str = include_str!("../../deploy/keybound.yaml");

    /// Calls `visit` with the path and the schema of every key.
    fn each_key(schema: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
        for (name, property) in properties(schema) {
            let path = format!("{path}.{name}");
            visit(&path, property);
            each_key(property, &path, visit);
        }
    }

    /// Whether the file has the key, in any item of a list.
    fn has(node: &Node, path: &[&str]) -> bool {
        match (&node.kind, path) {
            (_, []) => true,
            (Kind::List(items), _) => items.iter().any(|item| has(item, path)),
            (_, [key, rest @ ..]) => node.present(key).is_some_and(|value| has(value, rest)),
        }
    }

    #[test]
    fn every_key_says_what_it_means() {
        let mut keys = 0;
        each_key(&schema(), "", &mut |path, property| {
            keys += 1;
            assert!(shape::description(Some(property)).len() > 10, "{path} has no doc comment");
        });
        assert!(keys > 70, "{keys}");
    }

    #[test]
    fn the_schema_has_only_keywords_that_the_check_knows() {
        shape::assert_known_keywords(&schema());
    }

    #[test]
    fn the_example_is_right_and_shows_the_defaults() {
        let (config, warnings) = parse("deploy/keybound.yaml", EXAMPLE).unwrap();
        assert_eq!(warnings, []);
        assert_eq!(config.jwks, Jwks::default());
        assert_eq!(config.upstream, Upstream::default());
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.log, Log::default());
        assert_eq!(config.metadata, Metadata::default());
        let proofs = raw::Proofs::default();
        assert_eq!(config.proofs.spent, proofs.spent);
        assert_eq!(config.proofs.rules.max_age_seconds, proofs.max_age_seconds);
    }

    #[test]
    fn the_example_names_every_key() {
        // `#key`, and below it `#  key`, is a setting that is off; `# text` is a comment.
        let lines = EXAMPLE.lines().map(|line| match line.split_once('#') {
            Some((indent, setting))
                if indent.trim().is_empty() && (!setting.starts_with(' ') || setting.starts_with("  ")) =>
            {
                format!("{indent}{setting}")
            }
            _ => line.to_owned(),
        });
        let source = lines.collect::<Vec<_>>().join("\n");
        let tree = Node::parse("deploy/keybound.yaml", &source).unwrap();
        let mut findings = Findings::new("deploy/keybound.yaml", &source);
        shape::check(&schema(), &tree, "", &mut findings);
        assert_eq!(findings.into_problems(), []);
        each_key(&schema(), "", &mut |path, _| {
            let keys: Vec<_> = path.split('.').skip(1).collect();
            assert!(has(&tree, &keys), "{path} is not in the example");
        });
    }

    #[test]
    fn the_reference_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, reference()).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(stored == reference(), "docs/config.md is stale: run UPDATE_DOCS=1 cargo test config");
    }
}
