//! Observe mode and exceptions as they are written: nothing lenient without a limit, a reason and an owner.

use super::raw;
use super::surroundings::Context;
use super::words::{check_prose, check_unique, date_at};
use crate::decision::client::ClientId;
use crate::decision::denial::Class;
use crate::decision::leniency::{Exception, Leniency};
use crate::problem::Findings;
use crate::yaml::Node;

/// An exception ends by itself within half a year, so that somebody decides anew.
const EXCEPTION_DAYS: i64 = 180;
const DAY_SECONDS: i64 = 86_400;

/// Reads what an API tolerates.
pub(super) fn read(api: &raw::Api, node: &Node, context: &Context<'_>, findings: &mut Findings<'_>) -> Leniency {
    let relaxed = relaxed(api, node, findings);
    let mut exceptions: Vec<Exception> = Vec::new();
    for (index, written) in api.exceptions.iter().enumerate() {
        let node = node.key("exceptions").item(index);
        let exception = exception(api, written, node, context, findings);
        let same = |before: &Exception| before.client == exception.client && before.waives == exception.waives;
        if exceptions.iter().any(same) {
            findings.error(
                node.key("client").at,
                format!("`{}` has two exceptions from `{}`", exception.client.id, exception.waives.name()),
                "keep one of the two",
            );
        }
        exceptions.push(exception);
    }
    Leniency { relaxed, exceptions }
}

fn relaxed(api: &raw::Api, node: &Node, findings: &mut Findings<'_>) -> Vec<Class> {
    let relaxed: Vec<Class> = api.relax.iter().map(|class| Class::from(*class)).collect();
    let (mode, relax) = (node.key("mode").at, node.key("relax"));
    check_unique(relaxed.iter().map(|class| class.name()), "relax", |index| relax.item(index).at, findings);
    match (api.mode, relaxed.is_empty()) {
        (raw::Mode::Enforce, false) => {
            findings.error(relax.at, "`relax` without observe mode", "add `mode: observe`, or remove `relax`");
        }
        (raw::Mode::Observe, true) => findings.error(
            mode,
            "observe mode that relaxes nothing",
            "add `relax` with the classes to observe, such as [binding], or write `mode: enforce`",
        ),
        (raw::Mode::Observe, false) if api.sensitivity == raw::Level::High => findings.warning(
            mode,
            format!("`{}` is of high sensitivity, and denials of its relaxed classes let requests pass", api.id),
            "observe for as short as possible; what may never pass belongs into guardrails.cedar",
        ),
        (raw::Mode::Observe | raw::Mode::Enforce, _) => {}
    }
    let missing = missing(&relaxed);
    if !missing.is_empty() {
        let names = missing.iter().map(|class| class.name()).collect::<Vec<_>>().join(", ");
        findings.error(
            relax.at,
            format!(
                "a request may pass without a credential or a valid token, and then `{names}` has nothing to judge"
            ),
            format!("add {names} to `relax`, or take credential and token out"),
        );
    }
    relaxed
}

/// Every class that must be relaxed too.
fn missing(relaxed: &[Class]) -> Vec<Class> {
    let mut leniency = Leniency { relaxed: relaxed.to_vec(), exceptions: Vec::new() };
    let mut missing = Vec::new();
    while let Some(class) = leniency.gap() {
        missing.push(class);
        leniency.relaxed.push(class);
    }
    missing
}

fn exception(
    api: &raw::Api,
    written: &raw::Exception,
    node: &Node,
    context: &Context<'_>,
    findings: &mut Findings<'_>,
) -> Exception {
    check_prose(&written.reason, "reason", node.key("reason").at, findings);
    check_prose(&written.owner, "owner", node.key("owner").at, findings);
    let client = ClientId { issuer: written.client.issuer.clone(), id: written.client.id.clone() };
    check_client(api, &client, node.key("client"), context, findings);
    check_demand(api, written, node, findings);
    let ends_at = ends_at(written, node, context.surroundings.now, findings);
    Exception {
        client,
        waives: written.waives.into(),
        reason: written.reason.clone(),
        owner: written.owner.clone(),
        ends_at,
    }
}

fn check_client(api: &raw::Api, client: &ClientId, node: &Node, context: &Context<'_>, findings: &mut Findings<'_>) {
    if !api.issuers.contains(&client.issuer) {
        findings.error(
            node.key("issuer").at,
            format!("the API accepts no tokens of `{}`", client.issuer),
            format!("write one of its issuers: {}", api.issuers.join(", ")),
        );
        return;
    }
    let Some(clients) = context.clients else { return };
    if api.clients == raw::Clients::Registered && !clients.contains_key(client) {
        findings.error(
            node.key("id").at,
            format!("client `{}` of `{}` is not registered", client.id, client.issuer),
            "register it in clients.yaml, or correct issuer and id",
        );
    }
}

/// There is something to waive.
fn check_demand(api: &raw::Api, written: &raw::Exception, node: &Node, findings: &mut Findings<'_>) {
    let at = node.key("waives").at;
    match written.waives {
        raw::Waived::Proof if api.proof == raw::Proof::None => findings.error(
            at,
            "there is no proof to waive: the API has `proof: none`",
            "remove the exception, or write `proof: required`",
        ),
        raw::Waived::TokenLifetime if api.max_token_lifetime_seconds.is_none() => findings.error(
            at,
            "there is no ceiling to waive: the API has no `max_token_lifetime_seconds`",
            "remove the exception; the ceiling of an issuer cannot be waived",
        ),
        raw::Waived::Proof | raw::Waived::TokenLifetime => {}
    }
}

fn ends_at(written: &raw::Exception, node: &Node, now: i64, findings: &mut Findings<'_>) -> i64 {
    let at = node.key("expires").at;
    // One that has no date has ended.
    let Some(ends_at) = date_at(&written.expires, at, findings) else { return 0 };
    let left = ends_at.saturating_sub(now);
    if left > EXCEPTION_DAYS.saturating_mul(DAY_SECONDS) {
        findings.error(
            at,
            format!("the exception ends more than {EXCEPTION_DAYS} days from now"),
            "write a nearer day; it can be renewed when it is due",
        );
    } else if left <= 0 {
        findings.warning(
            at,
            format!("the exception for `{}` has ended: the demand holds again", written.client.id),
            "remove it, or let its owner renew the date",
        );
    }
    ends_at
}
