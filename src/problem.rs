//! One diagnostic for everything that people write: the operator's file and the authors' bundle.
//!
//! A problem says what is wrong, where (file, line, column, with the source line and a caret) and what would be right.

mod findings;

use core::fmt;
use std::fmt::Write as _;

pub(crate) use findings::{Findings, Position};

/// How bad it is: an error refuses the file, a warning is told and goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused; the last good one stays.
    Error,
    /// The file is taken; somebody should look.
    Warning,
}

/// A place in a file; line and column count from 1, the column in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// Something wrong with a file that a person wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where, with line and column.
    pub place: Place,
    /// What is wrong, in one sentence.
    pub what: String,
    /// What would be right, in one sentence.
    pub remedy: String,
    /// The source line, to show the caret under.
    pub source_line: Option<String>,
}

impl Problem {
    /// An error at a byte offset of `source`; line, column and the source line are worked out.
    #[must_use]
    pub fn at_offset(
        file: &str,
        source: &str,
        offset: usize,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let Position { line, column } = Position::at_offset(source, offset);
        Self::at(file, source, line, column, what, remedy)
    }

    /// An error at a line and column of `source`.
    #[must_use]
    pub fn at(
        file: &str,
        source: &str,
        line: usize,
        column: usize,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            place: Place { file: file.to_owned(), line, column },
            what: what.into(),
            remedy: remedy.into(),
            source_line: source.lines().nth(line.saturating_sub(1)).map(str::to_owned),
        }
    }

    /// The same problem as a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Whether it refuses the file.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// `error: what` / ` --> file:line:column` / the line with a caret / `help: remedy`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Place { file, line, column } = &self.place;
        writeln!(f, "{word}: {}", self.what)?;
        writeln!(f, "  --> {file}:{line}:{column}")?;
        if let Some(source_line) = &self.source_line {
            let number = line.to_string();
            let gutter = " ".repeat(number.len());
            // Tabs are kept in the padding so that the caret stays under its character.
            let mut padding = String::new();
            for character in source_line.chars().take(column.saturating_sub(1)) {
                padding.write_char(if character == '\t' { '\t' } else { ' ' })?;
            }
            writeln!(f, " {number} | {source_line}")?;
            writeln!(f, " {gutter} | {padding}^")?;
        }
        write!(f, "  help: {}", self.remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_becomes_line_column_and_caret() {
        let source = "apis:\n  - id: a\n    ownr: b\n";
        let offset = source.find("ownr").unwrap_or(0);
        let problem = Problem::at_offset("apis.yaml", source, offset, "unknown key `ownr`", "write `owner`");
        assert_eq!(problem.place, Place { file: "apis.yaml".into(), line: 3, column: 5 });
        assert_eq!(
            problem.to_string(),
            "error: unknown key `ownr`\n  --> apis.yaml:3:5\n 3 |     ownr: b\n   |     ^\n  help: write `owner`"
        );
    }

    #[test]
    fn an_offset_past_the_end_points_at_the_end() {
        let problem = Problem::at_offset("x", "ab\ncd", 99, "w", "r");
        assert_eq!((problem.place.line, problem.place.column), (2, 3));
    }
}
