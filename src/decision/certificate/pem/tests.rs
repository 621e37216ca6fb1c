#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::super::fixtures::{
    RFC8705_PEM, client, decoded_pem, encoded, envoy_peer_certificate, pem, percent_encoded, survives,
};
use super::super::thumbprint;
use super::*;

const MALFORMED: Result<Vec<u8>, CertificateDenial> = Err(CertificateDenial::Malformed);

#[test]
fn ec_01_the_certificate_that_envoy_sent_is_read() {
    let der = certificate(envoy_peer_certificate().as_bytes()).unwrap();
    assert!(thumbprint::of(&der).is_ok());
    assert_eq!(encoded(&der), envoy_peer_certificate());
}

#[test]
fn xf_10_a_bad_percent_escape_is_refused_and_a_good_one_of_either_case_is_read() {
    let good = encoded(&client());
    assert_eq!(certificate(good.replace("%2B", "%2b").as_bytes()), certificate(good.as_bytes()));
    for (what, text) in [
        ("not hexadecimal", good.replacen("%20", "%2G", 1)),
        ("a sign is not a digit", good.replacen("%0A", "%+A", 1)),
        ("cut after one digit", format!("{good}%0")),
        ("cut after the percent sign", format!("{good}%")),
        ("escaped twice", good.replacen("%20", "%2520", 1)),
    ] {
        assert_eq!(certificate(text.as_bytes()), MALFORMED, "{what}");
    }
}

#[test]
fn xf_10_a_raw_plus_stays_a_plus() {
    let der = decoded_pem(RFC8705_PEM);
    let text = percent_encoded(RFC8705_PEM).replace("%2B", "+");
    assert!(text.contains('+'));
    assert_eq!(certificate(text.as_bytes()).unwrap(), der);
    // Were a plus a space, this would read as the marker line.
    assert_eq!(certificate(text.replace("%20", "+").as_bytes()), MALFORMED);
}

#[test]
fn xf_10_exactly_one_block_is_a_certificate_and_a_chain_may_have_more() {
    let (one, other) = (client(), client());
    let two = encoded(&one) + &encoded(&other);
    assert_eq!(certificate(two.as_bytes()), MALFORMED);
    assert_eq!(chain(two.as_bytes()).unwrap(), [one, other]);
    let end = percent_encoded("-----END CERTIFICATE-----\n");
    let unfinished = two.strip_suffix(&end).unwrap();
    assert_eq!(chain(unfinished.as_bytes()), Err(CertificateDenial::Malformed));
}

#[test]
fn a_chain_has_at_most_as_many_certificates_as_a_path_may() {
    let one = encoded(&client());
    assert_eq!(chain(one.repeat(MAX_CHAIN_CERTIFICATES).as_bytes()).unwrap().len(), MAX_CHAIN_CERTIFICATES);
    assert!(chain(one.repeat(MAX_CHAIN_CERTIFICATES.saturating_add(1)).as_bytes()).is_err());
}

#[test]
fn xf_10_nothing_stands_beside_the_block() {
    let good = pem(&client());
    let one_line = good.replace('\n', "");
    for (what, text) in [
        ("nothing at all", String::new()),
        ("text before", format!("subject=client\n{good}")),
        ("text after", format!("{good}x")),
        ("an empty line before", format!("\n{good}")),
        ("an empty line after", format!("{good}\n")),
        ("an empty line inside", good.replacen('\n', "\n\n", 1)),
        ("another label", good.replace("CERTIFICATE", "PRIVATE KEY")),
        ("a label of openssl's own", good.replace("CERTIFICATE", "TRUSTED CERTIFICATE")),
        ("an end of another label", good.replace("END CERTIFICATE", "END PUBLIC KEY")),
        ("no end", good.replace("-----END CERTIFICATE-----\n", "")),
        ("no begin", good.replace("-----BEGIN CERTIFICATE-----\n", "")),
        ("begun twice", good.replace("-----BEGIN CERTIFICATE-----\n", &"-----BEGIN CERTIFICATE-----\n".repeat(2))),
        ("one line", one_line),
        ("a space in the base64", good.replacen("MII", "MI I", 1)),
        ("base64url", good.replacen("MII", "M_I", 1)),
    ] {
        assert_eq!(certificate(percent_encoded(&text).as_bytes()), MALFORMED, "{what}");
    }
}

#[test]
fn line_ends_may_be_of_either_kind_and_the_last_may_be_missing() {
    let der = client();
    for text in [pem(&der), pem(&der).trim_end().to_owned(), pem(&der).replace('\n', "\r\n")] {
        assert_eq!(certificate(percent_encoded(&text).as_bytes()).unwrap(), der);
    }
}

#[test]
fn base64_is_canonical() {
    let begin_end = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    assert_eq!(certificate(begin_end("MAA=").as_bytes()).unwrap(), [0x30, 0x00]);
    for body in ["MAA", "MAB=", "MAA==", "MA=A", "====", "MAA=MAA="] {
        assert_eq!(certificate(begin_end(body).as_bytes()), MALFORMED, "{body}");
    }
}

#[test]
fn a_text_longer_than_the_bound_is_refused() {
    let begin_end = |lines: usize| {
        let line = "A".repeat(64) + "\n";
        format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", line.repeat(lines))
    };
    assert!(certificate(begin_end(2_000).as_bytes()).is_ok());
    assert_eq!(certificate(begin_end(2_020).as_bytes()), MALFORMED);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        survives(certificate(&bytes));
        survives(chain(&bytes));
    }

    #[test]
    fn arbitrary_text_between_the_markers_never_panics(body in "(%[0-9A-Fa-f]{0,2}|[A-Za-z0-9+/=\r\n-]){0,200}") {
        let text = format!("-----BEGIN%20CERTIFICATE-----%0A{body}%0A-----END%20CERTIFICATE-----");
        survives(certificate(text.as_bytes()));
        survives(chain(text.as_bytes()));
    }
}
