//! Any text where a JWS stands: what is read has one spelling.
#![no_main]

use keybound::decision::jose::{Compact, Header, base64url_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(jws) = Compact::parse(data, 16 * 1024) else { return };
    let spelled = [jws.signing_input, b".", base64url_of(&jws.signature).as_bytes()].concat();
    assert_eq!(spelled, data, "one JWS, one text");
    if let Ok(header) = Header::read(&jws.header) {
        assert!(header.key_id.is_none_or(|kid| kid.len() <= 256));
    }
});
