//! Any text where RFC 9440 has a Byte Sequence: one certificate, one spelling.
#![no_main]

use keybound_fuzz::support::placeholders::filled;
use keybound_fuzz::support::{Setting, good_mtls, pki};
use keybound_fuzz::allowed;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let value = filled(data, "");
    let sent = good_mtls().without_certificate().moved_under(Setting::ClientCert).header("client-cert", &value);
    if allowed(&sent) {
        assert_eq!(value.trim_ascii(), pki().client.byte_sequence().as_bytes());
    }
    // The same bytes as the chain beside the certificate decide nothing.
    let chained = good_mtls()
        .without_certificate()
        .moved_under(Setting::ClientCert)
        .header("client-cert", pki().other.byte_sequence())
        .header("client-cert-chain", &value);
    assert!(!allowed(&chained));
});
