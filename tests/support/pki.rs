//! A small certification authority: root, intermediate, clients with SPIFFE ids, and what must be refused.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use super::{from_base64url, hex, sha256};

/// The client certificate of RFC 8705 Appendix A: X.509 v1, without extensions, expired on 2022-05-02.
const RFC8705_PEM: &str = "-----BEGIN CERTIFICATE-----
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx
ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ
/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID
SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV
bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=
-----END CERTIFICATE-----
";

/// An end-entity certificate, its key, and what stands above it.
pub struct Leaf {
    pub der: Vec<u8>,
    /// PKCS#8 in PEM; empty for a published certificate.
    pub key_pem: String,
    /// The intermediates, in PEM.
    pub chain_pem: String,
    /// The identity that Envoy reads from it: its URI.
    pub identity: &'static str,
}

impl Leaf {
    /// What `x5t#S256` names (RFC 8705 §3.1).
    pub fn thumbprint(&self) -> String {
        sha256(&self.der)
    }

    /// XFCC `Hash`: the same 32 bytes in hexadecimal.
    pub fn hash(&self) -> String {
        hex(from_base64url(&self.thumbprint()))
    }

    pub fn pem(&self) -> String {
        pem(&self.der)
    }

    /// URL-encoded PEM with the escapes that Envoy writes.
    pub fn encoded(&self) -> String {
        percent_encoded(&self.pem())
    }

    /// URL-encoded PEM of the leaf and its intermediates, as XFCC `Chain` has it.
    pub fn encoded_chain(&self) -> String {
        percent_encoded(&format!("{}{}", self.pem(), self.chain_pem))
    }

    /// The RFC 8941 Byte Sequence of `Client-Cert`.
    pub fn byte_sequence(&self) -> String {
        format!(":{}:", STANDARD.encode(&self.der))
    }
}

pub fn percent_encoded(pem: &str) -> String {
    [(" ", "%20"), ("\n", "%0A"), ("+", "%2B"), ("/", "%2F"), ("=", "%3D")]
        .into_iter()
        .fold(pem.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Everybody's certificates.
pub struct Pki {
    pub root_pem: String,
    pub intermediate_der: Vec<u8>,
    /// A client.
    pub client: Leaf,
    /// The same client later: the same key, another certificate.
    pub renewed: Leaf,
    /// Another client.
    pub other: Leaf,
    /// A gateway in front.
    pub gateway: Leaf,
    /// Past its dates.
    pub expired: Leaf,
    /// The names of the client, signed by nobody we know.
    pub rogue: Leaf,
    /// The example of RFC 8705 Appendix A.
    pub published: Leaf,
    intermediate: Authority,
}

impl Pki {
    /// What a trust bundle holds: root and intermediate.
    pub fn trust_pem(&self) -> String {
        format!("{}{}", self.root_pem, self.client.chain_pem)
    }

    /// A revocation list (DER) of the intermediate with the clients that it signed, issued and due again at these times (Unix seconds).
    pub fn crl(&self, revoked: &[&Leaf], issued: i64, due: i64) -> Vec<u8> {
        let time = |seconds| time::OffsetDateTime::from_unix_timestamp(seconds).expect("a time");
        let revoked = revoked.iter().map(|leaf| {
            let (_, certificate) = x509_parser::parse_x509_certificate(&leaf.der).expect("a certificate");
            rcgen::RevokedCertParams {
                serial_number: certificate.raw_serial().to_vec().into(),
                revocation_time: time(issued),
                reason_code: None,
                invalidity_date: None,
            }
        });
        let list = rcgen::CertificateRevocationListParams {
            this_update: time(issued),
            next_update: time(due),
            crl_number: u64::try_from(issued).expect("a number").into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&self.intermediate).expect("a list").der().to_vec()
    }
}

const CLIENT: &str = "spiffe://example.org/ns/a/sa/client-1";
const OTHER: &str = "spiffe://example.org/ns/a/sa/client-2";
/// The identity of the gateway in front.
pub const GATEWAY: &str = "spiffe://example.org/ns/edge/sa/gateway";

/// The identity of a proxy between the gateway and us.
pub const WAYPOINT: &str = "spiffe://example.org/ns/edge/sa/waypoint";

/// Made once per run.
pub fn pki() -> &'static Pki {
    static PKI: LazyLock<Pki> = LazyLock::new(build);
    &PKI
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn build() -> Pki {
    let key = || KeyPair::generate().expect("a key");
    let root = Authority::self_signed(authority("Test Root"), key()).expect("a root");
    let intermediate = Authority::signed_by(authority("Test Intermediate"), key(), &root).expect("an intermediate");
    let elsewhere = Authority::self_signed(authority("Test Root"), key()).expect("another root");
    let client_key = key();
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2021, 1, 1);
    Pki {
        root_pem: root.pem(),
        intermediate_der: intermediate.der().to_vec(),
        client: leaf(&intermediate, &client_key, CLIENT, |_| {}),
        renewed: leaf(&intermediate, &client_key, CLIENT, |params| {
            params.serial_number = Some(vec![0x0a, 0x11].into());
        }),
        other: leaf(&intermediate, &key(), OTHER, |_| {}),
        gateway: leaf(&intermediate, &key(), GATEWAY, |_| {}),
        expired: leaf(&intermediate, &key(), CLIENT, expired),
        rogue: leaf(&elsewhere, &key(), CLIENT, |_| {}),
        published: Leaf {
            der: STANDARD
                .decode(RFC8705_PEM.lines().filter(|line| !line.starts_with('-')).collect::<String>())
                .expect("the published certificate"),
            key_pem: String::new(),
            chain_pem: String::new(),
            identity: "",
        },
        intermediate,
    }
}

fn leaf(
    issuer: &Authority,
    key: &KeyPair,
    identity: &'static str,
    change: impl FnOnce(&mut CertificateParams),
) -> Leaf {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished("client");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![
        SanType::URI(identity.try_into().expect("a URI")),
        SanType::DnsName("client.example.org".try_into().expect("a name")),
    ];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    change(&mut params);
    let certificate = params.signed_by(key, issuer).expect("a certificate");
    Leaf { der: certificate.der().to_vec(), key_pem: key.serialize_pem(), chain_pem: issuer.pem(), identity }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params
}

fn distinguished(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::OrganizationName, "Example, \"Inc\"");
    distinguished.push(DnType::CommonName, name);
    distinguished
}
