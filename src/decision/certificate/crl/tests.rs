#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

use proptest::prelude::*;
use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope, KeyIdMethod,
    KeyUsagePurpose, RevokedCertParams,
};
use time::OffsetDateTime;

use super::super::fixtures::{Authority, NOW, authority_params, pem, survives};
use super::super::leaf::Leaf;
use super::super::{CertificateDenial, TrustBundle};
use super::*;

const DAY: i64 = 86_400;
const REVOKED: Result<(), CertificateDenial> = Err(CertificateDenial::Revoked);
const UNKNOWN: Result<(), CertificateDenial> = Err(CertificateDenial::StatusUnknown);

const STRICT: CrlRules = CrlRules { accept_expired: false, accept_uncovered: false, leaf_alone: true };

fn day(day: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW + day * DAY).unwrap()
}

/// A list of yesterday with these serial numbers, good until tomorrow, after one change.
fn list(issuer: &Authority, serials: &[u64], change: impl FnOnce(&mut CertificateRevocationListParams)) -> Vec<u8> {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: (*serial).into(),
        revocation_time: day(-2),
        reason_code: None,
        invalidity_date: None,
    };
    let mut params = CertificateRevocationListParams {
        this_update: day(-1),
        next_update: day(1),
        crl_number: 1_u64.into(),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    change(&mut params);
    params.signed_by(issuer.issuer()).unwrap().der().to_vec()
}

fn client(issuer: &Authority, serial: u64) -> Vec<u8> {
    issuer.client(|params| params.serial_number = Some(serial.into()))
}

fn bundle(authorities: &[&Authority]) -> TrustBundle {
    TrustBundle::from_pem(authorities.iter().map(|authority| authority.pem()).collect::<String>().as_bytes()).unwrap()
}

/// A bundle with these lists, all of them good.
fn asking(authorities: &[&Authority], lists: &[Vec<u8>], rules: CrlRules) -> TrustBundle {
    let bundle = bundle(authorities);
    let lists: Vec<_> = lists.iter().flat_map(|list| bundle.read_crls(list).unwrap()).collect();
    bundle.with_crls(&lists, rules).unwrap()
}

fn refused(bundle: &TrustBundle, list: &[u8]) -> CrlError {
    bundle.read_crls(list).err().unwrap()
}

#[test]
fn cr_01_02_a_serial_number_is_revoked_at_its_own_issuer_alone() {
    let (one, two) = (Authority::root("one"), Authority::root("two"));
    let lists = [list(&one, &[7], |_| {}), list(&two, &[8], |_| {})];
    let trust = asking(&[&one, &two], &lists, STRICT);
    assert_eq!(trust.verify(&client(&one, 7), &[], NOW), REVOKED);
    assert_eq!(trust.verify(&client(&two, 7), &[], NOW), Ok(()));
    assert_eq!(trust.verify(&client(&one, 8), &[], NOW), Ok(()));
}

#[test]
fn cr_03_a_list_that_its_issuer_did_not_sign_is_refused() {
    let (root, forger, other) = (Authority::root("root"), Authority::root("root"), Authority::root("other"));
    let trust = bundle(&[&root]);
    assert!(matches!(refused(&trust, &list(&forger, &[], |_| {})), CrlError::BadSignature(_)));
    assert!(matches!(refused(&trust, &list(&other, &[], |_| {})), CrlError::UnknownIssuer(_)));
    let mut changed = list(&root, &[7], |_| {});
    let last = changed.len() - 1;
    changed[last] ^= 1;
    assert!(matches!(refused(&trust, &changed), CrlError::BadSignature(_)));
    assert!(trust.read_crls(&list(&root, &[7], |_| {})).is_ok());
}

#[test]
fn cr_03_a_ca_that_may_not_sign_lists_signs_none() {
    let root = Authority::root("root");
    let mut params = authority_params("intermediate");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let silent = root.intermediate_with(params);
    // Its key signs all the same; the library refuses to, so a twin with the same key and the right usage does it.
    let list = list(&silent.twin(authority_params("intermediate")), &[], |_| {});
    assert_eq!(asking(&[&root, &silent], &[list], STRICT).verify(&client(&silent, 7), &[], NOW), UNKNOWN);
}

#[test]
fn cr_04_a_list_that_has_run_out_denies_unless_it_is_accepted() {
    let root = Authority::root("root");
    let lists = [list(&root, &[7], |_| {})];
    let (strict, lenient) =
        (asking(&[&root], &lists, STRICT), asking(&[&root], &lists, CrlRules { accept_expired: true, ..STRICT }));
    for (now, expected) in [(NOW, Ok(())), (NOW + DAY - 1, Ok(())), (NOW + DAY + 1, UNKNOWN)] {
        assert_eq!(strict.verify(&client(&root, 8), &[], now), expected, "{now}");
        assert_eq!(lenient.verify(&client(&root, 8), &[], now), Ok(()), "{now}");
        assert_eq!(lenient.verify(&client(&root, 7), &[], now), REVOKED, "{now}");
    }
}

#[test]
fn cr_04_an_older_list_does_not_hide_a_newer_one() {
    let root = Authority::root("root");
    let old = list(&root, &[], |params| (params.this_update, params.next_update) = (day(-9), day(9)));
    let new = list(&root, &[7], |_| {});
    for lists in [[old.clone(), new.clone()], [new, old]] {
        assert_eq!(asking(&[&root], &lists, STRICT).verify(&client(&root, 7), &[], NOW), REVOKED);
    }
}

#[test]
fn cr_05_what_no_list_covers_is_unknown_unless_it_is_accepted() {
    let (one, two) = (Authority::root("one"), Authority::root("two"));
    let lists = [list(&one, &[7], |_| {})];
    let uncovered = CrlRules { accept_uncovered: true, ..STRICT };
    assert_eq!(asking(&[&one, &two], &lists, STRICT).verify(&client(&two, 1), &[], NOW), UNKNOWN);
    let lenient = asking(&[&one, &two], &lists, uncovered);
    assert_eq!(lenient.verify(&client(&two, 1), &[], NOW), Ok(()));
    assert_eq!(lenient.verify(&client(&one, 7), &[], NOW), REVOKED);
    assert_eq!(asking(&[&one], &[], STRICT).verify(&client(&one, 1), &[], NOW), UNKNOWN, "no list is here yet");
    assert_eq!(asking(&[&one], &[], uncovered).verify(&client(&one, 1), &[], NOW), Ok(()));
    let stranger = Authority::root("one");
    let untrusted = Err(CertificateDenial::Untrusted);
    assert_eq!(
        asking(&[&one], &[], STRICT).verify(&client(&stranger, 1), &[], NOW),
        untrusted,
        "first of all it is untrusted"
    );
}

#[test]
fn cr_05_a_list_for_other_certificates_or_another_place_covers_none() {
    let root = Authority::root("root");
    let at = |scope| {
        let distribution_point = CrlDistributionPoint { uris: vec!["http://crl.test/part".to_owned()] };
        list(&root, &[], |params| {
            params.issuing_distribution_point = Some(CrlIssuingDistributionPoint { distribution_point, scope });
        })
    };
    for scope in [Some(CrlScope::CaCertsOnly), None] {
        let trust = asking(&[&root], &[at(scope)], STRICT);
        let elsewhere = root.client(|params| {
            params.serial_number = Some(7_u64.into());
            params.crl_distribution_points =
                vec![CrlDistributionPoint { uris: vec!["http://crl.test/else".to_owned()] }];
        });
        assert_eq!(trust.verify(&elsewhere, &[], NOW), UNKNOWN);
    }
}

#[test]
fn intermediates_are_looked_for_too_unless_the_leaf_is_alone() {
    let root = Authority::root("root");
    let intermediate = root.intermediate("intermediate");
    let client = client(&intermediate, 7);
    let of_leaf = || list(&intermediate, &[], |_| {});
    let whole = CrlRules { leaf_alone: false, ..STRICT };
    let both = [&root, &intermediate];
    assert_eq!(asking(&both, &[of_leaf()], STRICT).verify(&client, &[], NOW), Ok(()));
    assert_eq!(asking(&both, &[of_leaf()], whole).verify(&client, &[], NOW), UNKNOWN, "the root has no list");
    assert_eq!(asking(&both, &[of_leaf(), list(&root, &[], |_| {})], whole).verify(&client, &[], NOW), Ok(()));
}

#[test]
fn what_is_remembered_of_a_chain_ends_with_the_first_list_and_with_each_new_one() {
    let root = Authority::root("root");
    let lists = [list(&root, &[], |_| {})];
    let before = asking(&[&root], &lists, STRICT);
    let leaf = Leaf::of(client(&root, 7)).unwrap();
    assert_eq!(leaf.chains_to(&before, &[], NOW), Ok(()));
    assert_eq!(leaf.chains_to(&before, &[], NOW + DAY + 1), UNKNOWN);
    assert_eq!(leaf.chains_to(&before, &[], NOW), Ok(()));
    let after = asking(&[&root], &[list(&root, &[7], |params| params.this_update = day(0))], STRICT);
    assert_eq!(leaf.chains_to(&after, &[], NOW), REVOKED);
}

#[test]
fn lists_come_in_pem_too_and_nothing_else_does() {
    let root = Authority::root("root");
    let trust = bundle(&[&root]);
    let block = |der: &[u8]| pem(der).replace("CERTIFICATE", "X509 CRL");
    let (one, two) = (block(&list(&root, &[7], |_| {})), block(&list(&root, &[7, 8], |_| {})));
    let entries = |text: &str| trust.read_crls(text.as_bytes()).unwrap().iter().map(Crl::entries).collect::<Vec<_>>();
    assert_eq!(entries(&format!("\n{one}between\n{two}")), [1, 2]);
    for bad in
        [root.pem(), format!("{one}{}", root.pem()), one.replace("END", "DNE"), "-----BEGIN ".to_owned(), String::new()]
    {
        assert!(matches!(refused(&trust, bad.as_bytes()), CrlError::Unusable(_)), "{bad}");
    }
    let mut longer = list(&root, &[], |_| {});
    longer.push(0);
    assert!(matches!(refused(&trust, &longer), CrlError::Unusable(_)));
}

#[test]
fn a_list_follows_one_for_the_same_certificates_that_is_not_newer() {
    let (root, other) = (Authority::root("root"), Authority::root("other"));
    let trust = bundle(&[&root, &other]);
    let read = |list: Vec<u8>| trust.read_crls(&list).unwrap().remove(0);
    let old = read(list(&root, &[7], |_| {}));
    let new = read(list(&root, &[], |params| params.this_update = day(0)));
    let elsewhere = read(list(&other, &[], |params| params.this_update = day(0)));
    assert!(new.may_follow(&old) && old.may_follow(&old) && !old.may_follow(&new));
    assert!(!elsewhere.may_follow(&old));
    assert!(trust.vouches_for(&old) && !bundle(&[&other]).vouches_for(&old));
}

proptest! {
    /// CR-06: whatever a list is, reading it ends.
    #[test]
    fn cr_06_no_damage_is_taken_for_a_list(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let root = Authority::root("root");
        let trust = bundle(&[&root]);
        let good = list(&root, &[7, 8, 9], |_| {});
        let mut changed = good.clone();
        let place = at.index(changed.len());
        changed[place] = to;
        prop_assert_eq!(trust.read_crls(&changed).is_ok(), changed == good);
        prop_assert!(trust.read_crls(&good[..cut.index(good.len())]).is_err());
    }

    #[test]
    fn cr_06_no_bytes_end_the_process(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(bundle(&[&Authority::root("root")]).read_crls(&bytes));
    }
}

/// A list of one part of the certificates, issued on this day.
fn part(root: &Authority, uri: &str, serials: &[u64], issued: i64) -> Vec<u8> {
    list(root, serials, |params| {
        params.this_update = day(issued);
        let distribution_point = CrlDistributionPoint { uris: vec![uri.to_owned()] };
        params.issuing_distribution_point = Some(CrlIssuingDistributionPoint { distribution_point, scope: None });
    })
}

#[test]
fn cr_05_a_list_of_one_part_hides_no_other_and_covers_only_who_says_so() {
    let root = Authority::root("root");
    let at = |uris: &[&str], serial: u64| {
        root.client(|params| {
            params.serial_number = Some(serial.into());
            let point = |uri: &&str| CrlDistributionPoint { uris: vec![(*uri).to_owned()] };
            params.crl_distribution_points = uris.iter().map(point).collect();
        })
    };
    let (one, two) = ("http://crl.test/1", "http://crl.test/2");
    let says = |lists: &[Vec<u8>], certificate: &[u8]| asking(&[&root], lists, STRICT).verify(certificate, &[], NOW);
    // The whole list names it, and a newer one of a part does not.
    let both = [list(&root, &[7], |_| {}), part(&root, one, &[], 0)];
    assert_eq!(says(&both, &client(&root, 7)), REVOKED);
    assert_eq!(says(&both, &at(&[one], 7)), REVOKED);
    assert_eq!((says(&both, &client(&root, 8)), says(&both, &at(&[one], 8))), (Ok(()), Ok(())));
    // A part alone says nothing of a certificate that does not say of which part it is.
    let alone = [part(&root, one, &[], 0)];
    assert_eq!((says(&alone, &client(&root, 7)), says(&alone, &at(&[one, two], 7))), (UNKNOWN, UNKNOWN));
    assert_eq!((says(&alone, &at(&[one], 7)), says(&alone, &at(&[two], 7))), (Ok(()), UNKNOWN));
    let lax = CrlRules { accept_uncovered: true, ..STRICT };
    assert_eq!(asking(&[&root], &alone, lax).verify(&client(&root, 7), &[], NOW), Ok(()));
    // Of two parts the older one names it.
    let parts = [part(&root, one, &[7], -1), part(&root, two, &[], 0)];
    for certificate in [client(&root, 7), at(&[one], 7), at(&[two], 7), at(&[one, two], 7)] {
        assert_eq!(says(&parts, &certificate), REVOKED);
    }
}

#[test]
fn a_list_with_an_older_number_follows_none_of_the_same_second() {
    let root = Authority::root("root");
    let trust = bundle(&[&root]);
    let numbered = |number: u64, issued: i64| {
        let der = list(&root, &[], |params| {
            params.crl_number = number.into();
            params.this_update = day(issued);
        });
        trust.read_crls(&der).unwrap().remove(0)
    };
    let seven = numbered(7, -1);
    assert!(numbered(8, -1).may_follow(&seven) && numbered(7, -1).may_follow(&seven));
    assert!(numbered(300, 0).may_follow(&seven) && !numbered(7, 0).may_follow(&numbered(300, -1)));
    assert!(
        !numbered(6, -1).may_follow(&seven)
            && !numbered(6, 0).may_follow(&seven)
            && !numbered(8, -2).may_follow(&seven)
    );
}
