//! Calls against a server on loopback that counts them, keeps what it was sent, and answers as it is told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod calls;
mod server;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::config;
use crate::decision::jose::algorithm::AlgorithmSet;
use crate::decision::jose::sha256;
use crate::decision::status_list::StatusPolicy;
use crate::decision::token::{Issuer, IssuerRules, TokenType};

/// 2027-01-15T08:00:00Z.
pub const NOW: i64 = 1_800_000_000;

pub fn issuer(name: &str) -> Issuer {
    let rules = Arc::new(IssuerRules {
        issuer: name.to_owned(),
        audiences: vec!["https://api.test".to_owned()],
        algorithms: AlgorithmSet::new(&AlgorithmSet::TOKENS),
        expiry_skew_seconds: 0,
        future_skew_seconds: 10,
        max_lifetime_seconds: None,
        client_claim: "client_id".to_owned(),
        scope_claim: "scope".to_owned(),
        token_type: TokenType::AtJwt,
        signed_answers: None,
        status: StatusPolicy::default(),
    });
    Issuer { rules, keys: None, signer_keys: None }
}

/// What a server says of a good token, with these members instead, made at this time.
pub fn said(change: &Value, now: i64) -> String {
    let mut said = json!({
        "active": true, "token_type": "Bearer", "client_id": "robot", "aud": "https://api.test",
        "iat": now - 10, "exp": now + 290,
    });
    for (name, value) in change.as_object().unwrap() {
        said[name] = value.clone();
    }
    said.to_string()
}

/// The same, read.
pub fn answer(change: &Value) -> Introspection {
    let ask = Ask::new(b"token", sha256(b"token"), &issuer("https://as.test"), None);
    ask.reader().read(said(change, NOW).as_bytes(), NOW).unwrap()
}

/// Issuers with their sections, in a file of their own.
fn config(directory: &std::path::Path, issuers: &str) -> Arc<Config> {
    let text = format!(
        "listeners: {{ check: [{{ name: edge, address: 127.0.0.1:9191 }}] }}\nbundle: {{ directory: . }}\nissuers:\n{issuers}"
    );
    let name = directory.join("keybound.yaml").display().to_string();
    match config::parse(&name, &text) {
        Ok((config, _)) => Arc::new(config),
        Err(problems) => panic!("{problems:#?}"),
    }
}
