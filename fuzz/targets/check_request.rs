//! Any bytes where Envoy sends a message: an answer that Envoy can read, and no allow. The seeds' credentials are of other keys.
#![no_main]

use keybound_fuzz::support::{Setting, good};
use keybound_fuzz::judged;
use libfuzzer_sys::fuzz_target;

const SETTINGS: [Setting; 4] = [Setting::Standard, Setting::VerifiedByKeybound, Setting::XfccBehindGateway, Setting::ClientCert];

fuzz_target!(|data: &[u8]| {
    let setting = SETTINGS[data.len() % SETTINGS.len()];
    let message = data.to_vec();
    let outcome = judged(&good().moved_under(setting).bytes(move |_| message.clone()));
    assert!(matches!((outcome.status, outcome.code), (400.., _) | (_, "public" | "observed")), "{}", outcome.code);
});
