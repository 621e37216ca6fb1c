//! The operations of an API: method and path to action and scopes.

use super::raw;
use super::surroundings::Context;
use super::words::{check_unique, is_method, is_scope};
use crate::decision::denial::Class;
use crate::decision::limits;
use crate::decision::route::{Operation, PathTemplate};
use crate::problem::{Findings, Position};
use crate::yaml::shape::did_you_mean;
use crate::yaml::{Kind, Node};

/// Where an operation is written.
pub(super) struct Place {
    pub path: Position,
    pub action: Position,
}

/// Reads the operations of one API, and where each is written.
pub(super) fn read(
    api: &raw::Api,
    list: &Node,
    context: &Context<'_>,
    findings: &mut Findings<'_>,
) -> (Vec<Operation>, Vec<Place>) {
    let mut operations = Vec::new();
    let mut places = Vec::new();
    for (index, written) in api.operations.iter().enumerate() {
        let node = list.item(index);
        check_methods(&written.method.0, node.key("method"), findings);
        check_scopes(written, node, findings);
        check_action(api, written, node.key("action").at, context, findings);
        match PathTemplate::parse(&written.path) {
            Ok(path) => {
                operations.push(Operation {
                    methods: written.method.0.clone(),
                    path,
                    action: written.action.clone(),
                    scopes: written.scopes.clone(),
                    public: written.public,
                });
                places.push(Place { path: node.key("path").at, action: node.key("action").at });
            }
            Err(why) => findings.error(
                node.key("path").at,
                format!("`{}` is no path of an operation: {why}", written.path),
                "write the path as Envoy routes on it, such as /payments/{payment_id}/parts",
            ),
        }
    }
    (operations, places)
}

fn check_methods(methods: &[String], node: &Node, findings: &mut Findings<'_>) {
    let at = |index| if matches!(node.kind, Kind::List(_)) { node.item(index).at } else { node.at };
    check_unique(methods.iter().map(String::as_str), "method", at, findings);
    for (index, method) in methods.iter().enumerate() {
        if !is_method(method) {
            findings.error(
                at(index),
                format!("`{method}` is no method"),
                "write one word, such as GET (RFC 9110 §9.1)",
            );
        } else if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            findings.warning(
                at(index),
                format!("`{method}` is matched exactly, and methods are in upper case (RFC 9110 §9.1)"),
                format!("write {}, if that is what clients send", method.to_ascii_uppercase()),
            );
        }
    }
}

fn check_scopes(written: &raw::Operation, node: &Node, findings: &mut Findings<'_>) {
    let scopes = node.key("scopes");
    check_unique(written.scopes.iter().map(String::as_str), "scopes", |index| scopes.item(index).at, findings);
    for (index, scope) in written.scopes.iter().enumerate().filter(|(_, scope)| !is_scope(scope)) {
        findings.error(
            scopes.item(index).at,
            format!("`{scope}` is no scope"),
            "write one scope per item: visible ASCII without spaces, quotes and backslashes (RFC 6749 §3.3)",
        );
    }
    if written.scopes.len() > limits::SCOPES {
        findings.error(scopes.at, "no token has that many scopes", format!("write at most {}", limits::SCOPES));
    }
    if written.public && !written.scopes.is_empty() {
        findings.error(
            scopes.at,
            "a public operation asks for no token, so it cannot ask for scopes",
            "remove `scopes`, or `public: true`",
        );
    }
}

/// The principals of an action that somebody may ask for without a token.
const BOTH: &str = "[Client, Anonymous]";

/// The action is declared, for every principal that the walk may ask about.
fn check_action(
    api: &raw::Api,
    written: &raw::Operation,
    at: Position,
    context: &Context<'_>,
    findings: &mut Findings<'_>,
) {
    let Some(actions) = context.actions else { return };
    let name = &written.action;
    let Some(action) = actions.iter().find(|action| action.name == *name) else {
        findings.error(
            at,
            format!("action `{name}` applies to nothing in schema.cedarschema"),
            format!(
                "{} (or declare: action \"{name}\" appliesTo {{ principal: {}, resource: Api, context: … }};)",
                did_you_mean(name, actions.iter().map(|action| action.name.as_str())),
                if written.public { BOTH } else { "Client" }
            ),
        );
        return;
    };
    let relaxed = api.relax.iter().find(|class| matches!(class, raw::Relaxed::Credential | raw::Relaxed::Token));
    let write =
        |principals: &str| format!("write `principal: {principals}` for action \"{name}\" in schema.cedarschema");
    let both = || format!("{}, with `token?` and `proof?` in its context", write(BOTH));
    if written.public && !action.for_anonymous {
        findings.error(at, format!("the operation is public, and action `{name}` does not apply to Anonymous"), both());
    } else if !written.public && !action.for_clients {
        findings.error(
            at,
            format!("action `{name}` does not apply to Client"),
            write(if action.for_anonymous { BOTH } else { "Client" }),
        );
    } else if let Some(class) = relaxed.filter(|_| !action.for_anonymous) {
        let class = Class::from(*class).name();
        findings.error(
            at,
            format!(
                "the API relaxes `{class}`: then nobody is known, and guardrails are asked about Anonymous, but action \
                 `{name}` does not apply to it"
            ),
            both(),
        );
    }
}
