//! The protected resource metadata document (RFC 9728), one per host, from the same rules that enforce.
//!
//! It is public, so it tells only what a client needs: authorization servers, scopes, and which proof is wanted.

use serde_json::{Map, Value, json};

use crate::decision::certificate::CertificateSource;
use crate::decision::challenge;
use crate::decision::credential::Scheme;
use crate::decision::facts::RequestFacts;
use crate::decision::jose::algorithm::Algorithm;
use crate::decision::route::{Api, Inventory, ProofDemand};
use crate::decision::snapshot::{Bundle, Snapshot};
use crate::decision::target::Origin;

/// RFC 9728 §3.
pub const PATH: &str = "/.well-known/oauth-protected-resource";

/// Where the document of a resource is.
#[must_use]
pub fn url(origin: &Origin) -> String {
    format!("{}{PATH}", origin.uri())
}

/// The document, if the request asks for one that there is.
#[must_use]
pub fn answer(snapshot: &Snapshot, bundle: &Bundle, facts: &RequestFacts<'_>) -> Option<String> {
    if facts.path() != PATH || facts.method() != "GET" {
        return None;
    }
    document(snapshot, &bundle.inventory, facts.host(), facts.port())
}

/// The document of a host; `None` if no API is there or metadata is off.
#[must_use]
pub fn document(snapshot: &Snapshot, inventory: &Inventory, host: &str, port: Option<u16>) -> Option<String> {
    if !snapshot.metadata {
        return None;
    }
    let here: Vec<(&Api, &Origin)> = inventory.at_host(host, port).collect();
    // The identifier must be the one that the client used (RFC 9728 §3.3): the origin.
    let (_, origin) = here.first()?;
    let apis: Vec<&Api> = here.iter().map(|(api, _)| *api).collect();
    let source = &snapshot.certificates.source;
    let takes = |api: &Api, scheme| challenge::offered(api, source).contains(&scheme);
    let mut members = Map::new();
    members.insert("resource".to_owned(), json!(origin.uri()));
    let mut list = |name: &str, mut values: Vec<&str>| {
        values.sort_unstable();
        values.dedup();
        // RFC 9728 §3.2: no empty lists.
        if !values.is_empty() {
            members.insert(name.to_owned(), json!(values));
        }
    };
    list("authorization_servers", apis.iter().flat_map(|api| &api.issuers).map(String::as_str).collect());
    let operations = || apis.iter().flat_map(|api| &api.operations);
    list("scopes_supported", operations().flat_map(|operation| &operation.scopes).map(String::as_str).collect());
    list("bearer_methods_supported", vec!["header"]);
    if apis.iter().any(|api| takes(api, Scheme::Dpop)) {
        list("dpop_signing_alg_values_supported", snapshot.proofs.algorithms.iter().map(Algorithm::name).collect());
    }
    let mut flag = |name: &str, value: bool| members.insert(name.to_owned(), Value::Bool(value));
    flag("dpop_bound_access_tokens_required", apis.iter().all(|api| !takes(api, Scheme::Bearer)));
    flag("tls_client_certificate_bound_access_tokens", apis.iter().any(|api| takes_certificates(api, source)));
    Some(Value::Object(members).to_string())
}

fn takes_certificates(api: &Api, source: &CertificateSource) -> bool {
    *source != CertificateSource::None && api.proof != ProofDemand::Dpop
}
