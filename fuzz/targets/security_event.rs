//! Any header and payload, signed by the transmitter: what is taken is good by a second reading.
#![no_main]

use std::sync::{Arc, LazyLock};

use keybound::decision::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound::decision::revocation::Target;
use keybound::decision::security_event::{EventKind, Meaning, Transmitter, TransmitterRules, verify};
use keybound::decision::token::Keyring;
use keybound_fuzz::json;
use keybound_fuzz::support::{Jws, NOW, keys};
use libfuzzer_sys::fuzz_target;

const ISSUER: &str = "https://as.example.com";

static TRANSMITTERS: LazyLock<[Transmitter; 1]> = LazyLock::new(|| {
    let set = serde_json::json!({"keys": [keys().server.jwk_as("a", &serde_json::json!({}))]}).to_string();
    let rules = TransmitterRules {
        name: "idp".to_owned(),
        issuer: "https://idp.test".to_owned(),
        audience: "us".to_owned(),
        algorithms: AlgorithmSet::new(&[Algorithm::Es256]),
        may_revoke_for: vec![ISSUER.to_owned()],
        events: EventKind::REVOKING.to_vec(),
        opaque_subjects_of: Some(ISSUER.to_owned()),
    };
    [Transmitter { rules: Arc::new(rules), keys: Keyring::parse(set.as_bytes()).ok().map(Arc::new) }]
});

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (header, payload) = (data[..at].to_vec(), data.get(at + 1..).unwrap_or_default().to_vec());
    let mut set = Jws::new("secevent+jwt", "ES256", &keys().server, serde_json::json!({}));
    let (as_header, as_payload) = (header.clone(), payload.clone());
    set.replace_header(move |_| as_header.clone());
    set.replace_claims(move |_| as_payload.clone());
    let text = set.compact();
    let Ok(event) = verify(text.as_bytes(), &*TRANSMITTERS, NOW) else { return };
    let (header, claims) = (json(&header), json(&payload));
    assert!(claims["iss"] == "https://idp.test" && header["alg"] == "ES256", "another transmitter's");
    assert!(claims.get("exp").is_none() && claims.get("sub").is_none() && header.get("crit").is_none(), "taken with these");
    assert!(claims["events"].as_object().is_some_and(|events| events.len() == 1), "one event");
    assert!(event.happened() <= NOW && event.issued() <= NOW, "from the future");
    if let Meaning::Revokes(target) = event.meaning() {
        assert!(matches!(target, Target::Token { .. } | Target::Subject { .. } | Target::Session { .. }), "more than one subject");
        assert_eq!(target.issuer(), Some(ISSUER), "for an issuer that it may not revoke for");
    }
});
