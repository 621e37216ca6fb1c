//! Certificates for the tests of this room: made here, captured from Envoy 1.40, or published.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};

use super::{CertificateFacts, names, thumbprint};

/// The time of the tests: within the dates of what is made here, unless a test says otherwise.
pub(super) const NOW: i64 = 1_800_000_000;

/// The client certificate of RFC 8705 Appendix A: X.509 v1, without extensions, expired on 2022-05-02.
pub(super) const RFC8705_PEM: &str = "-----BEGIN CERTIFICATE-----
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx
ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ
/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID
SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV
bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=
-----END CERTIFICATE-----
";
/// Its `x5t#S256`, from the same appendix.
pub(super) const RFC8705_X5T_S256: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";

/// `source.certificate` as Envoy sent it for a client with a SPIFFE id and two DNS names.
pub(super) fn envoy_peer_certificate() -> &'static str {
    include_str!("fixtures/envoy-peer-certificate.txt").trim_end()
}

/// `x-forwarded-client-cert` of the same request: Hash, Cert, Chain, Subject, URI, DNS, DNS.
pub(super) fn envoy_xfcc() -> &'static str {
    include_str!("fixtures/envoy-xfcc.txt").trim_end()
}

/// The header for a self-signed client behind `trust_chain_verification: ACCEPT_UNTRUSTED`; its `URI` is empty.
pub(super) fn envoy_xfcc_unverified() -> &'static str {
    include_str!("fixtures/envoy-xfcc-unverified.txt").trim_end()
}

/// A certification authority.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn root(name: &str) -> Self {
        Self(CertifiedIssuer::self_signed(authority_params(name), KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn root_with(params: CertificateParams) -> Self {
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn intermediate(&self, name: &str) -> Self {
        self.intermediate_with(authority_params(name))
    }

    pub(super) fn intermediate_with(&self, params: CertificateParams) -> Self {
        Self(CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    /// A client certificate, after one change to what is otherwise good.
    pub(super) fn client(&self, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = client_params();
        change(&mut params);
        params.signed_by(&KeyPair::generate().unwrap(), &self.0).unwrap().der().to_vec()
    }

    /// Who signs its certificates and lists.
    pub(super) fn issuer(&self) -> &rcgen::Issuer<'static, KeyPair> {
        &self.0
    }

    /// Another one with the same key.
    pub(super) fn twin(&self, params: CertificateParams) -> Self {
        let key = KeyPair::try_from(self.0.key().serialize_der()).unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(super) fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }
}

pub(super) fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn client_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished("client");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![uri("spiffe://example.test/ns/a/sa/client"), dns("client.example.test")];
    params
}

fn distinguished(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::OrganizationName, "Example");
    distinguished.push(DnType::CommonName, name);
    distinguished
}

pub(super) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

pub(super) fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

pub(super) fn email(text: &str) -> SanType {
    SanType::Rfc822Name(text.try_into().unwrap())
}

/// A good client certificate of an authority of its own.
pub(super) fn client() -> Vec<u8> {
    Authority::root("root").client(|_| {})
}

pub(super) fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| core::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// URL-encoded PEM with the escapes that Envoy writes.
pub(super) fn encoded(der: &[u8]) -> String {
    percent_encoded(&pem(der))
}

pub(super) fn percent_encoded(pem: &str) -> String {
    [(" ", "%20"), ("\n", "%0A"), ("+", "%2B"), ("/", "%2F"), ("=", "%3D")]
        .into_iter()
        .fold(pem.to_owned(), |text, (from, to)| text.replace(from, to))
}

pub(super) fn decoded_pem(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).unwrap()
}

/// An RFC 8941 Byte Sequence.
pub(super) fn byte_sequence(der: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(der))
}

/// XFCC `Hash` of a certificate.
pub(super) fn hash(der: &[u8]) -> String {
    hex(&thumbprint::of(der).unwrap())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().copied().flat_map(names::hex_digits).collect()
}

/// Facts of a request without any certificate.
pub(super) fn no_facts() -> CertificateFacts<'static> {
    CertificateFacts { peer_certificate: b"", peer_principal: b"", xfcc: &[], client_cert: &[], client_cert_chain: &[] }
}

/// For properties that ask only that there be an answer at all.
pub(super) fn survives<T>(_: T) {}

/// Every certificate is read each time.
pub(super) struct Forgetful;

impl super::KnownCertificates for Forgetful {
    fn find(&self, _: &[u8]) -> Option<std::sync::Arc<super::Leaf>> {
        None
    }

    fn keep(&self, _: &[u8], _: &std::sync::Arc<super::Leaf>) {}
}
