//! Any header and payload, signed by the issuer: what is allowed is good by the model.
#![no_main]

use keybound_fuzz::support::model::{named, token_is_good};
use keybound_fuzz::support::{good_mtls, pki};
use keybound_fuzz::{allowed, json, parts, with_parts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let good = good_mtls().token(|token| with_parts(token, data, ""));
    if !allowed(&good) {
        return;
    }
    let (header, claims) = parts(data, "");
    let (header, claims) = (json(&header), json(&claims));
    let excepted = claims["client_id"] == "excepted-robot";
    let certificate = pki().client.thumbprint();
    let bound = match named(claims.get("cnf")) {
        Some((None, Some(thumbprint))) => thumbprint == certificate,
        Some((None, None)) => excepted,
        _ => false,
    };
    let kind = header["typ"].as_str().unwrap_or_default().to_ascii_lowercase();
    assert!(token_is_good(&claims) && bound, "allowed, and not good");
    assert!(header["alg"] == "ES256" && ["at+jwt", "application/at+jwt"].contains(&kind.as_str()), "allowed with this header");
    assert!(["crit", "b64", "zip"].iter().all(|name| header.get(name).is_none()), "allowed with an extension");
});
