//! Any text that a client writes into `x-forwarded-client-cert`: what the proxy appends about another client counts.
#![no_main]

use keybound_fuzz::support::pki::GATEWAY;
use keybound_fuzz::support::placeholders::filled;
use keybound_fuzz::support::{Setting, good_mtls, pki};
use keybound_fuzz::allowed;
use libfuzzer_sys::fuzz_target;

const NAME: &str = "x-forwarded-client-cert";

fuzz_target!(|data: &[u8]| {
    let written = filled(data, "");
    let bound = || good_mtls().without_certificate().peer(GATEWAY);
    let own = format!("Hash={};Subject=\"CN=x, O=\\\"y\\\"\";URI={GATEWAY}", pki().other.hash());
    let joined = [&written[..], b",", own.as_bytes()].concat();
    assert!(!allowed(&bound().moved_under(Setting::Xfcc).header(NAME, joined)), "joined");
    let apart = bound().moved_under(Setting::Xfcc).header(NAME, &written).and_header(NAME, &own);
    assert!(!allowed(&apart), "in two fields");
    let behind_two = [&written[..], b",", own.as_bytes(), b",", own.as_bytes()].concat();
    assert!(!allowed(&bound().moved_under(Setting::XfccBehindGateway).header(NAME, behind_two)), "behind two");
    // And alone it is read, whatever it is, under every rule.
    for setting in [Setting::Xfcc, Setting::XfccFromGateway, Setting::XfccBehindTwo, Setting::XfccWithBy, Setting::XfccVerifiedByKeybound] {
        let alone = allowed(&bound().moved_under(setting).header(NAME, &written));
        assert!(!alone || contains(&written, &pki().client.hash()) || contains(&written, &pki().client.encoded()) || written.len() > 700);
    }
});

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}
