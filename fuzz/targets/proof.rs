//! Any header and payload, signed by the client: what is allowed is good by the model.
#![no_main]

use keybound_fuzz::support::model::proof_is_good;
use keybound_fuzz::support::{good, keys, sha256};
use keybound_fuzz::{allowed, json, parts, token_of, with_parts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let base = good();
    let token = token_of(&base);
    // ECDSA signs anew each time: the token must be the one that `ath` is of.
    let text = token.clone();
    let good = base.token(|jws| jws.edit_text(move |_| text.clone())).proof(|proof| with_parts(proof, data, &token));
    if !allowed(&good) {
        return;
    }
    let (header, claims) = parts(data, &token);
    let (header, claims) = (json(&header), json(&claims));
    assert!(proof_is_good(&claims) && claims["ath"] == sha256(&token), "allowed, and not good");
    assert!(header["alg"] == "ES256" && header["typ"] == "dpop+jwt", "allowed with this header");
    assert!(["crit", "b64", "zip"].iter().all(|name| header.get(name).is_none()), "allowed with an extension");
    let jwk = keys().client.jwk();
    assert!(["kty", "crv", "x", "y"].iter().all(|name| header["jwk"][name] == jwk[name]), "allowed with another key");
    let target = claims["htu"].as_str().unwrap_or_default();
    let url = url::Url::parse(target).expect("allowed with a target that is no URI");
    assert_eq!((url.scheme(), url.host_str(), url.port_or_known_default()), ("https", Some("rs.example.com"), Some(443)));
});
