//! The source tree as text: files, tokens and the paths they name. No parser of the language, only of its surface.
//!
//! Sees: identifiers, strings, punctuation, brace pairs, `#[cfg(test)]`, `mod x;`, `use` trees. Does not see: what a macro
//! expands to, what a glob import brings, what a type alias or an inferred type stands for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word: identifier or keyword.
    Word,
    /// A sign; `::`, `->` and `=>` are one each.
    Sign,
    /// The content of a string literal.
    Text,
    /// A number, a character or a lifetime.
    Other,
}

/// A token of a file; comments are none.
#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
    /// From 1.
    pub line: usize,
    /// Whether it is compiled only for tests.
    pub test: bool,
    /// The inline modules around it.
    inside: Vec<String>,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Sign) && self.text == text
    }
}

/// A path that the code names: `use a::{b, c::d}` names `a::b` and `a::c::d`. `self`, `super` and `crate` are resolved.
#[derive(Clone, Debug)]
pub struct Named {
    pub segments: Vec<String>,
    pub line: usize,
    pub test: bool,
    /// Whether it is part of a `use`.
    pub import: bool,
}

impl Named {
    /// Whether the path begins with this one.
    pub fn begins(&self, prefix: &str) -> bool {
        let prefix: Vec<_> = prefix.split("::").collect();
        self.segments.len() >= prefix.len() && self.segments.iter().zip(prefix).all(|(one, other)| one == other)
    }
}

/// A file of Rust.
pub struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
    pub tokens: Vec<Token>,
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of `src/`, with test code marked.
pub fn src() -> &'static [Source] {
    static SRC: LazyLock<Vec<Source>> = LazyLock::new(|| {
        let mut sources = rust_below("src");
        let tests: BTreeSet<_> = sources.iter().flat_map(test_modules).collect();
        for source in &mut sources {
            let module = source.module();
            if tests.iter().any(|test| module.starts_with(test)) {
                source.tokens.iter_mut().for_each(|token| token.test = true);
            }
        }
        sources
    });
    &SRC
}

/// Every Rust file below a directory, if there is one.
pub fn rust_below(directory: &str) -> Vec<Source> {
    let files = files_below(&root().join(directory));
    let rust = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|path| Source::read(&path)).collect()
}

/// Every file below a directory, in order.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let below = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    paths.into_iter().flat_map(below).collect()
}

/// A path from the root of the repository, with `/`.
pub fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

impl Source {
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::of(relative(path), text)
    }

    pub fn of(path: String, text: String) -> Self {
        let mut tokens = tokens(&text);
        mark_tests(&mut tokens);
        mark_modules(&mut tokens);
        Self { path, text, tokens }
    }

    /// The module that the file is: `src/edge/spent/memory.rs` is `edge::spent::memory`.
    pub fn module(&self) -> Vec<String> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let module = inside.trim_end_matches(".rs").trim_end_matches("/mod");
        if module == "lib" { Vec::new() } else { module.split('/').map(str::to_owned).collect() }
    }

    /// Where a token stands, for a message.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }

    /// Every path that the code names.
    pub fn named(&self) -> Vec<Named> {
        let mut named = Vec::new();
        let mut index = 0;
        while index < self.tokens.len() {
            let before = index.checked_sub(1).map(|before| &self.tokens[before]);
            let starts = self.tokens[index].kind == Kind::Word && !before.is_some_and(|token| token.is("."));
            if starts {
                let import = before.is_some_and(|token| token.is("use"));
                index = self.path_at(index, &[], import, &mut named);
            }
            index += 1;
        }
        named
    }

    /// Collects the path or the tree of paths at a token; gives the index of its last token.
    fn path_at(&self, start: usize, prefix: &[String], import: bool, named: &mut Vec<Named>) -> usize {
        let token = &self.tokens[start];
        let mut segments = prefix.to_vec();
        let mut end = start;
        while let Some(word) = self.tokens.get(end) {
            if word.kind != Kind::Word && !word.is("*") {
                break;
            }
            segments.push(word.text.clone());
            if !self.tokens.get(end + 1).is_some_and(|next| next.is("::")) {
                break;
            }
            match self.tokens.get(end + 2) {
                Some(next) if next.kind == Kind::Word || next.is("*") => end += 2,
                Some(next) if next.is("{") => return self.group_at(end + 2, &segments, import, named),
                _ => break,
            }
        }
        let segments = self.resolved(&segments, &token.inside);
        named.push(Named { segments, line: token.line, test: token.test, import });
        end
    }

    fn group_at(&self, open: usize, prefix: &[String], import: bool, named: &mut Vec<Named>) -> usize {
        let mut index = open + 1;
        while !self.tokens[index].is("}") {
            let alias = self.tokens[index - 1].is("as");
            let starts = self.tokens[index].kind == Kind::Word || self.tokens[index].is("*");
            if starts && !self.tokens[index].is("as") && !alias {
                index = self.path_at(index, prefix, import, named);
            }
            index += 1;
        }
        index
    }

    fn resolved(&self, segments: &[String], inside: &[String]) -> Vec<String> {
        let mut segments = segments.to_vec();
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        let first = segments.first().map(String::as_str).unwrap_or_default();
        let mut base: Vec<String> = match first {
            "self" | "super" => self.module().into_iter().chain(inside.iter().cloned()).collect(),
            "crate" | "keybound" => Vec::new(),
            _ => return segments,
        };
        let mut rest = segments.as_slice();
        while let Some((segment, after)) = rest.split_first() {
            match segment.as_str() {
                "super" => drop(base.pop()),
                "self" | "crate" | "keybound" => {}
                _ => break,
            }
            rest = after;
        }
        ["crate".to_owned()].into_iter().chain(base).chain(rest.iter().cloned()).collect()
    }

    /// The index of the brace that closes the one at `open`.
    pub fn closing(&self, open: usize) -> usize {
        closing(&self.tokens, open)
    }
}

/// The modules that a file declares for tests only.
fn test_modules(source: &Source) -> Vec<Vec<String>> {
    let declared = source.tokens.windows(3).filter(|three| three[0].is("mod") && three[2].is(";") && three[0].test);
    declared
        .map(|three| {
            source.module().into_iter().chain(three[0].inside.clone()).chain([three[1].text.clone()]).collect()
        })
        .collect()
}

fn closing(tokens: &[Token], open: usize) -> usize {
    let (opens, closes) = match tokens[open].text.as_str() {
        "(" => ("(", ")"),
        "[" => ("[", "]"),
        _ => ("{", "}"),
    };
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        depth += usize::from(token.is(opens));
        depth -= usize::from(token.is(closes));
        if depth == 0 {
            return index;
        }
    }
    tokens.len() - 1
}

/// Marks what `#[cfg(test)]` stands before.
fn mark_tests(tokens: &mut [Token]) {
    for index in 0..tokens.len() {
        let is = |offset: usize, text: &str| tokens.get(index + offset).is_some_and(|token| token.is(text));
        if !(is(0, "#") && is(1, "[") && is(2, "cfg")) {
            continue;
        }
        let attribute = closing(tokens, index + 1);
        let words = |word: &str| tokens[index..attribute].iter().any(|token| token.is(word));
        if words("test") && !words("not") {
            let end = (attribute..tokens.len()).find(|at| tokens[*at].is(";") || tokens[*at].is("{"));
            let end = end.map_or(tokens.len() - 1, |at| if tokens[at].is("{") { closing(tokens, at) } else { at });
            tokens[index..=end].iter_mut().for_each(|token| token.test = true);
        }
    }
}

/// Tells every token which inline modules it is in.
fn mark_modules(tokens: &mut [Token]) {
    for index in 2..tokens.len() {
        if tokens[index - 2].is("mod") && tokens[index].is("{") {
            let (name, end) = (tokens[index - 1].text.clone(), closing(tokens, index));
            tokens[index..=end].iter_mut().for_each(|token| token.inside.push(name.clone()));
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let (mut rest, mut line) = (text, 1);
    let mut tokens = Vec::new();
    while !rest.is_empty() {
        let (kind, content, length) = token(rest);
        if let Some(kind) = kind {
            tokens.push(Token { kind, text: content.to_owned(), line, test: false, inside: Vec::new() });
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// The token or gap at the start of a text, its content, and how long it is.
fn token(text: &str) -> (Option<Kind>, &str, usize) {
    let first = text.chars().next().unwrap_or(' ');
    if let Some(length) = comment(text) {
        return (None, "", length);
    }
    if let Some((content, length)) = string(text) {
        return (Some(Kind::Text), content, length);
    }
    if let Some(length) = character(text) {
        return (Some(Kind::Other), &text[..length], length);
    }
    let word =
        |text: &str| text.find(|letter: char| !(letter.is_alphanumeric() || letter == '_')).unwrap_or(text.len());
    match first {
        letter if letter.is_whitespace() => (None, "", letter.len_utf8()),
        digit if digit.is_ascii_digit() => (Some(Kind::Other), &text[..word(text)], word(text)),
        letter if letter.is_alphabetic() || letter == '_' => (Some(Kind::Word), &text[..word(text)], word(text)),
        '\'' => (Some(Kind::Other), &text[..=word(&text[1..])], 1 + word(&text[1..])),
        _ if ["::", "->", "=>"].iter().any(|sign| text.starts_with(sign)) => (Some(Kind::Sign), &text[..2], 2),
        sign => (Some(Kind::Sign), &text[..sign.len_utf8()], sign.len_utf8()),
    }
}

fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    text.strip_prefix("/*")?;
    let (bytes, mut depth, mut index) = (text.as_bytes(), 1_usize, 2);
    while depth > 0 && index + 1 < bytes.len() {
        let step = match &bytes[index..index + 2] {
            b"/*" => 1,
            b"*/" => -1,
            _ => 0,
        };
        depth = depth.saturating_add_signed(step);
        index += if step == 0 { 1 } else { 2 };
    }
    Some(if depth == 0 { index } else { text.len() })
}

/// The content of a string literal of any kind, and its whole length.
fn string(text: &str) -> Option<(&str, usize)> {
    let prefix = ["br", "cr", "b", "c", "r"]
        .into_iter()
        .find(|prefix| text.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"')));
    let prefix = prefix.unwrap_or_default();
    let hashes = text[prefix.len()..].find(|sign| sign != '#')?;
    let open = prefix.len() + hashes + 1;
    if !text[prefix.len() + hashes..].starts_with('"') || (hashes > 0 && !prefix.ends_with('r')) {
        return None;
    }
    let content = &text[open..];
    let end = if prefix.ends_with('r') {
        content.find(&format!("\"{}", "#".repeat(hashes)))?
    } else {
        let mut escaped = false;
        content.find(|letter| {
            let closes = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            closes
        })?
    };
    Some((&content[..end], open + end + 1 + hashes))
}

/// The length of a character literal; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('b').unwrap_or(text).strip_prefix('\'')?;
    let open = text.len() - inside.len();
    let length = match inside.strip_prefix('\\') {
        // What is escaped is ASCII: `\'`, `\n`, `\u{…}`.
        Some(escape) => 2 + escape.get(1..)?.find('\'')?,
        None => inside.chars().next()?.len_utf8(),
    };
    inside[length..].starts_with('\'').then_some(open + length + 1)
}
