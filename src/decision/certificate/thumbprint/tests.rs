#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use rcgen::CustomExtension;

use super::super::fixtures::{Authority, RFC8705_PEM, RFC8705_X5T_S256, client, decoded_pem, hex, survives};
use super::*;
use crate::decision::jose::base64url_32;

#[test]
fn mt_05_the_published_certificate_has_the_published_thumbprint() {
    let der = decoded_pem(RFC8705_PEM);
    assert_eq!(of(&der).unwrap(), base64url_32(RFC8705_X5T_S256).unwrap());
}

#[test]
fn mt_05_one_changed_byte_of_the_published_certificate_has_another_thumbprint() {
    let mut der = decoded_pem(RFC8705_PEM);
    *der.last_mut().unwrap() ^= 1;
    assert_ne!(of(&der).unwrap(), base64url_32(RFC8705_X5T_S256).unwrap());
}

#[test]
fn mt_05_an_unreadable_extension_does_not_keep_a_certificate_from_having_a_thumbprint() {
    let der = Authority::root("root").client(|params| {
        params.subject_alt_names.clear();
        params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], b"not DER".to_vec())];
    });
    assert!(of(&der).is_ok());
}

#[test]
fn a_certificate_alone_and_whole_has_a_thumbprint_and_nothing_else_has() {
    let der = client();
    assert!(of(&der).is_ok());
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("a byte after it", [der.as_slice(), &[0]].concat()),
        ("a second certificate after it", [der.as_slice(), &der].concat()),
        ("a byte missing", der[..der.len() - 1].to_vec()),
        ("only its first item", der[4..].to_vec()),
        ("not DER", b"certificate".to_vec()),
    ] {
        assert_eq!(of(&bytes), Err(CertificateDenial::Malformed), "{what}");
    }
}

#[test]
fn bytes_hidden_behind_the_signature_are_refused() {
    let der = client();
    assert_eq!(der[..2], [0x30, 0x82], "a SEQUENCE with a two-byte length");
    let mut hiding = der.clone();
    hiding.extend([0x05, 0x00]);
    let length = u16::from_be_bytes([der[2], der[3]]) + 2;
    hiding[2..4].copy_from_slice(&length.to_be_bytes());
    assert_eq!(of(&hiding), Err(CertificateDenial::Malformed));
}

#[test]
fn a_certificate_larger_than_the_bound_is_refused() {
    let padded = |size: usize| {
        Authority::root("root").client(|params| {
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![0; size])];
        })
    };
    let (small, large) = (padded(60_000), padded(66_000));
    assert!(small.len() <= MAX_CERTIFICATE_BYTES && of(&small).is_ok());
    assert!(large.len() > MAX_CERTIFICATE_BYTES);
    assert_eq!(of(&large), Err(CertificateDenial::Malformed));
}

#[test]
fn mt_04_only_43_characters_of_canonical_base64url_confirm_a_certificate() {
    let bytes = base64url_32(RFC8705_X5T_S256).unwrap();
    for (what, text) in [
        ("padded", URL_SAFE.encode(bytes)),
        ("hexadecimal", hex(&bytes)),
        ("20 bytes, as x5t (SHA-1) has", URL_SAFE_NO_PAD.encode(&bytes[..20])),
        ("31 bytes", URL_SAFE_NO_PAD.encode(&bytes[..31])),
        ("33 bytes", URL_SAFE_NO_PAD.encode([bytes.as_slice(), &[0]].concat())),
        ("standard base64", STANDARD.encode([0xff; 32])),
        ("standard base64 without padding", STANDARD.encode([0xff; 32]).replace('=', "")),
        ("a space", format!(" {RFC8705_X5T_S256}")),
        ("a line end", format!("{RFC8705_X5T_S256}\n")),
        ("another last character for the same bytes", RFC8705_X5T_S256.replace("5v0", "5v1")),
        ("nothing", String::new()),
    ] {
        assert_eq!(base64url_32(&text), None, "{what}");
    }
}

#[test]
fn a_hash_is_64_hexadecimal_digits_of_either_case() {
    assert_eq!(from_hex("aB".repeat(32).as_bytes()), Some([0xab; 32]));
    for text in ["", "00", &"0".repeat(63), &"0".repeat(65), &"0".repeat(66), &"0g".repeat(32), &"+1".repeat(32)] {
        assert_eq!(from_hex(text.as_bytes()), None, "{text}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, text: String) {
        survives(of(&bytes));
        survives(from_hex(&bytes));
        survives(base64url_32(&text));
    }

    #[test]
    fn a_damaged_certificate_never_panics(at in 0_usize..262, value: u8) {
        let mut der = decoded_pem(RFC8705_PEM);
        if let Some(byte) = der.get_mut(at) {
            *byte = value;
        }
        survives(of(&der));
    }
}
