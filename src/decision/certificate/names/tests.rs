#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;
use rcgen::{BasicConstraints as Constraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue};
use rcgen::{IsCa, KeyUsagePurpose, SanType, SerialNumber};

use super::super::fixtures::{
    Authority, RFC8705_PEM, authority_params, client, decoded_pem, dns, email, envoy_peer_certificate, envoy_xfcc,
    survives, uri,
};
use super::super::pem;
use super::*;

const ID: &str = "spiffe://example.test/ns/a/sa/client";

fn names(change: impl FnOnce(&mut CertificateParams)) -> Result<CertificateNames, CertificateDenial> {
    read(&Authority::root("root").client(change))
}

fn spiffe_id(change: impl FnOnce(&mut CertificateParams)) -> Option<String> {
    names(change).unwrap().spiffe_id
}

fn denial(change: impl FnOnce(&mut CertificateParams)) -> CertificateDenial {
    names(change).err().unwrap()
}

#[test]
fn names_of_each_kind_are_kept_apart() {
    // CVE-2022-21656: a URI or an e-mail address that looks like a host name is not a DNS name.
    let names = names(|params| {
        params.subject_alt_names = vec![
            email("admin.example.test"),
            uri("api.example.test"),
            dns("client.example.test"),
            SanType::IpAddress([127, 0, 0, 1].into()),
            dns("*.example.test"),
        ];
    })
    .unwrap();
    assert_eq!(names.dns_names, ["client.example.test", "*.example.test"]);
    assert_eq!(names.uris, ["api.example.test"]);
    assert_eq!(names.emails, ["admin.example.test"]);
}

#[test]
fn a_certificate_without_extensions_has_an_issuer_a_serial_and_no_other_names() {
    let names = read(&decoded_pem(RFC8705_PEM)).unwrap();
    assert!(names.dns_names.is_empty() && names.uris.is_empty() && names.emails.is_empty());
    assert_eq!((names.spiffe_id, names.issuer.as_str(), names.serial.as_str()), (None, "CN=mtls", "02"));
}

#[test]
fn the_certificate_that_envoy_sent_has_the_names_that_envoy_wrote() {
    let der = pem::certificate(envoy_peer_certificate().as_bytes()).unwrap();
    let names = read(&der).unwrap();
    assert_eq!(names.uris, ["spiffe://example.test/ns/a/sa/client-1"]);
    assert_eq!(names.spiffe_id.as_deref(), Some("spiffe://example.test/ns/a/sa/client-1"));
    assert_eq!(names.dns_names, ["client-1.example.test", "alt.example.test"]);
    assert_eq!(names.issuer, "CN=Test Intermediate,O=Example\\, \\\"Inc\\\" \\+ S\\C3\\B6hne");
    assert_eq!(names.serial, "6ceebb04028c639a2c7cd76a21b083487dd38ce5", "as openssl prints it");
    let subject = rfc2253(thumbprint::certificate(&der).unwrap().subject());
    assert!(envoy_xfcc().contains(&format!(";Subject=\"{subject}\";")), "{subject}");
}

#[test]
fn a_name_that_is_not_printable_ascii_is_refused() {
    let with = |name: &[u8]| {
        let mut content = vec![0x30, u8::try_from(name.len()).unwrap().saturating_add(2), 0x82];
        content.push(u8::try_from(name.len()).unwrap());
        content.extend_from_slice(name);
        names(|params| {
            params.subject_alt_names.clear();
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], content)];
        })
    };
    assert_eq!(with(b"client.example.test").unwrap().dns_names, ["client.example.test"]);
    for name in [b"a.test\0.evil.test".as_slice(), b"", b"a\n", b"\x7f", "m\u{fc}ller.test".as_bytes(), b"\xff"] {
        assert_eq!(with(name).err(), Some(CertificateDenial::Malformed), "{name:?}");
    }
}

#[test]
fn an_extension_that_is_repeated_or_cannot_be_read_is_refused() {
    let extension = |oid: u64, content: &[u8]| CustomExtension::from_oid_content(&[2, 5, 29, oid], content.to_vec());
    assert!(names(|params| params.custom_extensions = vec![extension(99, b"not DER")]).is_ok(), "one we do not read");
    let one_dns_name = [0x30, 0x03, 0x82, 0x01, b'a'];
    assert_eq!(
        denial(|params| params.custom_extensions = vec![extension(17, &one_dns_name)]),
        CertificateDenial::Malformed
    );
    for (oid, what) in [(17, "names"), (19, "basic constraints"), (15, "key usage")] {
        for content in [b"not DER".as_slice(), b"", &[0x30, 0x00, 0x00]] {
            let refused = denial(|params| {
                params.subject_alt_names.retain(|_| oid != 17);
                params.key_usages.retain(|_| oid != 15);
                params.is_ca = IsCa::NoCa;
                params.custom_extensions = vec![extension(oid, content)];
            });
            assert_eq!(refused, CertificateDenial::Malformed, "{what}");
        }
    }
}

#[test]
fn sp_01_exactly_one_uri_is_an_identity() {
    assert_eq!(spiffe_id(|params| params.subject_alt_names = vec![uri(ID), dns("a.test")]).as_deref(), Some(ID));
    assert_eq!(spiffe_id(|params| params.subject_alt_names = vec![dns("a.test")]), None);
    assert_eq!(spiffe_id(|params| params.subject_alt_names = Vec::new()), None);
    for second in ["spiffe://example.test/b", "https://example.test/", ID] {
        let two = names(|params| params.subject_alt_names = vec![uri(ID), uri(second)]).unwrap();
        assert_eq!((two.spiffe_id, two.uris.len()), (None, 2), "{second}");
    }
    assert_eq!(spiffe_id(|params| params.subject_alt_names = vec![dns(ID)]), None, "a DNS name is not a URI");
}

#[test]
fn sp_02_only_the_strict_form_is_a_spiffe_id() {
    let long = |length: usize| format!("spiffe://td/{}", "a".repeat(length.saturating_sub(12)));
    let domain = |length: usize| format!("spiffe://{}/a", "d".repeat(length));
    for good in
        [ID, "spiffe://td/a", "spiffe://td-1.example_2.test/A-b_c.d/..a/...", "spiffe://1/a", &long(2048), &domain(255)]
    {
        assert!(is_spiffe_id(good), "{good}");
    }
    for bad in [
        "",
        "spiffe:",
        "spiffe://",
        "spiffe:///a",
        "SPIFFE://td/a",
        "Spiffe://td/a",
        "https://td/a",
        "spiffe:/td/a",
        " spiffe://td/a",
        "spiffe://TD/a",
        "spiffe://tD.example/a",
        "spiffe://td:443/a",
        "spiffe://user@td/a",
        "spiffe://td%2e/a",
        "spiffe://t d/a",
        "spiffe://t\u{e4}/a",
        "spiffe://[::1]/a",
        "spiffe://td//a",
        "spiffe://td/a//b",
        "spiffe://td/a/",
        "spiffe://td/./a",
        "spiffe://td/a/..",
        "spiffe://td/../a",
        "spiffe://td/a%2Fb",
        "spiffe://td/a b",
        "spiffe://td/a?q=1",
        "spiffe://td/a#f",
        "spiffe://td/a:b",
        "spiffe://td/\u{e4}",
        "spiffe://td?q=/a",
        &long(2049),
        &domain(256),
    ] {
        assert!(!is_spiffe_id(bad), "{bad}");
    }
    assert_eq!(spiffe_id(|params| params.subject_alt_names = vec![uri("spiffe://TD/a")]), None);
}

#[test]
fn sp_03_a_trust_domain_alone_is_not_a_leaf() {
    for root in ["spiffe://td", "spiffe://td/"] {
        assert!(!is_spiffe_id(root), "{root}");
    }
}

#[test]
fn sp_03_a_certificate_that_may_sign_certificates_has_no_identity() {
    assert_eq!(spiffe_id(|_| {}).as_deref(), Some(ID));
    assert_eq!(spiffe_id(|params| params.is_ca = IsCa::NoCa).as_deref(), Some(ID), "no basic constraints");
    assert_eq!(spiffe_id(|params| params.key_usages.clear()).as_deref(), Some(ID), "no key usage");
    let authority = names(|params| params.is_ca = IsCa::Ca(Constraints::Unconstrained)).unwrap();
    assert_eq!((authority.spiffe_id, authority.uris.as_slice()), (None, [ID.to_owned()].as_slice()));
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        assert_eq!(spiffe_id(|params| params.key_usages.push(usage)), None, "{usage:?}");
    }
    assert_eq!(spiffe_id(|params| params.key_usages.push(KeyUsagePurpose::KeyAgreement)).as_deref(), Some(ID));
    assert_eq!(spiffe_id(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]), None);
}

#[test]
fn sp_04_identities_are_compared_whole() {
    let listed = |who: &str| super::super::listed(&["spiffe://td/a".to_owned()], who.as_bytes());
    assert!(listed("spiffe://td/a"));
    for other in ["spiffe://td/a/b", "spiffe://td/", "spiffe://td.evil/a", "spiffe://TD/a", "spiffe://td/a ", ""] {
        assert!(!listed(other), "{other}");
    }
}

#[test]
fn a_serial_is_its_octets_without_the_sign() {
    for (octets, text) in [
        ([0x01].as_slice(), "01"),
        (&[0x00], "00"),
        (&[0x00, 0x80], "80"),
        (&[0x80], "-80"),
        (&[0x0a, 0xbc], "0abc"),
        (&[0x00, 0xff, 0x00], "ff00"),
        (&[], ""),
    ] {
        assert_eq!(serial(octets), text, "{octets:?}");
    }
    let names = names(|params| params.serial_number = Some(SerialNumber::from_slice(&[0xca, 0xfe]))).unwrap();
    assert_eq!(names.serial, "cafe");
}

#[test]
fn no_issuer_can_be_written_to_look_like_another() {
    let issuer = |parts: Vec<(DnType, DnValue)>| {
        let mut params = authority_params("x");
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind, value);
        }
        read(&Authority::root_with(params).client(|_| {})).unwrap().issuer
    };
    let text = |text: &str| DnValue::Utf8String(text.to_owned());
    let two = issuer(vec![(DnType::OrganizationName, text("b")), (DnType::CommonName, text("a"))]);
    assert_eq!(two, "CN=a,O=b");
    assert_eq!(issuer(vec![(DnType::CommonName, text("a,O=b"))]), "CN=a\\,O=b");
    assert_eq!(issuer(vec![(DnType::CommonName, text("a\0b"))]), "CN=a\\00b");
    assert_eq!(issuer(vec![(DnType::CommonName, text(" #a+\"\\<>; "))]), "CN=\\ #a\\+\\\"\\\\\\<\\>\\;\\ ");
    assert_eq!(issuer(vec![(DnType::CommonName, text("#61"))]), "CN=\\#61");
    let bmp = rcgen::string::BmpString::try_from("a").unwrap();
    assert_eq!(issuer(vec![(DnType::CommonName, DnValue::BmpString(bmp))]), "CN=#0061");
    assert_eq!(issuer(vec![(DnType::CustomDnType(vec![1, 2, 3, 4]), text("a"))]), "1.2.3.4=a");
    assert_eq!(issuer(Vec::new()), "");
}

#[test]
fn nothing_of_a_certificate_shows_in_debug_output() {
    let shown = format!("{:?}", names(|_| {}).unwrap());
    assert_eq!(shown, "CertificateNames { .. }");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, text: String) {
        survives(read(&bytes));
        survives(is_spiffe_id(&text));
        survives(serial(&bytes));
        let mut out = String::new();
        escape_into(&mut out, &bytes);
        prop_assert!(out.is_ascii());
    }

    #[test]
    fn a_damaged_certificate_never_panics(damage in prop::collection::vec((0_usize..600, any::<u8>()), 1..4)) {
        let mut der = pem::certificate(envoy_peer_certificate().as_bytes()).unwrap();
        for (at, value) in damage {
            if let Some(byte) = der.get_mut(at) {
                *byte = value;
            }
        }
        survives(read(&der));
    }

    #[test]
    fn a_spiffe_id_is_built_only_of_its_letters(text in "spiffe://[a-zA-Z0-9._/%:@?#-]{0,30}") {
        if is_spiffe_id(&text) {
            let rest = text.strip_prefix("spiffe://").unwrap();
            prop_assert!(!rest.contains(['%', ':', '@', '?', '#']) && !rest.contains("//") && !rest.ends_with('/'));
        }
    }
}

#[test]
fn a_good_certificate_of_the_fixtures_is_good() {
    assert_eq!(read(&client()).unwrap().spiffe_id.as_deref(), Some(ID));
}
