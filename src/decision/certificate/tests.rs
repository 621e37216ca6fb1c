#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::fixtures::Forgetful;
use super::fixtures::{
    Authority, NOW, RFC8705_PEM, RFC8705_X5T_S256, byte_sequence, client, encoded, envoy_peer_certificate, envoy_xfcc,
    hash, no_facts, percent_encoded, survives,
};
use super::*;
use crate::decision::jose::base64url_32;

const ID: &str = "spiffe://example.test/ns/a/sa/client";

fn rules(source: CertificateSource, chain: ChainTrust) -> CertificateRules {
    CertificateRules { source, chain }
}

fn xfcc() -> CertificateSource {
    CertificateSource::Xfcc(XfccRules { hop: 1, trusted_hops: Vec::new(), by: None })
}

fn client_cert() -> CertificateSource {
    CertificateSource::ClientCert { trusted_hops: Vec::new() }
}

fn present(
    rules: &CertificateRules,
    trust: Option<&TrustBundle>,
    facts: &CertificateFacts<'_>,
    now: i64,
) -> Result<Option<PeerCertificate>, CertificateDenial> {
    super::present(rules, trust, facts, &Forgetful, now)
}

/// Facts that carry the same certificate by every way at once.
struct Everywhere {
    peer_certificate: String,
    xfcc: String,
    client_cert: String,
    chain: String,
}

impl Everywhere {
    fn new(leaf: &[u8], link: &[u8]) -> Self {
        let chain = encoded(leaf) + &encoded(link);
        Self {
            peer_certificate: encoded(leaf),
            xfcc: format!("Hash={};Cert=\"{}\";Chain=\"{chain}\"", hash(leaf), encoded(leaf)),
            client_cert: byte_sequence(leaf),
            chain: byte_sequence(link),
        }
    }

    fn present(
        &self,
        rules: &CertificateRules,
        trust: Option<&TrustBundle>,
    ) -> Result<Option<PeerCertificate>, CertificateDenial> {
        let facts = CertificateFacts {
            peer_certificate: self.peer_certificate.as_bytes(),
            peer_principal: ID.as_bytes(),
            xfcc: &[self.xfcc.as_bytes()],
            client_cert: &[self.client_cert.as_bytes()],
            client_cert_chain: &[self.chain.as_bytes()],
        };
        present(rules, trust, &facts, NOW)
    }
}

fn names(presented: &Result<Option<PeerCertificate>, CertificateDenial>) -> Option<&str> {
    presented.as_ref().unwrap().as_ref().unwrap().names().and_then(|names| names.spiffe_id.as_deref())
}

#[test]
fn ec_01_an_empty_source_certificate_is_no_certificate() {
    let rules = rules(CertificateSource::EnvoyPeerCertificate, ChainTrust::Envoy);
    assert!(present(&rules, None, &no_facts(), NOW).unwrap().is_none());
    let facts = CertificateFacts { peer_certificate: envoy_peer_certificate().as_bytes(), ..no_facts() };
    assert!(present(&rules, None, &facts, NOW).unwrap().is_some());
    let facts = CertificateFacts { peer_certificate: b" ", ..no_facts() };
    assert_eq!(present(&rules, None, &facts, NOW).err(), Some(CertificateDenial::Malformed));
}

#[test]
fn ec_01_what_envoy_sent_for_one_connection_is_the_same_certificate_by_either_way() {
    let xfcc_field = [envoy_xfcc().as_bytes()];
    let facts =
        CertificateFacts { peer_certificate: envoy_peer_certificate().as_bytes(), xfcc: &xfcc_field, ..no_facts() };
    let by = |source| present(&rules(source, ChainTrust::Nobody), None, &facts, NOW).unwrap().unwrap();
    assert_eq!(by(CertificateSource::EnvoyPeerCertificate).thumbprint(), by(xfcc()).thumbprint());
}

#[test]
fn mt_05_the_published_certificate_is_bound_to_whatever_its_version_and_dates() {
    let certificate = percent_encoded(RFC8705_PEM);
    let facts = CertificateFacts { peer_certificate: certificate.as_bytes(), ..no_facts() };
    for chain in [ChainTrust::Nobody, ChainTrust::Envoy] {
        let rules = rules(CertificateSource::EnvoyPeerCertificate, chain);
        let presented = present(&rules, None, &facts, NOW).unwrap().unwrap();
        assert_eq!(Some(*presented.thumbprint()), base64url_32(RFC8705_X5T_S256));
    }
}

#[test]
fn mt_02_the_chain_beside_a_certificate_does_not_change_its_thumbprint() {
    let (root, other) = (Authority::root("root"), Authority::root("other"));
    let leaf = root.client(|_| {});
    let thumbprint = |link: &Authority, source| {
        let presented = Everywhere::new(&leaf, &link.der()).present(&rules(source, ChainTrust::Nobody), None);
        *presented.unwrap().unwrap().thumbprint()
    };
    assert_eq!(thumbprint(&root, xfcc()), thumbprint(&other, xfcc()));
    assert_eq!(thumbprint(&root, client_cert()), thumbprint(&other, client_cert()));
    let renewed = Everywhere::new(&root.client(|_| {}), &root.der()).present(&rules(xfcc(), ChainTrust::Nobody), None);
    assert_ne!(*renewed.unwrap().unwrap().thumbprint(), thumbprint(&root, xfcc()));
}

#[test]
fn cc_03_only_the_configured_source_is_read() {
    let leaf = client();
    let good = Everywhere::new(&leaf, &leaf);
    let broken = || Everywhere {
        peer_certificate: "broken".to_owned(),
        xfcc: "broken".to_owned(),
        client_cert: "broken".to_owned(),
        chain: "broken".to_owned(),
    };
    let nothing = good.present(&rules(CertificateSource::None, ChainTrust::Nobody), None);
    assert!(nothing.unwrap().is_none());
    for (source, facts) in [
        (CertificateSource::EnvoyPeerCertificate, Everywhere { peer_certificate: encoded(&leaf), ..broken() }),
        (xfcc(), Everywhere { xfcc: good.xfcc.clone(), ..broken() }),
        (client_cert(), Everywhere { client_cert: byte_sequence(&leaf), chain: byte_sequence(&leaf), ..broken() }),
    ] {
        let rules = rules(source, ChainTrust::Nobody);
        assert!(facts.present(&rules, None).unwrap().is_some(), "{rules:?}");
        assert_eq!(broken().present(&rules, None).err(), Some(CertificateDenial::Malformed), "{rules:?}");
        assert!(present(&rules, None, &no_facts(), NOW).unwrap().is_none(), "{rules:?}: no fall-back");
    }
}

#[test]
fn mt_09_names_need_somebody_who_vouches_for_the_chain() {
    let root = Authority::root("root");
    let intermediate = root.intermediate("intermediate");
    let facts = Everywhere::new(&intermediate.client(|_| {}), &intermediate.der());
    let (both, root_only) = (root.pem() + &intermediate.pem(), root.pem());
    let (both, root_only) = (TrustBundle::from_pem(both.as_bytes()), TrustBundle::from_pem(root_only.as_bytes()));
    let (both, root_only) = (both.unwrap(), root_only.unwrap());
    let peer = || CertificateSource::EnvoyPeerCertificate;
    for (source, chain, trust, expected) in [
        (peer(), ChainTrust::Nobody, None, None),
        (xfcc(), ChainTrust::Nobody, None, None),
        (client_cert(), ChainTrust::Nobody, None, None),
        (peer(), ChainTrust::Envoy, None, Some(ID)),
        (xfcc(), ChainTrust::Envoy, None, Some(ID)),
        // Envoy has not seen that connection.
        (client_cert(), ChainTrust::Envoy, None, None),
        // The leaf alone needs the intermediate in the bundle; a header may bring it.
        (peer(), ChainTrust::Keybound, Some(&both), Some(ID)),
        (xfcc(), ChainTrust::Keybound, Some(&root_only), Some(ID)),
        (client_cert(), ChainTrust::Keybound, Some(&root_only), Some(ID)),
        // A bundle that nobody asked for vouches for nothing.
        (peer(), ChainTrust::Nobody, Some(&both), None),
    ] {
        let rules = rules(source, chain);
        assert_eq!(names(&facts.present(&rules, trust)), expected, "{rules:?}");
    }
}

#[test]
fn mt_09_a_chain_that_does_not_hold_is_untrusted() {
    let root = Authority::root("root");
    let intermediate = root.intermediate("intermediate");
    let good = Everywhere::new(&intermediate.client(|_| {}), &intermediate.der());
    let rogue = Everywhere::new(&Authority::root("root").client(|_| {}), &intermediate.der());
    let trust = TrustBundle::from_pem(root.pem().as_bytes()).unwrap();
    for source in [CertificateSource::EnvoyPeerCertificate, xfcc(), client_cert()] {
        let rules = rules(source, ChainTrust::Keybound);
        assert_eq!(rogue.present(&rules, Some(&trust)).err(), Some(CertificateDenial::Untrusted), "{rules:?}");
        assert_eq!(good.present(&rules, None).err(), Some(CertificateDenial::Untrusted), "{rules:?}: no bundle");
    }
    let leaf_alone = rules(CertificateSource::EnvoyPeerCertificate, ChainTrust::Keybound);
    assert_eq!(good.present(&leaf_alone, Some(&trust)).err(), Some(CertificateDenial::Untrusted));
}

#[test]
fn xf_09_a_hash_alone_binds_but_names_nobody() {
    let root = Authority::root("root");
    let leaf = root.client(|_| {});
    let trust = TrustBundle::from_pem(root.pem().as_bytes()).unwrap();
    let with = |header: String, chain| {
        let field = [header.as_bytes()];
        present(&rules(xfcc(), chain), Some(&trust), &CertificateFacts { xfcc: &field, ..no_facts() }, NOW)
    };
    for chain in [ChainTrust::Nobody, ChainTrust::Envoy] {
        let presented = with(format!("Hash={};URI={ID}", hash(&leaf)), chain).unwrap().unwrap();
        assert_eq!(*presented.thumbprint(), thumbprint::of(&leaf).unwrap());
        assert!(presented.names().is_none(), "the URI of the header is not evidence");
    }
    let hash_alone = with(format!("Hash={}", hash(&leaf)), ChainTrust::Keybound);
    assert_eq!(hash_alone.err(), Some(CertificateDenial::Untrusted));
    let with_cert = with(format!("Hash={};Cert=\"{}\"", hash(&leaf), encoded(&leaf)), ChainTrust::Keybound);
    assert_eq!(names(&with_cert), Some(ID));
}

#[test]
fn names_that_cannot_be_read_deny_only_where_they_would_be_evidence() {
    let leaf = Authority::root("root").client(|params| {
        params.subject_alt_names.clear();
        let content = b"not DER".to_vec();
        params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], content)];
    });
    let facts = Everywhere::new(&leaf, &leaf);
    let with = |chain| facts.present(&rules(CertificateSource::EnvoyPeerCertificate, chain), None);
    assert!(with(ChainTrust::Nobody).unwrap().is_some());
    assert_eq!(with(ChainTrust::Envoy).err(), Some(CertificateDenial::Malformed));
}

#[test]
fn nothing_of_a_certificate_shows_in_debug_output() {
    let facts = Everywhere::new(&client(), &client());
    let presented = facts.present(&rules(xfcc(), ChainTrust::Envoy), None).unwrap().unwrap();
    assert_eq!(format!("{presented:?}"), "PeerCertificate { .. }");
}

proptest! {
    #[test]
    fn arbitrary_facts_never_panic(bytes: Vec<u8>, principal: Vec<u8>, now: i64) {
        let field = [bytes.as_slice()];
        let facts = CertificateFacts {
            peer_certificate: &bytes,
            peer_principal: &principal,
            xfcc: &field,
            client_cert: &field,
            client_cert_chain: &field,
        };
        for source in [CertificateSource::EnvoyPeerCertificate, xfcc(), client_cert()] {
            for chain in [ChainTrust::Nobody, ChainTrust::Envoy, ChainTrust::Keybound] {
                survives(present(&rules(source.clone(), chain), None, &facts, now));
            }
        }
    }
}
