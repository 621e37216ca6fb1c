//! The tokens of Cedar text with their places, for what Cedar's own types do not tell: where each policy begins, where an
//! annotation or a declared attribute stands. Cedar parses; nothing is decided by what is found here.

/// A word, a string literal with its quotes, `::`, or one other character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'s> {
    pub text: &'s str,
    /// Byte offset.
    pub at: usize,
}

impl<'s> Token<'s> {
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }

    /// What is between the quotes of a string literal, escapes as they are written.
    pub fn literal(&self) -> Option<&'s str> {
        self.text.strip_prefix('"')?.strip_suffix('"')
    }

    /// A name: a word, or what a string literal holds.
    pub fn name(&self) -> Option<&'s str> {
        self.literal().or_else(|| self.text.starts_with(is_word).then_some(self.text))
    }

    pub fn end(&self) -> usize {
        self.at.saturating_add(self.text.len())
    }
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Every token; white space and comments are left out.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0usize;
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let (length, told) = next(rest);
        if told {
            tokens.push(Token { text: rest.get(..length).unwrap_or(rest), at });
        }
        at = at.saturating_add(length.max(1));
    }
    tokens
}

/// The length of what comes next, and whether it is a token.
fn next(rest: &str) -> (usize, bool) {
    let until = |end: fn(char) -> bool| rest.find(end).unwrap_or(rest.len());
    let first = rest.chars().next().unwrap_or_default();
    if rest.starts_with("//") {
        (until(|character| matches!(character, '\n' | '\r')), false)
    } else if first == '"' {
        (literal_length(rest), true)
    } else if first.is_ascii_digit() {
        // A number ends where a word begins: `1else`.
        (until(|character| !character.is_ascii_digit()), true)
    } else if is_word(first) {
        (until(|character| !is_word(character)), true)
    } else if rest.starts_with("::") {
        (2, true)
    } else {
        (first.len_utf8(), !first.is_whitespace())
    }
}

/// To the closing quote, or to the end if there is none.
fn literal_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            '"' if !escaped => return at.saturating_add(1),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// The statements of a text: tokens up to and with each `;`, and what is left after the last.
pub(super) fn statements<'t, 's>(tokens: &'t [Token<'s>]) -> impl Iterator<Item = &'t [Token<'s>]> {
    tokens.split_inclusive(|token| token.is(";"))
}

/// An annotation at the beginning of a statement.
pub(super) struct Annotation<'s> {
    pub name: &'s str,
    pub at: usize,
}

/// The annotations at the beginning of a statement, and the tokens after them.
pub(super) fn annotations<'t, 's>(mut tokens: &'t [Token<'s>]) -> (Vec<Annotation<'s>>, &'t [Token<'s>]) {
    let mut annotations = Vec::new();
    while let [sign, name, rest @ ..] = tokens
        && sign.is("@")
    {
        annotations.push(Annotation { name: name.text, at: sign.at });
        tokens = match rest {
            [open, _, close, rest @ ..] if open.is("(") && close.is(")") => rest,
            _ => rest,
        };
    }
    (annotations, tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_hide_what_is_in_them() {
        let source = "// a; b\n@id(\"x;\\\"y\") permit(a::b, \"//\");// end\nforbid";
        let texts: Vec<_> = tokens(source).iter().map(|token| token.text).collect();
        assert_eq!(
            texts,
            ["@", "id", "(", "\"x;\\\"y\"", ")", "permit", "(", "a", "::", "b", ",", "\"//\"", ")", ";", "forbid"]
        );
        let tokens = tokens(source);
        assert!(tokens.iter().all(|token| source.get(token.at..token.end()) == Some(token.text)));
        assert_eq!(statements(&tokens).map(<[_]>::len).collect::<Vec<_>>(), [14, 1]);
        let (annotations, rest) = annotations(&tokens);
        assert_eq!(annotations.iter().map(|each| (each.name, each.at)).collect::<Vec<_>>(), [("id", 8)]);
        assert!(rest.first().is_some_and(|token| token.is("permit")));
    }

    #[test]
    fn a_number_ends_where_a_word_begins() {
        let texts: Vec<_> = tokens("12else b1 + 3").iter().map(|token| token.text).collect();
        assert_eq!(texts, ["12", "else", "b1", "+", "3"]);
    }

    #[test]
    fn text_that_is_no_cedar_ends_too() {
        for source in ["\"", "\"\\", "\u{e9}\u{1f511}", "@", "@@", "::::", ";;;", "//"] {
            let tokens = tokens(source);
            assert!(tokens.iter().all(|token| source.get(token.at..token.end()) == Some(token.text)), "{source}");
            annotations(&tokens);
        }
    }
}
