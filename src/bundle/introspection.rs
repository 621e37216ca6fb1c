//! Whether an API has an issuer asked about tokens, and which.

use super::raw;
use super::surroundings::Surroundings;
use crate::decision::route::Introspects;
use crate::problem::Findings;
use crate::yaml::Node;

/// Reads the section of an API.
pub(super) fn read(
    api: &raw::Api,
    node: &Node,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings<'_>,
) -> Option<Introspects> {
    let raw::Introspection { issuer, tokens } = api.introspection.as_ref()?;
    let place = node.key("issuer").at;
    if !api.issuers.contains(issuer) {
        let remedy = format!("write one of: {}", api.issuers.join(", "));
        findings.error(place, format!("issuer `{issuer}` is none of this API's"), remedy);
    } else if !surroundings.asked.contains(issuer) {
        findings.error(
            place,
            format!("issuer `{issuer}` cannot be asked about tokens"),
            "write its `introspection` in keybound.yaml, or name an issuer that has it",
        );
    }
    let jwts_too = *tokens == raw::Introspected::All;
    if jwts_too && api.issuers.iter().any(|other| other != issuer) {
        findings.error(
            node.key("tokens").at,
            "JWTs of the API's other issuers would be asked about nowhere: a token is shown to its own issuer alone",
            "leave one issuer in `issuers`, or write `tokens: opaque`",
        );
    }
    Some(Introspects { issuer: issuer.clone(), jwts_too })
}
