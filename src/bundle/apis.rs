//! The API inventory: whose each API is, where it is, and what it demands.
//!
//! Each rule reports for itself and the reading goes on, so that all that is wrong is told at once.

use core::net::IpAddr;
use std::collections::{BTreeSet, HashSet};

use super::files::APIS;
use super::operations::Place;
use super::surroundings::{Context, Surroundings};
use super::words::{NAME_REMEDY, check_prose, check_unique, is_name};
use super::{cedar, introspection, leniency, operations, raw};
use crate::decision::denial::Class;
use crate::decision::route::{Api, Inventory, Operation};
use crate::decision::target::Origin;
use crate::decision::token::IssuerRules;
use crate::problem::{Findings, Position};
use crate::yaml::{self, Node};

/// The APIs as far as they can be read, and where their operations are written.
pub(super) struct Apis {
    pub list: Vec<Api>,
    places: Vec<Vec<Place>>,
}

/// Reads `apis.yaml`.
pub(super) fn read(source: &str, context: &Context<'_>, findings: &mut Findings<'_>) -> Option<Apis> {
    let (file, tree) = yaml::read::<raw::ApisFile>(APIS, source, findings)?;
    let list = tree.key("apis");
    let mut apis = Apis { list: Vec::new(), places: Vec::new() };
    for (index, written) in file.apis.into_iter().enumerate() {
        let node = list.item(index);
        if apis.list.iter().any(|before| before.id == written.id) {
            findings.error(
                node.key("id").at,
                format!("two APIs are named `{}`", written.id),
                "give each its own id; an API may have several hosts",
            );
        }
        let hosts = hosts(&written, node.key("hosts"), &apis.list, findings);
        check_origins(&hosts, node.key("hosts"), &apis.list, findings);
        let (operations, places) = operations::read(&written, node.key("operations"), context, findings);
        apis.list.push(api(written, node, hosts, operations, context, findings));
        apis.places.push(places);
    }
    Some(apis)
}

fn place(places: &[Vec<Place>], api: usize, operation: usize) -> Option<&Place> {
    places.get(api)?.get(operation)
}

impl Apis {
    /// Warns of operations that no policy can permit, each action of an API once.
    pub fn warn_of_unpermitted(&self, operations: &cedar::Places, findings: &mut Findings<'_>) {
        let mut told = HashSet::new();
        for &(index, number) in operations {
            let Some(api) = self.list.get(index) else { continue };
            let (Some(operation), Some(place)) = (api.operations.get(number), place(&self.places, index, number))
            else {
                continue;
            };
            let action = &operation.action;
            if told.insert((index, action)) {
                let relaxed = api.leniency.relaxed.contains(&Class::Policy);
                findings.warning(
                    place.action,
                    format!(
                        "no policy permits action `{action}` of API `{}`: every request to it {}",
                        api.id,
                        if relaxed { "is denied, or let pass by observe mode alone" } else { "is denied" }
                    ),
                    format!(
                        "write a policy: permit (principal is Client, action == Action::\"{action}\", resource == \
                         Api::\"{}\") when {{ … }};",
                        api.id
                    ),
                );
            }
        }
    }

    /// Indexes the APIs, or reports every pair of operations that one request could mean.
    pub fn index(self, findings: &mut Findings<'_>) -> Option<Inventory> {
        let ambiguities = match Inventory::new(self.list) {
            Ok(inventory) => return Some(inventory),
            Err(ambiguities) => ambiguities,
        };
        let mut told = HashSet::new();
        for ambiguity in ambiguities {
            let (api, operation) = ambiguity.operation;
            let at = place(&self.places, api, operation).map_or(Position { line: 1, column: 1 }, |place| place.path);
            let (other, action) = ambiguity.other;
            // Two APIs may meet on several hosts.
            if told.insert((at, other.clone(), action.clone())) {
                findings.error(
                    at,
                    format!(
                        "on host `{}` a request can mean this operation or `{action}` of API `{other}`",
                        ambiguity.host
                    ),
                    "change one of the paths, so that no path fits both, or their methods, if the paths fit the same",
                );
            }
        }
        None
    }
}

fn api(
    written: raw::Api,
    node: &Node,
    hosts: Vec<(String, Origin)>,
    operations: Vec<Operation>,
    context: &Context<'_>,
    findings: &mut Findings<'_>,
) -> Api {
    if !is_name(&written.id) {
        findings.error(node.key("id").at, format!("`{}` is no id of an API", written.id), NAME_REMEDY);
    }
    check_prose(&written.owner, "owner", node.key("owner").at, findings);
    check_issuers(&written, node, context.surroundings, findings);
    check_demands(&written, node, context.surroundings, findings);
    let leniency = leniency::read(&written, node, context, findings);
    Api {
        hosts,
        operations,
        leniency,
        sensitivity: written.sensitivity.into(),
        proof: written.proof.into(),
        introspection: introspection::read(&written, node.key("introspection"), context.surroundings, findings),
        nonces: match written.nonces {
            None => context.surroundings.fapi2,
            Some(nonces) => nonces == raw::Nonces::Required,
        },
        max_token_lifetime_seconds: written.max_token_lifetime_seconds,
        registered_clients: written.clients == raw::Clients::Registered,
        allow_method_override: written.allow_method_override,
        id: written.id,
        owner: written.owner,
        issuers: written.issuers,
        audiences: written.audiences,
    }
}

fn hosts(written: &raw::Api, node: &Node, before: &[Api], findings: &mut Findings<'_>) -> Vec<(String, Origin)> {
    let mut hosts = Vec::new();
    for (key, value) in node.entries() {
        // What `Origin` takes after `https://` and gives back unchanged is a host in lower case, without a port.
        let sound = Origin::parse(&format!("https://{}", key.name));
        if !sound.is_some_and(|origin| origin.host() == key.name && !ends_in_port(&key.name)) {
            findings.error(
                key.at,
                format!("`{}` is no request host", key.name),
                "write the host that Envoy routes on: lower case, no scheme, no port, no path",
            );
        }
        let text = written.hosts.get(&key.name).map(String::as_str).unwrap_or_default();
        let Some(origin) = Origin::parse(text) else {
            let remedy =
                format!("write https://{}, or the public host if it is another one; nothing follows", key.name);
            findings.error(value.at, format!("`{text}` is no origin"), remedy);
            continue;
        };
        if !origin.is_https() && !is_loopback(origin.host()) {
            findings.error(
                value.at,
                format!("`{text}` is not https"),
                "write https://, the public side of the API; plain http is for loopback hosts only",
            );
        }
        let other = before.iter().flat_map(|api| api.hosts.iter().map(move |host| (&api.id, host)));
        if let Some((id, _)) = other.into_iter().find(|(_, (host, other))| *host == key.name && *other != origin) {
            findings.error(
                value.at,
                format!("API `{id}` says that host `{}` has another origin", key.name),
                "write the same origin for a host everywhere: a proof is made for one",
            );
        }
        hosts.push((key.name.clone(), origin));
    }
    hosts
}

/// APIs that share an origin share all of its hosts: then method, origin and path are those of one operation. Else a proof
/// for an operation of one API would be a proof for an operation of the other.
fn check_origins(hosts: &[(String, Origin)], node: &Node, before: &[Api], findings: &mut Findings<'_>) {
    let mut told = Vec::new();
    for (name, origin) in hosts {
        let names = |hosts: &[(String, Origin)]| -> BTreeSet<String> {
            hosts.iter().filter(|(_, other)| other == origin).map(|(name, _)| name.clone()).collect()
        };
        let own = names(hosts);
        let differs = |api: &&Api| {
            let other = names(&api.hosts);
            !other.is_empty() && other != own && (!other.contains(name) || own.is_subset(&other))
        };
        let Some(api) = before.iter().find(differs).filter(|_| !told.contains(&origin)) else { continue };
        told.push(origin);
        let hosts: Vec<_> = names(&api.hosts).into_iter().collect();
        findings.error(
            node.key(name).at,
            format!("API `{}` has the same origin for other hosts: {}", api.id, hosts.join(", ")),
            "give each API an origin of its own, or both the same hosts for it: a proof for one would be good for the other",
        );
    }
}

fn ends_in_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn check_issuers(written: &raw::Api, node: &Node, surroundings: &Surroundings<'_>, findings: &mut Findings<'_>) {
    let list = node.key("issuers");
    check_unique(written.issuers.iter().map(String::as_str), "issuers", |index| list.item(index).at, findings);
    let mut accepted: Vec<&IssuerRules> = Vec::new();
    for (index, issuer) in written.issuers.iter().enumerate() {
        match surroundings.issuers.iter().find(|rules| rules.issuer == *issuer) {
            Some(rules) => accepted.push(rules),
            None => findings.error(
                list.item(index).at,
                format!("issuer `{issuer}` is not configured"),
                surroundings.known_issuers(),
            ),
        }
    }
    check_lifetime(written, node, &accepted, findings);
    let Some(audiences) = &written.audiences else { return };
    let places = node.key("audiences");
    check_unique(audiences.iter().map(String::as_str), "audiences", |index| places.item(index).at, findings);
    let known: Vec<&str> = accepted.iter().flat_map(|rules| rules.audiences.iter().map(String::as_str)).collect();
    for (index, audience) in audiences.iter().enumerate().filter(|(_, each)| !known.contains(&each.as_str())) {
        // An issuer that is not configured has been told; its audiences cannot be known.
        if accepted.len() == written.issuers.len() {
            findings.error(
                places.item(index).at,
                format!("audience `{audience}` is none of its issuers'"),
                format!("write one of: {}; others are added to an issuer in keybound.yaml", known.join(", ")),
            );
        }
    }
    for rules in accepted.iter().filter(|rules| !rules.audiences.iter().any(|each| audiences.contains(each))) {
        findings.warning(
            places.at,
            format!("no token of `{}` can be for this API: none of its audiences is here", rules.issuer),
            format!("add one of: {}, or remove the issuer", rules.audiences.join(", ")),
        );
    }
}

fn check_lifetime(written: &raw::Api, node: &Node, accepted: &[&IssuerRules], findings: &mut Findings<'_>) {
    let Some(ceiling) = written.max_token_lifetime_seconds else { return };
    let narrows = |rules: &&IssuerRules| rules.max_lifetime_seconds.is_none_or(|most| ceiling < most);
    if !accepted.is_empty() && !accepted.iter().any(narrows) {
        findings.warning(
            node.key("max_token_lifetime_seconds").at,
            "this ceiling narrows nothing: every issuer has one that is as low",
            "lower it, or leave it out",
        );
    }
}

fn check_demands(written: &raw::Api, node: &Node, surroundings: &Surroundings<'_>, findings: &mut Findings<'_>) {
    let at = node.key("proof").at;
    if written.proof == raw::Proof::Mtls && !surroundings.certificates {
        findings.error(
            at,
            "nobody can meet this demand: keybound.yaml names no source of client certificates",
            "set `certificate.source` in keybound.yaml, or write `proof: dpop`",
        );
    }
    if written.proof == raw::Proof::None && surroundings.fapi2 {
        findings.warning(
            at,
            "profile fapi2 is set, and this API accepts tokens without proof",
            "write `proof: required`, with exceptions for clients that are not ready (FAPI 2.0 §5.3.4)",
        );
    }
}
