//! Any bytes that an issuer may answer about a token: an active token that says so plainly, or none.
#![no_main]

use std::sync::{Arc, LazyLock};

use keybound::decision::jose::algorithm::AlgorithmSet;
use keybound::decision::status_list::StatusPolicy;
use keybound::decision::token::{Ask, Issuer, IssuerRules, Outcome, TokenType};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static ISSUER: LazyLock<Issuer> = LazyLock::new(|| {
    let rules = Arc::new(IssuerRules {
        issuer: "https://as.example.com".to_owned(),
        audiences: vec!["https://api.example.com".to_owned()],
        algorithms: AlgorithmSet::new(&AlgorithmSet::TOKENS),
        expiry_skew_seconds: 0,
        future_skew_seconds: 10,
        max_lifetime_seconds: Some(3600),
        client_claim: "client_id".to_owned(),
        scope_claim: "scope".to_owned(),
        token_type: TokenType::AtJwt,
        signed_answers: None,
        status: StatusPolicy::default(),
    });
    Issuer { rules, keys: None, signer_keys: None }
});

fuzz_target!(|data: &[u8]| {
    let ask = Ask::new(b"token", [7; 32], &ISSUER, None);
    let Ok(answer) = ask.reader().read(data, 1_800_000_000) else { return };
    let plain: Value = serde_json::from_slice(data).expect("what is read strictly is read");
    if answer.outcome() != Outcome::Inactive {
        assert_eq!(plain["active"], true);
    }
    assert_eq!(answer.outcome() == Outcome::Active, answer.expires().is_some());
    if answer.outcome() == Outcome::Active {
        let scheme = plain["token_type"].as_str().expect("a type").to_lowercase();
        assert_eq!(scheme == "dpop", plain["cnf"]["jkt"].is_string());
        assert!(plain.get("iss").is_none_or(|issuer| issuer == "https://as.example.com"));
        assert!(plain["client_id"].is_string() && plain["exp"].is_number() && plain["iat"].is_number());
    }
});
