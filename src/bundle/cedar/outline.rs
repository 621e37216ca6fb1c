//! Where each declaration of a schema, and each attribute in it, is written. Cedar's JSON form of a schema has no places.

use std::collections::HashMap;

use super::scan::{self, Token};

/// Places in a schema, as byte offsets.
pub(super) struct Outline<'s> {
    declarations: HashMap<(&'s str, &'s str), Declaration<'s>>,
    /// Attributes that are declared twice in one record, where the second stands. Cedar would take the last one.
    pub repeated: Vec<Token<'s>>,
    /// Declarations that keybound does not take, by their first word.
    pub foreign: Vec<Token<'s>>,
    /// Names with escapes in them: two spellings of one name.
    pub escaped: Vec<Token<'s>>,
}

#[derive(Clone)]
struct Declaration<'s> {
    at: usize,
    members: HashMap<Vec<&'s str>, usize>,
}

/// A place in a declaration: its keyword, its name, and the attributes on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot<'n> {
    pub keyword: &'static str,
    pub name: &'n str,
    pub path: Vec<&'n str>,
}

impl<'s> Outline<'s> {
    pub fn of(tokens: &[Token<'s>]) -> Self {
        let mut outline =
            Self { declarations: HashMap::new(), repeated: Vec::new(), foreign: Vec::new(), escaped: Vec::new() };
        for statement in scan::statements(tokens) {
            let (_, statement) = scan::annotations(statement);
            outline.declare(statement);
        }
        outline
    }

    fn declare(&mut self, statement: &[Token<'s>]) {
        let Some((keyword, rest)) = statement.split_first() else { return };
        if keyword.is("external") || keyword.is("namespace") {
            self.foreign.push(*keyword);
        }
        if !["entity", "action", "type"].iter().any(|each| keyword.is(each)) {
            return;
        }
        // Names are separated by commas; whatever else comes ends them.
        let mut names = Vec::new();
        let mut body = rest;
        while let [name, after @ ..] = body {
            names.push(*name);
            self.escaped.extend(name.literal().filter(|literal| literal.contains('\\')).map(|_| *name));
            body = after;
            match after {
                [comma, rest @ ..] if comma.is(",") => body = rest,
                _ => break,
            }
        }
        let members = self.members(body);
        for name in &names {
            let declaration = Declaration { at: name.at, members: members.clone() };
            self.declarations.insert((keyword.text, name.name().unwrap_or_default()), declaration);
        }
    }

    /// Every `name:` and `name?:`, by the names of the records around it.
    fn members(&mut self, body: &[Token<'s>]) -> HashMap<Vec<&'s str>, usize> {
        let mut members = HashMap::new();
        // The first record is the declaration itself.
        let mut around: Vec<&'s str> = Vec::new();
        let mut latest = "";
        for (index, token) in body.iter().enumerate() {
            let mut after = body.iter().skip(index.saturating_add(1)).skip_while(|next| next.is("?"));
            if token.is("{") {
                around.push(latest);
            } else if token.is("}") {
                around.pop();
            } else if let Some(name) = token.name()
                && !around.is_empty()
                && after.next().is_some_and(|next| next.is(":"))
            {
                latest = name;
                self.escaped.extend(name.contains('\\').then_some(*token));
                let path = around.iter().skip(1).copied().chain([name]).collect();
                if members.insert(path, token.at).is_some() {
                    self.repeated.push(*token);
                }
            }
        }
        members
    }

    /// The nearest place that is known: the attribute, the attribute it is in, the declaration.
    pub fn find(&self, spot: &Spot<'_>) -> usize {
        let Some(declaration) = self.declarations.get(&(spot.keyword, spot.name)) else { return 0 };
        let mut path = spot.path.clone();
        while !path.is_empty() {
            if let Some(at) = declaration.members.get(&path) {
                return *at;
            }
            path.pop();
        }
        declaration.at
    }
}
