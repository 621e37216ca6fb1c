//! What Cedar allows and nobody means: names of clients and APIs that do not exist, and a `forbid` that only those meet
//! who bring a claim or a certificate.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Effect, EntityUid};
use serde_json::Value;

use super::scan::Token;
use super::vocabulary::Vocabulary;
use super::written::{WrittenPolicy, path};
use crate::decision::client::{ClientId, Registration};
use crate::decision::route::Api;
use crate::decision::token::IssuerRules;
use crate::problem::{Findings, Position};
use crate::yaml::shape::did_you_mean;

/// The clients and APIs that there are; `None` where the file could not be read.
pub(in crate::bundle) struct Names<'a> {
    apis: Option<HashSet<&'a str>>,
    clients: Option<&'a HashMap<ClientId, Registration>>,
    issuers: Vec<&'a str>,
    vocabulary: Vocabulary<'a>,
    /// Whether some API accepts clients that are not registered.
    any_client: bool,
}

impl<'a> Names<'a> {
    /// The names that the other files know.
    pub fn of(
        apis: Option<&'a [Api]>,
        clients: Option<&'a HashMap<ClientId, Registration>>,
        issuers: &'a [IssuerRules],
    ) -> Self {
        Self {
            apis: apis.map(|apis| apis.iter().map(|api| api.id.as_str()).collect()),
            clients,
            vocabulary: Vocabulary::of(apis, clients),
            issuers: issuers.iter().map(|rules| rules.issuer.as_str()).collect(),
            any_client: apis.is_none_or(|apis| apis.iter().any(|api| !api.registered_clients)),
        }
    }

    /// Checks every entity that a policy names, and every text that it compares with: a `forbid` about one that does not
    /// exist forbids nothing.
    pub(super) fn check(&self, written: &WrittenPolicy<'_>, findings: &mut Findings<'_>) {
        let mut literals = written.policy().entity_literals();
        literals.sort_unstable_by_key(ToString::to_string);
        literals.dedup();
        self.vocabulary.check(written, findings);
        for literal in literals {
            let id = literal.id().unescaped().to_owned();
            // Looked for only where there is something to say: it reads the file up to there.
            let at = |findings: &Findings<'_>| findings.offset(place(written, &literal));
            match literal.type_name().to_string().as_str() {
                "Api" => {
                    if let Some(apis) = self.apis.as_ref().filter(|apis| !apis.contains(id.as_str())) {
                        let mut known: Vec<&str> = apis.iter().copied().collect();
                        known.sort_unstable();
                        let remedy = did_you_mean(&id, known.into_iter());
                        findings.error(at(findings), format!("there is no API `{id}` in apis.yaml"), remedy);
                    }
                }
                "Client" => self.check_client(&id, &at, findings),
                "Anonymous" if id != "anonymous" => {
                    findings.error(at(findings), "nobody is this Anonymous", "write `principal is Anonymous`");
                }
                _ => {}
            }
        }
    }

    fn check_client(&self, id: &str, at: &dyn Fn(&Findings<'_>) -> Position, findings: &mut Findings<'_>) {
        let named = id.split_once('#').filter(|(issuer, _)| self.issuers.contains(issuer));
        let Some((issuer, client)) = named else {
            let issuer = self.issuers.first().copied().unwrap_or("https://issuer");
            findings.error(
                at(findings),
                format!("no client is named `{id}`"),
                format!("write Client::\"issuer#client id\", such as Client::\"{issuer}#robot\"; ids are unique only within their issuer"),
            );
            return;
        };
        let client = ClientId { issuer: issuer.to_owned(), id: client.to_owned() };
        if !self.any_client && self.clients.is_some_and(|clients| !clients.contains_key(&client)) {
            findings.error(
                at(findings),
                format!("client `{}` of `{issuer}` is not in clients.yaml", client.id),
                "register it, or correct the name",
            );
        }
    }
}

/// Where a policy names an entity; its effect, if it is written in another way.
fn place(written: &WrittenPolicy<'_>, literal: &EntityUid) -> usize {
    let id = literal.id().escaped().to_string();
    let mut tokens = written.tokens.iter();
    tokens.find(|token| token.literal() == Some(id.as_str())).map_or_else(|| written.effect_at(), |token| token.at)
}

/// Warns of a `forbid` whose conditions can only hold when something is there that the sender can leave out, such as an
/// optional claim: whoever comes without it is not forbidden.
pub(super) fn check_forbid(written: &WrittenPolicy<'_>, findings: &mut Findings<'_>) {
    if written.policy().effect() != Effect::Forbid {
        return;
    }
    let needed = written.conditions().into_iter().flatten().find_map(|condition| {
        let needs = Needs::of(&condition.body);
        if condition.must_hold { needs.to_hold } else { needs.to_fail }
    });
    let Some(needed) = needed else { return };
    let (record, name) = needed.rsplit_once('.').unwrap_or(("context", &needed));
    // The `has` that names it: `has claim`, or `has token.claims.claim`.
    let names_it = |index: usize| {
        let after = written.tokens.iter().skip(index.saturating_add(1));
        let path = after.take_while(|token| token.is(".") || token.name().is_some());
        path.filter_map(Token::name).any(|each| each == name)
    };
    let mut tests = written.tokens.iter().enumerate().filter(|(_, token)| token.is("has"));
    let at = tests.find(|(index, _)| names_it(*index)).map_or_else(|| written.effect_at(), |(_, token)| token.at);
    let without = match name {
        "certificate" => "a request without a client certificate".to_owned(),
        "peer_ip" => "a request whose peer has no address".to_owned(),
        claim => format!("a token without the claim `{claim}`"),
    };
    findings.warning(
        findings.offset(at),
        format!("this forbid cannot apply to {without}"),
        format!(
            "if that is not meant, turn it round: forbid … unless {{ {record} has {name} && … }}, with what it must say"
        ),
    );
}

/// What an expression cannot be true without, and what it cannot be false without; as its path.
#[derive(Default)]
struct Needs {
    to_hold: Option<String>,
    to_fail: Option<String>,
}

impl Needs {
    /// Of an expression in Cedar's JSON form. What is not understood needs nothing: a warning less.
    fn of(expression: &Value) -> Self {
        let Some((operator, arguments)) = expression.as_object().and_then(|map| map.iter().next()) else {
            return Self::default();
        };
        let side = |name: &str| arguments.get(name).map(Self::of).unwrap_or_default();
        match operator.as_str() {
            "has" => Self { to_hold: tested(arguments), to_fail: None },
            "!" => {
                let inner = side("arg");
                Self { to_hold: inner.to_fail, to_fail: inner.to_hold }
            }
            "&&" => side("left").and(side("right")),
            // By De Morgan: `a || b` fails as `!a && !b` holds.
            "||" => side("left").turned().and(side("right").turned()).turned(),
            "if-then-else" => {
                let (test, then, other) = (side("if"), side("then"), side("else"));
                Self {
                    to_hold: test
                        .to_hold
                        .clone()
                        .or(then.to_hold)
                        .and_then(|claim| test.to_fail.clone().or(other.to_hold).map(|_| claim)),
                    to_fail: test
                        .to_hold
                        .or(then.to_fail)
                        .and_then(|claim| test.to_fail.or(other.to_fail).map(|_| claim)),
                }
            }
            _ => Self::default(),
        }
    }

    fn turned(self) -> Self {
        Self { to_hold: self.to_fail, to_fail: self.to_hold }
    }

    /// Both hold, or else the left one fails, or it holds and the right one fails.
    fn and(self, right: Self) -> Self {
        let right_fails = self.to_hold.clone().or(right.to_fail);
        Self {
            to_fail: self.to_fail.and_then(|claim| right_fails.map(|_| claim)),
            to_hold: self.to_hold.or(right.to_hold),
        }
    }
}

/// What a test for presence asks for, however it is split, if the sender can leave it out: `context.token.claims has x`.
fn tested(test: &Value) -> Option<String> {
    let mut path = path(test.get("left")?)?;
    // One name, or `has a.b.c`.
    let names = test.get("attr")?;
    path.extend(names.as_str());
    path.extend(names.as_array().into_iter().flatten().filter_map(Value::as_str));
    let length = match path.as_slice() {
        ["context", "token", "claims", _, ..] => 4,
        ["context", "certificate", ..] => 2,
        ["context", "http", "peer_ip"] => 3,
        _ => return None,
    };
    Some(path.get(..length)?.join("."))
}
