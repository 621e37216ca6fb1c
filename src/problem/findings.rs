//! What is found while one file is read, kept until all of it is known.

use std::path::{Path, PathBuf};

use super::Problem;

/// A line and a column, from 1; the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    /// Where a byte offset is; the end, if it is beyond it.
    pub fn at_offset(source: &str, offset: usize) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line = before.matches('\n').count().saturating_add(1);
        let start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
        let column = before.get(start..).map_or(0, |text| text.chars().count()).saturating_add(1);
        Self { line, column }
    }
}

/// Problems that are told of one file.
const MAX_PROBLEMS: usize = 200;

/// The problems of one file so far.
pub(crate) struct Findings<'a> {
    file: &'a str,
    source: &'a str,
    problems: Vec<Problem>,
    paths: Vec<(PathBuf, Position)>,
}

impl<'a> Findings<'a> {
    pub fn new(file: &'a str, source: &'a str) -> Self {
        Self { file, source, problems: Vec::new(), paths: Vec::new() }
    }

    pub fn offset(&self, offset: usize) -> Position {
        Position::at_offset(self.source, offset)
    }

    /// Whether enough is known: a file that is broken throughout would have one problem per line, and an error is known.
    fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS && self.has_errors()
    }

    pub fn error(&mut self, at: Position, what: impl Into<String>, remedy: impl Into<String>) {
        if !self.is_full() {
            self.keep(Problem::at(self.file, self.source, at.line, at.column, what, remedy));
        }
    }

    /// An error about a line that may hold a secret: the line is not shown.
    pub fn error_unseen(&mut self, at: Position, what: impl Into<String>, remedy: impl Into<String>) {
        let mut problem = Problem::at(self.file, self.source, at.line, at.column, what, remedy);
        problem.source_line = None;
        self.keep(problem);
    }

    pub fn warning(&mut self, at: Position, what: impl Into<String>, remedy: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.keep(Problem::at(self.file, self.source, at.line, at.column, what, remedy).warning());
        }
    }

    /// Keeps a problem, unless it is here already: what many places share is told once.
    pub fn keep(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// A path as the start-up may open it: relative ones belong to the directory that the file is in.
    pub fn path(&mut self, at: impl Into<Position>, written: &Path) -> PathBuf {
        let at = at.into();
        if written.to_string_lossy().contains(char::is_control) {
            // A key or certificate pasted where its path belongs.
            self.error_unseen(
                at,
                "a path has a line break or another control character",
                "write the path of a file, not its content",
            );
        }
        let directory = Path::new(self.file).parent();
        let path = directory.map_or_else(|| written.to_owned(), |directory| directory.join(written));
        self.paths.push((path.clone(), at));
        path
    }

    /// Every path of the file and where it stands.
    pub fn paths(&self) -> &[(PathBuf, Position)] {
        &self.paths
    }

    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }

    /// Everything found, in the order of the file.
    pub fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.place.line, problem.place.column));
        self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_broken_throughout_is_refused_with_the_first_problems() {
        let at = |line| Position { line, column: 1 };
        let mut findings = Findings::new("x", "");
        (1..=1_000).for_each(|line| findings.warning(at(line), "w", "r"));
        assert!(!findings.has_errors());
        (1..=1_000).for_each(|line| findings.error(at(line), "e", "r"));
        assert!(findings.has_errors(), "an error is never lost");
        assert_eq!(findings.into_problems().len(), MAX_PROBLEMS.saturating_add(1));
    }
}
