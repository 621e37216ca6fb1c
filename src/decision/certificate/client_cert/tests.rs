#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::super::fixtures::{RFC8705_PEM, byte_sequence, client, decoded_pem, pem, survives};
use super::*;

const HOP: &str = "spiffe://example.test/ns/edge/sa/proxy";

fn from_anybody(fields: &[&str], chain_fields: &[&str]) -> Result<Option<Shown>, CertificateDenial> {
    let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
    let chain_fields: Vec<&[u8]> = chain_fields.iter().map(|field| field.as_bytes()).collect();
    read(&[], &fields, &chain_fields, b"")
}

fn denial(result: Result<Option<Shown>, CertificateDenial>) -> CertificateDenial {
    result.err().unwrap()
}

#[test]
fn cc_01_one_byte_sequence_is_the_certificate() {
    let der = decoded_pem(RFC8705_PEM);
    let shown = from_anybody(&[&byte_sequence(&der)], &[]).unwrap().unwrap();
    assert_eq!(shown.thumbprint, super::super::thumbprint::of(&der).unwrap());
    assert_eq!(shown.leaf.unwrap().certificate, der);
    assert!(shown.chain.is_empty());
}

#[test]
fn cc_01_no_header_is_no_certificate() {
    assert!(from_anybody(&[], &[]).unwrap().is_none());
}

#[test]
fn cc_01_whatever_is_not_exactly_one_byte_sequence_is_refused() {
    let der = client();
    let good = byte_sequence(&der);
    let inside = good.trim_matches(':');
    for (what, field) in [
        ("nothing", String::new()),
        ("an empty sequence", "::".to_owned()),
        ("one colon", ":".to_owned()),
        ("no colons", inside.to_owned()),
        ("no closing colon", format!(":{inside}")),
        ("no opening colon", format!("{inside}:")),
        ("a list", format!("{good},{good}")),
        ("a list with a space", format!("{good}, {good}")),
        ("a parameter", format!("{good};a=1")),
        ("a parameter without value", format!("{good};a")),
        ("a string", format!("\"{inside}\"")),
        ("a space before", format!(" {good}")),
        ("PEM", pem(&der)),
        ("PEM body in colons, with line ends", format!(":{}:", pem(&der))),
        ("two certificates", byte_sequence(&[der.as_slice(), &der].concat())),
        ("a byte after the certificate", byte_sequence(&[der.as_slice(), &[0]].concat())),
        ("base64url", good.replacen("MII", "M_I", 1)),
        ("no padding", byte_sequence(&decoded_pem(RFC8705_PEM)[..]).replace('=', "") + "x"),
        ("not a certificate", byte_sequence(b"certificate")),
    ] {
        assert_eq!(denial(from_anybody(&[&field], &[])), CertificateDenial::Malformed, "{what}");
    }
}

#[test]
fn cc_01_two_fields_are_refused() {
    let good = byte_sequence(&client());
    assert_eq!(denial(from_anybody(&[&good, &good], &[])), CertificateDenial::Malformed);
    assert_eq!(denial(from_anybody(&[&good, ""], &[])), CertificateDenial::Malformed);
}

#[test]
fn cc_02_a_chain_without_a_certificate_is_refused() {
    let link = byte_sequence(&client());
    assert_eq!(denial(from_anybody(&[], &[&link])), CertificateDenial::Malformed);
    assert!(from_anybody(&[&byte_sequence(&client())], &[&link]).is_ok());
}

#[test]
fn cc_02_a_chain_is_a_list_in_one_field_or_several() {
    let (leaf, one, other) = (client(), client(), client());
    let (leaf, first, second) = (byte_sequence(&leaf), byte_sequence(&one), byte_sequence(&other));
    let chains = [vec![format!("{first},{second}")], vec![format!("{first} ,\t{second}")], vec![first.clone(), second]];
    for fields in chains {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let shown = from_anybody(&[&leaf], &fields).unwrap().unwrap();
        assert_eq!(shown.chain, [one.clone(), other.clone()]);
    }
    for (what, field) in [
        ("nothing", String::new()),
        ("a comma at the end", format!("{first},")),
        ("a comma too many", format!("{first},,{first}")),
        ("an inner list", format!("({first} {first})")),
        ("a parameter", format!("{first};a=1")),
        ("no colons", first.trim_matches(':').to_owned()),
        ("too long", vec![first.clone(); MAX_CHAIN_CERTIFICATES.saturating_add(1)].join(",")),
    ] {
        assert_eq!(denial(from_anybody(&[&leaf], &[&field])), CertificateDenial::Malformed, "{what}");
    }
}

#[test]
fn cc_03_mt_07_only_a_listed_peer_may_set_the_header() {
    let (leaf, link) = (byte_sequence(&client()), byte_sequence(&client()));
    let hops = [HOP.to_owned()];
    let from = |principal: &str| read(&hops, &[leaf.as_bytes()], &[link.as_bytes()], principal.as_bytes());
    assert!(from(HOP).unwrap().is_some());
    for principal in ["", "spiffe://example.test/ns/edge/sa/proxy2", "spiffe://example.test/ns/edge", "CN=proxy"] {
        assert_eq!(denial(from(principal)), CertificateDenial::Untrusted, "{principal}");
    }
    assert_eq!(denial(read(&hops, &[], &[link.as_bytes()], b"")), CertificateDenial::Untrusted);
}

#[test]
fn cc_03_an_unlisted_peer_that_sets_no_header_has_no_certificate() {
    assert!(read(&[HOP.to_owned()], &[], &[], b"spiffe://example.test/other").unwrap().is_none());
}

#[test]
fn cc_03_an_empty_identity_in_the_list_lets_nobody_in() {
    let leaf = byte_sequence(&client());
    assert_eq!(denial(read(&[String::new()], &[leaf.as_bytes()], &[], b"")), CertificateDenial::Untrusted);
}

#[test]
fn fields_larger_than_the_bound_are_refused() {
    let leaf = byte_sequence(&client());
    let chain = |size: usize| byte_sequence(&vec![0; size]);
    assert!(from_anybody(&[&leaf], &[&chain(40_000)]).is_ok());
    assert_eq!(denial(from_anybody(&[&leaf], &[&chain(50_000)])), CertificateDenial::Malformed);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(fields: Vec<Vec<u8>>, chain: Vec<Vec<u8>>, principal: Vec<u8>) {
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        survives(read(&[], &fields, &chain, &principal));
        survives(read(&[HOP.to_owned()], &fields, &chain, HOP.as_bytes()));
    }

    #[test]
    fn arbitrary_lists_never_panic(text in "[:,; A-Za-z0-9+/=]{0,100}") {
        survives(list(&[text.as_bytes()]));
        survives(from_anybody(&[&text], &[&text]));
    }
}
