//! What is found while the file is read, kept until all of it is known.

use std::path::{Path, PathBuf};

use super::node::{Node, Position};
use crate::problem::Problem;

/// The problems of one file so far.
pub(super) struct Findings<'a> {
    file: &'a str,
    source: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Findings<'a> {
    pub fn new(file: &'a str, source: &'a str) -> Self {
        Self { file, source, problems: Vec::new() }
    }

    pub fn error(&mut self, at: Position, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::at(self.file, self.source, at.line, at.column, what, remedy));
    }

    /// An error about a line that may hold a secret: the line is not shown.
    pub fn error_unseen(&mut self, at: Position, what: impl Into<String>, remedy: impl Into<String>) {
        self.error(at, what, remedy);
        if let Some(problem) = self.problems.last_mut() {
            problem.source_line = None;
        }
    }

    pub fn warning(&mut self, at: Position, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::at(self.file, self.source, at.line, at.column, what, remedy).warning());
    }

    /// A path as the start-up may open it: relative ones belong to the directory that the file is in.
    pub fn path(&mut self, node: &Node, written: &Path) -> PathBuf {
        if written.to_string_lossy().contains(char::is_control) {
            // A key or certificate pasted where its path belongs.
            self.error_unseen(
                node.at,
                "a path has a line break or another control character",
                "write the path of a file, not its content",
            );
        }
        Path::new(self.file).parent().map_or_else(|| written.to_owned(), |directory| directory.join(written))
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
