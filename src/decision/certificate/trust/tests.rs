#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;
use rcgen::{
    BasicConstraints as Constraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair,
    NameConstraints, SanType, date_time_ymd,
};

use super::super::fixtures::{Authority, NOW, RFC8705_PEM, authority_params, decoded_pem, dns, pem, survives};
use super::super::leaf::Leaf;
use super::*;

const UNTRUSTED: Result<(), CertificateDenial> = Err(CertificateDenial::Untrusted);

fn bundle(authorities: &[&Authority]) -> TrustBundle {
    TrustBundle::from_pem(authorities.iter().map(|authority| authority.pem()).collect::<String>().as_bytes()).unwrap()
}

fn refusal(pem: &str) -> TrustBundleError {
    TrustBundle::from_pem(pem.as_bytes()).err().unwrap()
}

#[test]
fn a_client_of_a_root_is_trusted_and_a_stranger_is_not() {
    let (root, stranger) = (Authority::root("root"), Authority::root("root"));
    let trust = bundle(&[&root]);
    assert_eq!(trust.verify(&root.client(|_| {}), &[], NOW), Ok(()));
    assert_eq!(trust.verify(&stranger.client(|_| {}), &[], NOW), UNTRUSTED, "the same name, another key");
    assert_eq!(trust.verify(&stranger.client(|_| {}), &[stranger.der()], NOW), UNTRUSTED, "with its own root");
}

#[test]
fn the_intermediate_comes_from_the_bundle_or_from_the_request() {
    let root = Authority::root("root");
    let intermediate = root.intermediate("intermediate");
    let client = intermediate.client(|_| {});
    assert_eq!(bundle(&[&root, &intermediate]).verify(&client, &[], NOW), Ok(()));
    assert_eq!(bundle(&[&root]).verify(&client, &[intermediate.der()], NOW), Ok(()));
    assert_eq!(
        bundle(&[&root]).verify(&client, &[client.clone(), intermediate.der()], NOW),
        Ok(()),
        "as Envoy sends it"
    );
    assert_eq!(bundle(&[&root]).verify(&client, &[], NOW), UNTRUSTED, "missing");
    assert_eq!(bundle(&[&root]).verify(&client, &[b"not DER".to_vec()], NOW), UNTRUSTED, "unreadable");
}

#[test]
fn a_presented_intermediate_must_be_an_authority() {
    let root = Authority::root("root");
    let mut params = authority_params("no authority");
    params.is_ca = IsCa::ExplicitNoCa;
    let leaf = root.intermediate_with(params);
    assert_eq!(bundle(&[&root]).verify(&leaf.client(|_| {}), &[leaf.der()], NOW), UNTRUSTED);
}

#[test]
fn dates_are_those_of_the_time_told() {
    let root = Authority::root("root");
    let trust = bundle(&[&root]);
    let (before, after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2026, 2, 1));
    let client = root.client(|params| {
        params.not_before = before;
        params.not_after = after;
    });
    let (before, after) = (before.unix_timestamp(), after.unix_timestamp());
    for (now, expected) in [
        (before, Ok(())),
        (after, Ok(())),
        (before.saturating_sub(1), UNTRUSTED),
        (after.saturating_add(1), UNTRUSTED),
        (-1, UNTRUSTED),
        (i64::MIN, UNTRUSTED),
        (i64::MAX, UNTRUSTED),
    ] {
        assert_eq!(trust.verify(&client, &[], now), expected, "{now}");
    }
}

fn day(day: u8) -> i64 {
    date_time_ymd(2026, 3, day).unix_timestamp()
}

/// A certificate that is good on the days from the first to the second of March.
fn dated(mut params: CertificateParams, first: u8, last: u8) -> CertificateParams {
    (params.not_before, params.not_after) = (date_time_ymd(2026, 3, first), date_time_ymd(2026, 3, last));
    params
}

#[test]
fn a_chain_that_was_verified_is_good_for_that_bundle_alone() {
    let (root, stranger) = (Authority::root("root"), Authority::root("root"));
    let leaf = Leaf::of(root.client(|_| {})).unwrap();
    let (trust, same, other) = (bundle(&[&root]), bundle(&[&root]), bundle(&[&stranger]));
    for _ in 0..2 {
        assert_eq!(leaf.chains_to(&trust, &[], NOW), Ok(()));
    }
    assert_eq!(leaf.chains_to(&other, &[], NOW), UNTRUSTED, "the bundle was replaced");
    assert_eq!(leaf.chains_to(&other, &[root.der()], NOW), UNTRUSTED, "and its root came along");
    assert_eq!(leaf.chains_to(&same, &[], NOW), Ok(()));
    let forged = Leaf::of(stranger.client(|_| {})).unwrap();
    assert_eq!(forged.chains_to(&trust, &[], NOW), UNTRUSTED, "another certificate of the same name");
}

#[test]
fn a_chain_that_was_presented_is_verified_each_time() {
    let root = Authority::root("root");
    let intermediate = root.intermediate("intermediate");
    let (trust, leaf) = (bundle(&[&root]), Leaf::of(intermediate.client(|_| {})).unwrap());
    assert_eq!(leaf.chains_to(&trust, &[intermediate.der()], NOW), Ok(()));
    assert_eq!(leaf.chains_to(&trust, &[], NOW), UNTRUSTED);
    let linked = bundle(&[&root, &intermediate]);
    assert_eq!(leaf.chains_to(&linked, &[], NOW), Ok(()));
    assert_eq!(leaf.chains_to(&trust, &[], NOW), UNTRUSTED, "the bundle has lost its intermediate");
}

#[test]
fn what_is_remembered_of_a_chain_ends_with_each_of_its_certificates() {
    let root = Authority::root("root");
    for (leaf_days, one_days, other_days) in [
        ((5, 10), (1, 20), (1, 20)),
        ((1, 20), (5, 10), (1, 20)),
        // The path may go by one of two of the same name; the other one may only shorten it.
        ((1, 20), (3, 12), (8, 16)),
        ((1, 20), (8, 16), (3, 12)),
        ((1, 20), (3, 6), (12, 16)),
    ] {
        let one = root.intermediate_with(dated(authority_params("intermediate"), one_days.0, one_days.1));
        let other = root.intermediate_with(dated(authority_params("intermediate"), other_days.0, other_days.1));
        let trust = bundle(&[&root, &one, &other]);
        let certificates = [&one, &other]
            .map(|issuer| issuer.client(|params| *params = dated(core::mem::take(params), leaf_days.0, leaf_days.1)));
        for certificate in certificates {
            let leaf = Leaf::of(certificate.clone()).unwrap();
            // Forth and back: a clock that is set back must not find what holds only later.
            let days = (1..=21).chain((1..=21).rev()).chain([1, 21, 9, 4, 14, 9, 1, 21]);
            for now in
                days.flat_map(|number| [day(number).saturating_sub(1), day(number), day(number).saturating_add(1)])
            {
                assert_eq!(leaf.chains_to(&trust, &[], now), trust.verify(&certificate, &[], now), "{now}");
            }
        }
    }
}

#[test]
fn an_expired_intermediate_does_not_link() {
    let root = Authority::root("root");
    let mut params = authority_params("intermediate");
    params.not_after = date_time_ymd(2020, 1, 1);
    let expired = root.intermediate_with(params);
    assert_eq!(bundle(&[&root, &expired]).verify(&expired.client(|_| {}), &[], NOW), UNTRUSTED);
}

#[test]
fn a_certificate_for_servers_alone_is_not_a_client() {
    let root = Authority::root("root");
    let usages = |usages: &[ExtendedKeyUsagePurpose]| {
        bundle(&[&root]).verify(&root.client(|params| params.extended_key_usages = usages.to_vec()), &[], NOW)
    };
    assert_eq!(usages(&[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]), Ok(()));
    assert_eq!(usages(&[]), Ok(()), "any use");
    assert_eq!(usages(&[ExtendedKeyUsagePurpose::ServerAuth]), UNTRUSTED);
}

#[test]
fn sp_03_an_authority_is_not_a_client() {
    let root = Authority::root("root");
    let authority = root.client(|params| params.is_ca = IsCa::Ca(Constraints::Unconstrained));
    assert_eq!(bundle(&[&root]).verify(&authority, &[], NOW), UNTRUSTED);
    assert_eq!(bundle(&[&root]).verify(&root.der(), &[], NOW), UNTRUSTED, "nor is the root itself");
}

#[test]
fn mt_05_a_certificate_of_version_1_is_bound_to_but_not_trusted() {
    let root = Authority::root("root");
    let der = decoded_pem(RFC8705_PEM);
    assert!(thumbprint::of(&der).is_ok());
    assert_eq!(bundle(&[&root]).verify(&der, &[], NOW), UNTRUSTED);
}

#[test]
fn a_root_that_may_sign_only_some_names_is_held_to_them() {
    let mut params = authority_params("constrained");
    let permitted_subtrees = vec![GeneralSubtree::DnsName("example.test".to_owned())];
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    let root = Authority::root_with(params);
    let named =
        |name: SanType| bundle(&[&root]).verify(&root.client(|params| params.subject_alt_names = vec![name]), &[], NOW);
    assert_eq!(named(dns("client.example.test")), Ok(()));
    assert_eq!(named(dns("client.other.test")), UNTRUSTED);
}

#[test]
fn a_new_key_signed_by_the_old_one_is_a_link_and_not_a_root() {
    let old = Authority::root("authority");
    let mut params = authority_params("authority");
    params.use_authority_key_identifier_extension = true;
    params.not_after = date_time_ymd(2030, 1, 1);
    let new = old.intermediate_with(params.clone());
    assert_eq!(refusal(&new.pem()), TrustBundleError::NoRoot);
    assert_eq!(bundle(&[&old, &new]).verify(&new.client(|_| {}), &[], NOW), Ok(()));
    let after = date_time_ymd(2031, 1, 1).unix_timestamp();
    assert_eq!(bundle(&[&old, &new]).verify(&new.client(|_| {}), &[], after), UNTRUSTED, "it ends with its dates");
    assert!(TrustBundle::from_pem(Authority::root_with(params).pem().as_bytes()).is_ok(), "its own key");
}

#[test]
fn text_around_the_blocks_is_passed_over() {
    let root = Authority::root("root");
    let text = format!("# mesh roots\r\n\n{}\nsubject=root\n", root.pem());
    assert!(TrustBundle::from_pem(text.as_bytes()).is_ok());
}

#[test]
fn a_bundle_says_what_is_wrong_with_it() {
    let root = Authority::root("root");
    let good = root.pem();
    let leaf = pem(&root.client(|_| {}));
    let key = KeyPair::generate().unwrap().serialize_pem();
    for (text, expected) in [
        (String::new(), TrustBundleError::NoRoot),
        ("certificates".to_owned(), TrustBundleError::NoRoot),
        (root.intermediate("intermediate").pem(), TrustBundleError::NoRoot),
        (format!("{good}{leaf}"), TrustBundleError::NotAnAuthority { block: 2 }),
        (pem(&decoded_pem(RFC8705_PEM)), TrustBundleError::NotAnAuthority { block: 1 }),
        (format!("{good}{key}"), TrustBundleError::NotACertificate { block: 2 }),
        (pem(b"not DER"), TrustBundleError::Malformed { block: 1 }),
        (pem(&[root.der(), vec![0]].concat()), TrustBundleError::Malformed { block: 1 }),
        (
            format!("{good}-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
            TrustBundleError::NotPem { block: 2 },
        ),
        (good.replace("-----END", "-----FIN"), TrustBundleError::NotPem { block: 1 }),
    ] {
        assert_eq!(refusal(&text), expected, "{text}");
    }
    let message = TrustBundleError::NotAnAuthority { block: 2 }.to_string();
    assert!(message.starts_with("block 2 of the trust bundle is not a CA certificate"), "{message}");
}

#[test]
fn a_self_signed_leaf_is_not_taken_for_a_root() {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["client.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    assert_eq!(refusal(&leaf.pem()), TrustBundleError::NotAnAuthority { block: 1 });
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, text in "(-----(BEGIN|END) CERTIFICATE-----|[A-Za-z+/=-]{0,9}|\n){0,12}") {
        survives(TrustBundle::from_pem(&bytes));
        survives(TrustBundle::from_pem(text.as_bytes()));
    }
}

#[test]
fn arbitrary_certificates_and_chains_never_panic() {
    let root = Authority::root("root");
    let trust = bundle(&[&root]);
    let client = root.client(|_| {});
    proptest!(|(bytes: Vec<u8>, at in 0..client.len(), change in 1_u8.., now: i64)| {
        let mut damaged = client.clone();
        damaged[at] ^= change;
        let chain = [bytes.clone(), damaged.clone()];
        prop_assert_eq!(trust.verify(&bytes, &chain, now), UNTRUSTED);
        prop_assert_eq!(trust.verify(&damaged, &chain, NOW), UNTRUSTED);
        prop_assert_eq!(trust.verify(&client, &chain, NOW), Ok(()));
    });
}
