//! `WWW-Authenticate`: what the client should do instead (RFC 6750 §3, RFC 9449 §7.1, §7.2).
//!
//! The error stands on the scheme that was used; the other offered scheme is listed without one. A parameter appears at most
//! once, and no text of the request is echoed.

use crate::decision::certificate::CertificateSource;
use crate::decision::credential::Scheme;
use crate::decision::denial::{Denial, OauthError};
use crate::decision::jose::algorithm::AlgorithmSet;
use crate::decision::route::{Api, Operation, ProofDemand};

/// What a challenge is built from.
pub struct Challenger<'w> {
    /// The API, which says what is offered.
    pub api: &'w Api,
    /// The operation, which says which scopes are wanted.
    pub operation: &'w Operation,
    /// The algorithms of proofs.
    pub algorithms: &'w AlgorithmSet,
    /// Where certificates come from.
    pub source: &'w CertificateSource,
    /// The scheme that the client used.
    pub used: Option<Scheme>,
    /// Where the RFC 9728 document of the resource is, if it is offered.
    pub metadata: Option<String>,
}

/// The schemes that an API can take, given where certificates come from.
#[must_use]
pub fn offered(api: &Api, source: &CertificateSource) -> Vec<Scheme> {
    match api.proof {
        ProofDemand::Dpop => vec![Scheme::Dpop],
        ProofDemand::Mtls => vec![Scheme::Bearer],
        ProofDemand::Required if *source == CertificateSource::None => vec![Scheme::Dpop],
        ProofDemand::Required | ProofDemand::None => vec![Scheme::Bearer, Scheme::Dpop],
    }
}

impl Challenger<'_> {
    /// One field value per scheme; empty where no challenge helps.
    #[must_use]
    pub fn challenge(&self, denial: Denial) -> Vec<String> {
        let row = denial.row();
        let offered = offered(self.api, self.source);
        let Some(error) = row.oauth else {
            return if row.status == 401 {
                offered.iter().map(|scheme| self.plain(*scheme)).collect()
            } else {
                Vec::new()
            };
        };
        let ambiguous = matches!(denial, Denial::CredentialRepeated | Denial::CredentialMalformed);
        let blamed = match error {
            OauthError::InvalidDpopProof | OauthError::UseDpopNonce => Some(Scheme::Dpop),
            OauthError::InvalidRequest | OauthError::InvalidToken | OauthError::InsufficientScope => {
                self.used.filter(|used| offered.contains(used)).or(offered.first().copied())
            }
        };
        // A proof can fail only under DPoP, whatever the API offers; a scope is missing whatever the scheme.
        let listed: Vec<Scheme> = if error == OauthError::InsufficientScope {
            blamed.into_iter().collect()
        } else if blamed == Some(Scheme::Dpop) && !offered.contains(&Scheme::Dpop) {
            offered.into_iter().chain([Scheme::Dpop]).collect()
        } else {
            offered
        };
        listed
            .into_iter()
            .map(|scheme| {
                if ambiguous || Some(scheme) == blamed {
                    self.with_error(scheme, error, description(denial))
                } else {
                    self.plain(scheme)
                }
            })
            .collect()
    }

    fn plain(&self, scheme: Scheme) -> String {
        let metadata = self.metadata.as_ref().map(|url| format!("resource_metadata=\"{url}\""));
        match (scheme, metadata) {
            (Scheme::Bearer, None) => "Bearer".to_owned(),
            (Scheme::Bearer, Some(metadata)) => format!("Bearer {metadata}"),
            (Scheme::Dpop, None) => format!("DPoP algs=\"{}\"", self.algorithms),
            (Scheme::Dpop, Some(metadata)) => format!("DPoP algs=\"{}\", {metadata}", self.algorithms),
        }
    }

    fn with_error(&self, scheme: Scheme, error: OauthError, description: &str) -> String {
        let error_and_description = format!("error=\"{}\", error_description=\"{description}\"", error.code());
        let mut value = match scheme {
            Scheme::Bearer => format!("Bearer {error_and_description}"),
            Scheme::Dpop => format!("DPoP algs=\"{}\", {error_and_description}", self.algorithms),
        };
        if let Some(url) = &self.metadata {
            value.push_str(", resource_metadata=\"");
            value.push_str(url);
            value.push('"');
        }
        if error == OauthError::InsufficientScope {
            // Scopes were checked when the inventory was read (RFC 6749 §3.3): they need no escaping.
            value.push_str(", scope=\"");
            value.push_str(&self.operation.scopes.join(" "));
            value.push('"');
        }
        value
    }
}

/// One text per class, but for the two cases where the RFC gives the words (RFC 9449 §7.2 and §9, the figures).
fn description(denial: Denial) -> &'static str {
    if denial == Denial::CredentialRepeated {
        "Multiple methods used to include access token"
    } else if denial == Denial::ProofNonceRequired {
        "Resource server requires nonce in DPoP proof"
    } else {
        denial.row().class.text()
    }
}
