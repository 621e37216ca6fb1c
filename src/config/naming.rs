//! Where the operator's file names each path: what is missing is shown at the line that asks for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Config;
use crate::problem::{Place, Position, Problem};

/// Each path, and the place and the line that name it first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Naming(BTreeMap<PathBuf, (Place, Option<String>)>);

impl Naming {
    pub fn new(file: &str, source: &str, paths: &[(PathBuf, Position)]) -> Self {
        let mut named = BTreeMap::new();
        for (path, at) in paths {
            let place = Place { file: file.to_owned(), line: at.line, column: at.column };
            let line = source.lines().nth(at.line.saturating_sub(1)).map(str::to_owned);
            named.entry(path.clone()).or_insert((place, line));
        }
        Self(named)
    }
}

impl Config {
    /// A problem with a file as a whole, at the place where the operator's file names it.
    #[must_use]
    pub fn where_named(&self, path: &Path, problem: Problem) -> Problem {
        let Some((place, line)) = self.naming.0.get(path) else { return problem };
        let what = format!("{}: {}", path.display(), problem.what);
        Problem { place: place.clone(), source_line: line.clone(), what, ..problem }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::config::parse;

    #[test]
    fn what_is_named_is_told_at_its_first_name() {
        let source = "\
listeners: { check: [{ name: edge, address: 127.0.0.1:0 }] }
bundle: { directory: policies }
issuers:
  - { issuer: https://a.test, keys: { file: keys.json }, audiences: [a] }
  - { issuer: https://b.test, keys: { file: keys.json }, audiences: [a] }
";
        let (config, _) = parse("etc/keybound.yaml", source).unwrap();
        let told = |path: &str| {
            let problem = Problem::at(path, "", 1, 1, "gone", "bring it back");
            let Problem { place, what, source_line, .. } = config.where_named(Path::new(path), problem);
            (place.file, place.line, place.column, what, source_line.is_some())
        };
        let file = || "etc/keybound.yaml".to_owned();
        assert_eq!(told("etc/policies"), (file(), 2, 22, "etc/policies: gone".to_owned(), true));
        assert_eq!(told("etc/keys.json"), (file(), 4, 45, "etc/keys.json: gone".to_owned(), true));
        assert_eq!(told("etc/other"), ("etc/other".to_owned(), 1, 1, "gone".to_owned(), false));
    }
}
