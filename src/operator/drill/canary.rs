//! The canary: the credential that a drill shows, and what is revoked of it. Its token and its keys stay in here.

use std::path::Path;

use http::HeaderValue;
use serde::Serialize;
use serde_json::Value;

use super::arguments::{Kind, Revoke, SecretIn};
use crate::config;
use crate::decision::revocation::Target;
use crate::edge::drill::Connections;
use crate::edge::drill::entrance::Shown;
use crate::edge::drill::grant::{self, Grant};
use crate::edge::drill::proof::ProofKey;
use crate::edge::introspection::assertion::Signer;
use crate::edge::revocations::admin::client::Unasked;
use crate::edge::{clock, files};
use crate::operator::revoke::{named, unasked};

/// A credential to be revoked.
pub struct Canary {
    /// What is shown.
    pub shown: Shown,
    /// What is revoked.
    pub target: Target,
    /// What may be told of it.
    pub told: Told,
}

/// What a record has of the canary.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// Its issuer.
    pub issuer: Option<String>,
    /// Its `jti`, if it has one.
    pub jti: Option<String>,
    /// What is shown beside the token: `dpop`, `certificate`, both or nothing.
    pub shown_with: &'static str,
    /// Seconds that it has left, if that is known.
    pub expires_in_seconds: Option<i64>,
}

/// The files that connections need.
pub fn connections(asked: &Revoke) -> Result<Connections, Unasked> {
    let binding = &asked.binding;
    let ca = binding.ca_file.as_deref().map(read).transpose()?;
    let identity = match (&binding.certificate_file, &binding.certificate_key_file) {
        (Some(certificate), Some(key)) => Some([read(certificate)?, b"\n".to_vec(), read(key)?].concat()),
        _ => None,
    };
    Ok(Connections { ca, identity })
}

fn read(path: &Path) -> Result<Vec<u8>, Unasked> {
    files::read(path, files::FILE_BYTES).map_err(|problem| Unasked(problem.to_string()))
}

fn in_file(path: &Path, what: &str) -> Unasked {
    Unasked(format!("error: {}: {what}", path.display()))
}

impl Canary {
    /// Reads it, or asks for it.
    ///
    /// # Errors
    /// There is none, or it cannot be revoked like this.
    pub async fn hatch(asked: &Revoke, connections: &Connections) -> Result<Self, Unasked> {
        let key = match (&asked.binding.dpop_key_file, asked.binding.dpop) {
            (Some(path), _) => Some(ProofKey::read(&read(path)?).map_err(|what| in_file(path, what))?),
            (None, true) => Some(ProofKey::fresh().map_err(|what| Unasked(format!("error: {what}")))?),
            (None, false) => None,
        };
        let (token, granted_for) = match &asked.credential.token_file {
            Some(path) => (named::content(path)?, None),
            None => granted(asked, connections, key.as_ref()).await?,
        };
        let claims = named::claims(&token);
        let expires = claims.as_ref().and_then(|claims| claims.get("exp")?.as_i64());
        let left = expires.map(|expires| expires.saturating_sub(clock::now())).or(granted_for);
        let text = |name: &str| claims.as_ref().and_then(|claims| claims.get(name)?.as_str().map(str::to_owned));
        let target = target(asked, &token, key.as_ref(), claims.as_ref())?;
        let shown_with = match (key.is_some(), connections.identity.is_some()) {
            (true, false) => "dpop",
            (false, true) => "certificate",
            (true, true) => "dpop and certificate",
            (false, false) => "nothing",
        };
        let issuer = text("iss").or_else(|| asked.credential.issuer.clone());
        let told = Told { issuer, jti: text("jti"), shown_with, expires_in_seconds: left };
        Ok(Self { shown: Shown { token, key }, target, told })
    }
}

async fn granted(
    asked: &Revoke,
    connections: &Connections,
    key: Option<&ProofKey>,
) -> Result<(String, Option<i64>), Unasked> {
    let grant = grant_of(asked)?;
    let client = connections.client().map_err(|why| Unasked(format!("error: {why}")))?;
    let granted = grant.ask(&client, key).await.map_err(|why| {
        Unasked(format!(
            "error: no canary: {why}\n  help: look for the client and its rights at the authorization server; if it cannot be reached, for its name and for --ca-file"
        ))
    })?;
    match (granted.is_dpop, key) {
        (true, None) => Err(unasked("error: the server bound the token to no key of ours\n  help: write --dpop")),
        (false, Some(_)) => {
            let remedy = "let the client have DPoP-bound tokens there, or leave out the DPoP key";
            Err(Unasked(format!("error: the server did not bind the token to the DPoP key\n  help: {remedy}")))
        }
        _ => Ok((granted.token, granted.expires_in)),
    }
}

fn grant_of(asked: &Revoke) -> Result<Grant, Unasked> {
    let credential = &asked.credential;
    let (Some(endpoint), Some(client_id)) = (&credential.token_endpoint, credential.client_id.clone()) else {
        return Err(unasked("error: which token?\n  help: write --token-file, or --token-endpoint and --client-id"));
    };
    let endpoint = config::key_url(endpoint, true).map_err(|wrong| {
        let remedy = "write https://…; http:// only to a loopback address";
        Unasked(format!("error: the URL of --token-endpoint {}\n  help: {remedy}", wrong.words().0))
    })?;
    let shown = match (&credential.client_secret_file, &credential.client_key_file) {
        (Some(path), _) => {
            let in_form = credential.client_secret_in == SecretIn::Post;
            let secret = grant::Shown::secret(&client_id, &read(path)?, in_form);
            secret.ok_or_else(|| in_file(path, "this is no client secret\n  help: give the secret alone"))?
        }
        (None, Some(path)) => {
            let signer = Signer::read(&read(path)?, None, credential.client_key_id.as_deref());
            let signer = signer.map_err(|what| in_file(path, what))?;
            let audience = credential.assertion_audience.clone().or_else(|| credential.issuer.clone());
            grant::Shown::Signed(Box::new(signer), audience.unwrap_or_else(|| endpoint.to_string()))
        }
        (None, None) if asked.binding.certificate_file.is_some() => grant::Shown::Certificate,
        (None, None) => {
            let remedy = "write --client-secret-file, --client-key-file or --certificate-file";
            return Err(Unasked(format!("error: nothing shows who the client is\n  help: {remedy}")));
        }
    };
    let wanted = [
        ("scope", credential.scope.clone()),
        ("resource", credential.resource.clone()),
        ("audience", credential.audience.clone()),
    ];
    let wanted = wanted.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    Ok(Grant { endpoint, client_id, shown, wanted })
}

/// What is revoked: named by the canary itself, so that nobody else is hit by a typing error.
fn target(asked: &Revoke, token: &str, key: Option<&ProofKey>, claims: Option<&Value>) -> Result<Target, Unasked> {
    if HeaderValue::from_str(token).is_err() {
        return Err(unasked("error: the token cannot be sent\n  help: give a token of visible characters"));
    }
    let given = asked.credential.issuer.clone();
    let text = |name: &str| claims.and_then(|claims| claims.get(name)?.as_str().map(str::to_owned));
    if let (Some(given), Some(own)) = (&given, text("iss"))
        && *given != own
    {
        return Err(Unasked(format!("error: the token is of {own}\n  help: leave out --issuer")));
    }
    let of = |name: &str, value: Option<String>| {
        let issuer = text("iss").or_else(|| given.clone());
        issuer.zip(value).ok_or_else(|| {
            let remedy = "write --revoke token, which any canary can be";
            Unasked(format!("error: the canary does not say its issuer and its `{name}`\n  help: {remedy}"))
        })
    };
    match asked.kind {
        Kind::Token => named::of_token(token, given.clone()),
        Kind::Subject => of("sub", text("sub")).map(|(issuer, sub)| Target::Subject { issuer, sub }),
        Kind::Session => of("sid", text("sid")).map(|(issuer, sid)| Target::Session { issuer, sid }),
        Kind::Client => {
            let own = text("client_id").or_else(|| asked.credential.client_id.clone());
            of("client_id", own).map(|(issuer, client_id)| Target::Client { issuer, client_id })
        }
        Kind::ProofKey => key
            .map(|key| Target::ProofKey { jkt: key.thumbprint() })
            .ok_or_else(|| unasked("error: the canary has no DPoP key\n  help: write --dpop or --dpop-key-file")),
        Kind::Certificate => match &asked.binding.certificate_file {
            Some(path) => named::certificate(path),
            None => Err(unasked("error: the canary has no certificate\n  help: write --certificate-file")),
        },
    }
}
