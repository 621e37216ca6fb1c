//! The registry of clients.

use std::collections::HashMap;

use super::files::CLIENTS;
use super::raw;
use super::surroundings::Surroundings;
use super::words::{NAME_REMEDY, check_prose, check_unique, date_at, is_name};
use crate::decision::client::{ClientId, Registration};
use crate::decision::limits;
use crate::decision::policy::attributes::UNREGISTERED;
use crate::problem::Findings;
use crate::yaml::{self, Node};

/// Reads `clients.yaml`. A client that is wrong in part is there all the same, so that nothing else is reported for it.
pub(super) fn read(
    source: &str,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<HashMap<ClientId, Registration>> {
    let (file, tree) = yaml::read::<raw::ClientsFile>(CLIENTS, source, findings)?;
    let list = tree.key("clients");
    let mut clients = HashMap::new();
    for (index, written) in file.clients.into_iter().enumerate() {
        let node = list.item(index);
        let registration = registration(&written, node, surroundings.now, findings);
        check_id(&written, node, surroundings, findings);
        let id = ClientId { issuer: written.issuer, id: written.id };
        if clients.contains_key(&id) {
            findings.error(
                node.key("id").at,
                format!("client `{}` of `{}` is here twice", id.id, id.issuer),
                "keep one of the two, with all of its purposes",
            );
        }
        clients.insert(id, registration);
    }
    Some(clients)
}

fn check_id(written: &raw::Client, node: &Node, surroundings: &Surroundings<'_>, findings: &mut Findings<'_>) {
    if !surroundings.issuers.iter().any(|rules| rules.issuer == written.issuer) {
        findings.error(
            node.key("issuer").at,
            format!("issuer `{}` is not configured", written.issuer),
            surroundings.known_issuers(),
        );
    }
    if written.id.len() > limits::IDENTIFIER_BYTES || written.id.contains(char::is_control) {
        findings.error(
            node.key("id").at,
            "no token can name this client",
            format!("write the id as the issuer writes it into tokens, at most {} bytes", limits::IDENTIFIER_BYTES),
        );
    }
}

fn registration(written: &raw::Client, node: &Node, now: i64, findings: &mut Findings<'_>) -> Registration {
    check_prose(&written.owner, "owner", node.key("owner").at, findings);
    if written.kind == UNREGISTERED {
        findings.error(
            node.key("kind").at,
            format!("`{UNREGISTERED}` is the kind of clients that are not in this file"),
            "choose another word, such as service",
        );
    } else if !is_name(&written.kind) {
        findings.error(node.key("kind").at, format!("`{}` is no kind", written.kind), NAME_REMEDY);
    }
    let purposes = node.key("purposes");
    for (index, purpose) in written.purposes.iter().enumerate().filter(|(_, purpose)| !is_name(purpose)) {
        findings.error(purposes.item(index).at, format!("`{purpose}` is no purpose"), NAME_REMEDY);
    }
    let each = written.purposes.iter().map(String::as_str);
    check_unique(each, "purposes", |index| purposes.item(index).at, findings);
    let expires = node.key("expires").at;
    let ends_at = written.expires.as_deref().and_then(|text| date_at(text, expires, findings));
    if ends_at.is_some_and(|end| end <= now) {
        findings.warning(
            expires,
            format!("the registration of `{}` has ended: the client is refused", written.id),
            "remove the client, or let its owner renew the date",
        );
    }
    Registration {
        owner: written.owner.clone(),
        kind: written.kind.clone(),
        purposes: written.purposes.clone(),
        ends_at,
    }
}
