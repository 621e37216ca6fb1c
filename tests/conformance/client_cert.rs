//! RFC 9440: `Client-Cert`, set by a proxy in front that ended TLS.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::expect::{allow, bearer_binding};
use crate::family::Family;
use crate::row::{Row, row};
use crate::support::{Good, Setting, base64url, good, good_mtls, good_mtls_by_header, pki};

/// Section 3.9.
pub const FAMILY: Family = Family {
    prefix: "CC",
    title: "RFC 9440, Client-Cert",
    ids: &["CC-01", "CC-02", "CC-03", "CC-05"],
    rows,
    throughout: &[],
    left_out: &[
        (
            "CC-03",
            "that the proxy in front strips what clients send is its own matter; from which peer the header is believed is shown by MT-07",
        ),
        ("CC-05", "Envoy does not write this header: the rows set it as another proxy would"),
    ],
};

fn rows() -> Vec<Row> {
    [cc_01(), cc_01_bytes(), cc_02(), cc_03()].concat()
}

/// The good request: the certificate is in the header.
fn good_header() -> Good {
    good_mtls_by_header(Setting::ClientCert, "client-cert", pki().client.byte_sequence())
}

fn cc_01() -> Vec<Row> {
    let one = pki().client.byte_sequence();
    let inside = STANDARD.encode(&pki().client.der);
    let spelled = |sentence: &str, value: String| {
        row("CC-01", sentence, good_header().header("client-cert", value), bearer_binding("certificate_malformed"))
    };
    vec![
        row("CC-01", "one Byte Sequence is allowed", good_header(), allow()),
        row(
            "CC-01",
            "two fields are refused",
            good_header().and_header("client-cert", &one),
            bearer_binding("certificate_malformed"),
        ),
        row(
            "CC-01",
            "a second, empty field is refused",
            good_header().and_header("client-cert", ""),
            bearer_binding("certificate_malformed"),
        ),
        spelled("a list is refused", format!("{one}, {one}")),
        spelled("a parameter is refused", format!("{one};x=1")),
        spelled("a missing first colon is refused", format!("{inside}:")),
        spelled("a missing last colon is refused", format!(":{inside}")),
        spelled("missing colons are refused", inside.clone()),
        spelled("a quoted string is refused", format!("\"{inside}\"")),
        spelled("PEM is refused", pki().client.encoded()),
        spelled("an empty value is refused", String::new()),
        spelled("an empty Byte Sequence is refused", "::".to_owned()),
        spelled("one colon is refused", ":".to_owned()),
        spelled("base64url is refused", format!(":{}:", base64url(&pki().client.der))),
        spelled("white space within is refused", one.replacen('A', "A ", 1)),
        spelled("a token is refused", "certificate".to_owned()),
    ]
}

fn cc_01_bytes() -> Vec<Row> {
    let with = |sentence: &str, der: &[u8]| {
        let value = format!(":{}:", STANDARD.encode(der));
        row("CC-01", sentence, good_header().header("client-cert", value), bearer_binding("certificate_malformed"))
    };
    let der = &pki().client.der;
    // `Certificate` is a SEQUENCE of three items, with a length of two octets.
    let mut four = [&der[..], &[0x05, 0x00]].concat();
    let length = u16::from_be_bytes([four[2], four[3]]) + 2;
    four[2..4].copy_from_slice(&length.to_be_bytes());
    let other = good_header().header("client-cert", pki().other.byte_sequence());
    vec![
        with("a byte after the certificate is refused", &[&der[..], &[0]].concat()),
        with("a fourth item in the certificate is refused", &four),
        with("a certificate that is cut short is refused", &der[..der.len() - 1]),
        with("two certificates are refused", &[&der[..], &der[..]].concat()),
        with("bytes that are no certificate are refused", b"certificate"),
        row("CC-01", "another certificate is another one", other, bearer_binding("certificate_mismatch")),
        row(
            "CC-01",
            "the header is not there: there is no certificate",
            good_header().without("client-cert"),
            bearer_binding("certificate_missing"),
        ),
    ]
}

fn cc_02() -> Vec<Row> {
    let chain = format!(":{}:", STANDARD.encode(&pki().intermediate_der));
    let with_chain = |value: &str| good_header().and_header("client-cert-chain", value);
    let malformed = || bearer_binding("certificate_malformed");
    vec![
        row("CC-02", "a chain beside the certificate is allowed", with_chain(&chain), allow()),
        row("CC-02", "a chain of two is allowed", with_chain(&format!("{chain}, {chain}")), allow()),
        row(
            "CC-02",
            "a chain in two fields is allowed",
            with_chain(&chain).and_header("client-cert-chain", &chain),
            allow(),
        ),
        row(
            "CC-02",
            "a chain without the certificate is refused",
            with_chain(&chain).without("client-cert"),
            malformed(),
        ),
        row("CC-02", "a chain that is no list of Byte Sequences is refused", with_chain("x"), malformed()),
        row("CC-02", "a chain with an empty member is refused", with_chain(&format!("{chain},")), malformed()),
        row("CC-02", "a chain of nine is refused", with_chain(&[chain.as_str(); 9].join(",")), malformed()),
    ]
}

fn cc_03() -> Vec<Row> {
    let forged = |good: Good| good.header("client-cert", pki().client.byte_sequence());
    vec![
        row(
            "CC-03",
            "where it is not the configured source, the header is ignored",
            forged(good_mtls().without_certificate()),
            bearer_binding("certificate_missing"),
        ),
        row("CC-03", "and what cannot be read in it does no harm", good().header("client-cert", "x"), allow()),
        row(
            "CC-03",
            "where it is, the certificate of the connection is ignored",
            good_header().header("client-cert", pki().other.byte_sequence()).certificate(&pki().client),
            bearer_binding("certificate_mismatch"),
        ),
    ]
}
