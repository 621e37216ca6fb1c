//! Comparisons that never hold: with a text that an attribute cannot have, where it is known which ones it can have. A
//! guardrail that is misspelled so would forbid nothing, and nobody would see it.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::scan::Token;
use super::written::{WrittenPolicy, path};
use crate::decision::client::{ClientId, Registration};
use crate::decision::policy::attributes::UNREGISTERED;
use crate::decision::route::{Api, Sensitivity};
use crate::problem::Findings;
use crate::yaml::shape::nearest;

/// So many words are told at most.
const TOLD: usize = 8;

const KIND: &[&str] = &["principal", "kind"];

type Words<'a> = BTreeSet<&'a str>;

/// What attributes can say; `None` where the file that tells it could not be read.
pub(super) struct Vocabulary<'a> {
    methods: Option<Words<'a>>,
    hosts: Option<Words<'a>>,
    kinds: Option<Words<'a>>,
    proofs: Words<'a>,
    sensitivities: Words<'a>,
}

impl<'a> Vocabulary<'a> {
    pub fn of(apis: Option<&'a [Api]>, clients: Option<&'a HashMap<ClientId, Registration>>) -> Self {
        let methods = |api: &'a Api| api.operations.iter().flat_map(|operation| &operation.methods);
        let hosts = |api: &'a Api| api.hosts.iter().map(|(host, _)| host.as_str());
        let kinds = |clients: &'a HashMap<_, Registration>| clients.values().map(|client| client.kind.as_str());
        Self {
            methods: apis.map(|apis| apis.iter().flat_map(methods).map(String::as_str).collect()),
            hosts: apis.map(|apis| apis.iter().flat_map(hosts).collect()),
            kinds: clients.map(|clients| kinds(clients).chain([UNREGISTERED]).collect()),
            proofs: Words::from(["dpop", "mtls", "none"]),
            sensitivities: [Sensitivity::Low, Sensitivity::Medium, Sensitivity::High].map(Sensitivity::name).into(),
        }
    }

    /// Warns of every comparison with a text that the attribute never is.
    pub fn check(&self, written: &WrittenPolicy<'_>, findings: &mut Findings<'_>) {
        let mut never = BTreeSet::new();
        for condition in written.conditions().into_iter().flatten() {
            self.find(&condition.body, &mut never);
        }
        for (attribute, text) in never {
            let names: Vec<_> = attribute.split('.').collect();
            let Some(words) = self.words(&names) else { continue };
            let places = written.tokens.iter().enumerate().filter(|(_, token)| token.literal() == Some(text.as_str()));
            let places: Vec<_> = places.collect();
            let beside =
                |(index, _): &&(usize, &Token<'_>)| names.last().is_some_and(|name| is_beside(written, *index, name));
            let place = places.iter().find(beside).or_else(|| places.first());
            findings.warning(
                findings.offset(place.map_or_else(|| written.effect_at(), |(_, token)| token.at)),
                format!("`{attribute}` is never \"{text}\""),
                remedy(&text, words),
            );
        }
    }

    fn words(&self, attribute: &[&str]) -> Option<&Words<'a>> {
        match attribute {
            ["context", "http", "method"] => self.methods.as_ref(),
            ["context", "http", "host"] => self.hosts.as_ref(),
            KIND => self.kinds.as_ref(),
            ["context", "proof", "method"] => Some(&self.proofs),
            ["resource", "sensitivity"] => Some(&self.sensitivities),
            _ => None,
        }
    }

    /// Each attribute and text that are compared and never equal, in an expression in Cedar's JSON form.
    fn find(&self, expression: &Value, never: &mut BTreeSet<(String, String)>) {
        let mut compare = |attribute: &Value, text: &Value| {
            if let (Some(names), Some(text)) = (path(attribute), text.get("Value").and_then(Value::as_str))
                && self.words(&names).is_some_and(|words| !words.contains(text))
                // The first agent may be registered tomorrow: of kinds only a typing error is told.
                && (names != KIND || self.kinds.as_ref().and_then(|kinds| alike(text, kinds)).is_some())
            {
                never.insert((names.join("."), text.to_owned()));
            }
        };
        for (operator, arguments) in expression.as_object().into_iter().flatten() {
            if let (Some(left), Some(right)) = (arguments.get("left"), arguments.get("right")) {
                match operator.as_str() {
                    "==" | "!=" => {
                        compare(left, right);
                        compare(right, left);
                    }
                    "contains" => {
                        let texts = left.get("Set").and_then(Value::as_array);
                        texts.into_iter().flatten().for_each(|text| compare(right, text));
                    }
                    _ => {}
                }
            }
        }
        match expression {
            Value::Object(members) => members.values().for_each(|member| self.find(member, never)),
            Value::Array(items) => items.iter().for_each(|item| self.find(item, never)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// Whether a literal is compared with what ends in `.name`.
fn is_beside(written: &WrittenPolicy<'_>, index: usize, name: &str) -> bool {
    let at = |index: Option<usize>| index.and_then(|index| written.tokens.get(index));
    let is = |index: Option<usize>, text: &str| at(index).is_some_and(|token| token.is(text));
    // `==` and `!=` are two tokens each.
    let [before, third] = [1, 3].map(|back| index.checked_sub(back));
    let behind = is(before, "=") && at(third).and_then(Token::name) == Some(name);
    let after = index.checked_add(2);
    // `"a" == x.y.name`: the names end where the dots do.
    let names = written.tokens.iter().skip(index.saturating_add(3));
    let names = names.take_while(|token| token.is(".") || token.name().is_some_and(|name| name != "in"));
    behind || (is(after, "=") && names.filter_map(Token::name).last() == Some(name))
}

/// The word that is meant, if it is a typing error.
fn alike<'a>(text: &str, words: &Words<'a>) -> Option<&'a str> {
    let each = words.iter().copied();
    each.clone().find(|word| word.eq_ignore_ascii_case(text)).or_else(|| nearest(text, each))
}

fn remedy(text: &str, words: &Words<'_>) -> String {
    if let Some(word) = alike(text, words) {
        return format!("did you mean \"{word}\"?");
    }
    let some: Vec<_> = words.iter().take(TOLD).copied().collect();
    let more = if words.len() > TOLD { ", …" } else { "" };
    format!("it is one of: {}{more}; correct it, or remove the comparison", some.join(", "))
}
