#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::string_slice,
    reason = "tests"
)]

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use miniz_oxide::deflate::compress_to_vec_zlib;
use proptest::prelude::{Just, Strategy as _, any, prop_oneof, proptest};
use serde_json::{Value as Json, json};

use super::*;
use crate::decision::jose::{base64url_of, parse_object};
use crate::decision::token::{IssuerRules, Keyring, TokenType};

const NOW: i64 = 1_800_000_000;
const AS: &str = "https://as.test";
const SIGNER: &str = "https://signer.test";
const URI: &str = "https://status.test/1";
const MOST: usize = 64 * 1024;

fn status_rules() -> StatusRules {
    StatusRules { origins: vec!["https://status.test".into()], required: false, signer: None, most_bytes: MOST }
}

fn rules(status: StatusPolicy) -> Arc<IssuerRules> {
    Arc::new(IssuerRules {
        issuer: AS.into(),
        audiences: vec!["https://api.test".into()],
        algorithms: AlgorithmSet::new(&AlgorithmSet::TOKENS),
        expiry_skew_seconds: 5,
        future_skew_seconds: 10,
        max_lifetime_seconds: None,
        client_claim: "client_id".into(),
        scope_claim: "scope".into(),
        token_type: TokenType::AtJwt,
        signed_answers: None,
        status,
    })
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn ring(seeds: &[u8]) -> Option<Arc<Keyring>> {
    let jwk = |seed: &u8| {
        let x = base64url_of(pair(*seed).public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": format!("k{seed}"), "x": x})
    };
    let keys: Vec<_> = seeds.iter().map(jwk).collect();
    Keyring::parse(json!({ "keys": keys }).to_string().as_bytes()).ok().map(Arc::new)
}

fn issuer_with(status: StatusRules, keys: &[u8], signers: &[u8]) -> Issuer {
    Issuer { rules: rules(StatusPolicy::Checked(status)), keys: ring(keys), signer_keys: ring(signers) }
}

fn issuer() -> Issuer {
    issuer_with(status_rules(), &[1, 2], &[3])
}

/// A list before it is signed.
struct List {
    header: Json,
    claims: Json,
    seed: u8,
}

fn packed(bits: u8, bytes: &[u8]) -> Json {
    json!({"bits": bits, "lst": base64url_of(&compress_to_vec_zlib(bytes, 9))})
}

fn good() -> List {
    List {
        header: json!({"typ": "statuslist+jwt", "alg": "EdDSA", "kid": "k1"}),
        claims: json!({"iss": AS, "sub": URI, "iat": NOW - 9, "exp": NOW + 60, "ttl": 30, "status_list": packed(1, &[4])}),
        seed: 1,
    }
}

impl List {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn text(&self) -> Vec<u8> {
        let part = |value: &Json| base64url_of(value.to_string().as_bytes());
        let input = format!("{}.{}", part(&self.header), part(&self.claims));
        let signature = base64url_of(pair(self.seed).sign(input.as_bytes()).as_ref());
        format!("{input}.{signature}").into_bytes()
    }

    fn read_by(&self, issuer: &Issuer) -> Result<StatusList, ListRefused> {
        ListReader::of(issuer, &Arc::from(URI)).unwrap().read(&self.text(), NOW)
    }

    fn refusal(&self) -> Option<ListRefused> {
        self.read_by(&issuer()).err()
    }
}

fn claim(name: &'static str, value: Json) -> List {
    good().with(|list| list.claims[name] = value)
}

fn without(name: &str) -> List {
    good().with(|list| drop(list.claims.as_object_mut().unwrap().remove(name)))
}

fn header(name: &'static str, value: Json) -> List {
    good().with(|list| list.header[name] = value)
}

fn entry(name: &'static str, value: Json) -> List {
    good().with(|list| list.claims["status_list"][name] = value)
}

#[test]
fn a_good_list_says_what_it_is() {
    let list = good().read_by(&issuer()).ok().unwrap();
    assert_eq!((list.ttl_seconds(), list.expires()), (Some(30), Some(NOW + 65)));
    assert_eq!((0..9).map(|index| list.value(index)).collect::<Vec<_>>(), {
        let values = [0, 0, 1, 0, 0, 0, 0, 0].map(Some);
        [&values[..], &[None]].concat()
    });
    for fine in [without("exp"), without("ttl"), without("iss"), header("typ", json!("application/statuslist+jwt"))] {
        assert_eq!(fine.refusal(), None);
    }
    assert!(claim("ttl", json!(0.5)).read_by(&issuer()).is_ok_and(|list| list.ttl_seconds() == Some(0)));
}

#[test]
fn sl_03_one_change_is_one_refusal() {
    use ListRefused as R;
    let lst = good().claims["status_list"]["lst"].as_str().unwrap().to_owned();
    let trailing = base64url_of(&[compress_to_vec_zlib(&[4], 9), vec![0]].concat());
    for (list, why) in [
        (good().with(|list| list.header = json!({"typ": "statuslist+jwt"})), R::Malformed),
        (header("kid", json!(1)), R::Malformed),
        (header("crit", json!([])), R::CriticalHeader),
        (header("zip", json!("DEF")), R::CriticalHeader),
        (header("typ", json!("at+jwt")), R::Type),
        (header("typ", json!("JWT")), R::Type),
        (header("typ", json!("StatusList+jwt")), R::Type),
        (good().with(|list| drop(list.header.as_object_mut().unwrap().remove("typ"))), R::Type),
        (header("alg", json!("none")), R::Algorithm),
        (header("alg", json!("HS256")), R::Algorithm),
        (header("kid", json!("k3")), R::KeyUnknown),
        (header("alg", json!("ES256")), R::KeyUnknown),
        (good().with(|list| list.seed = 2), R::Signature),
        (good().with(|list| list.seed = 9), R::Signature),
        (without("sub"), R::Subject),
        (claim("sub", json!("https://status.test/1/")), R::Subject),
        (claim("sub", json!("https://status.test/%31")), R::Subject),
        (claim("sub", json!([URI])), R::Subject),
        (claim("iss", json!(SIGNER)), R::Issuer),
        (claim("iss", json!([AS])), R::Issuer),
        (without("iat"), R::Times),
        (claim("iat", json!(NOW + 11)), R::Times),
        (claim("iat", json!("1")), R::Times),
        (claim("nbf", json!(NOW + 11)), R::Times),
        (claim("exp", json!(null)), R::Times),
        (claim("exp", json!(NOW - 5)), R::Expired),
        (claim("ttl", json!(0)), R::Ttl),
        (claim("ttl", json!(-3)), R::Ttl),
        (claim("ttl", json!("30")), R::Ttl),
        (without("status_list"), R::Entries),
        (entry("bits", json!(3)), R::Entries),
        (entry("bits", json!(257)), R::Entries),
        (entry("bits", json!(1.0)), R::Entries),
        (entry("lst", json!(null)), R::Entries),
        (entry("lst", json!(format!("{lst}="))), R::Entries),
        (entry("lst", json!(format!("{lst}\n"))), R::Entries),
        (entry("lst", json!("")), R::Stream),
        (entry("lst", json!(trailing)), R::Stream),
        (entry("lst", json!(lst[..lst.len() - 2])), R::Stream),
        (good().with(|list| list.claims["status_list"] = packed(8, &vec![0; MOST + 1])), R::TooLarge),
        (good().with(|list| list.claims["x"] = json!("x".repeat(300_000))), R::Malformed),
    ] {
        assert_eq!(list.refusal(), Some(why), "{} {}", list.header, &list.claims.to_string()[..60]);
    }
    for fine in [
        claim("iat", json!(NOW + 10)),
        claim("nbf", json!(NOW + 10)),
        claim("exp", json!(NOW - 4)),
        good().with(|list| (list.seed, list.header["kid"]) = (2, json!("k2"))),
        good().with(|list| list.claims["status_list"] = packed(8, &vec![0; MOST])),
    ] {
        assert_eq!(fine.refusal(), None, "the allowed twin");
    }
}

#[test]
fn sl_03_who_signs_is_the_issuer_or_the_one_who_is_named() {
    let signer = Signer { issuer: SIGNER.into(), algorithms: AlgorithmSet::new(&AlgorithmSet::TOKENS) };
    let named = || issuer_with(StatusRules { signer: Some(signer.clone()), ..status_rules() }, &[1, 2], &[3]);
    let theirs =
        || good().with(|list| (list.seed, list.header["kid"], list.claims["iss"]) = (3, json!("k3"), json!(SIGNER)));
    assert!(theirs().read_by(&named()).is_ok());
    assert_eq!(theirs().refusal(), Some(ListRefused::KeyUnknown));
    assert_eq!(good().read_by(&named()).err(), Some(ListRefused::KeyUnknown));
    assert_eq!(theirs().with(|list| list.claims["iss"] = json!(AS)).read_by(&named()).err(), Some(ListRefused::Issuer));
    let keyless = Issuer { signer_keys: None, ..named() };
    assert_eq!(theirs().read_by(&keyless).err(), Some(ListRefused::KeysUnavailable));
    for policy in [StatusPolicy::Unchecked, StatusPolicy::Ignored] {
        let other = Issuer { rules: rules(policy), ..issuer() };
        assert!(ListReader::of(&other, &Arc::from(URI)).is_none());
    }
}

#[test]
fn a_list_stands_while_its_key_does_and_until_it_runs_out() {
    let issuer = issuer();
    let list = good().read_by(&issuer).ok().unwrap();
    let of = |keys: &[u8]| Issuer { rules: Arc::clone(&issuer.rules), keys: ring(keys), signer_keys: None };
    assert!(list.stands(URI, &issuer, NOW));
    assert!(list.stands(URI, &of(&[7, 1]), NOW), "another ring with that key");
    assert!(!list.stands(URI, &of(&[2]), NOW) && !list.stands(URI, &of(&[]), NOW));
    assert!(!list.stands("https://status.test/2", &issuer, NOW));
    assert!(!list.stands(URI, &super::tests::issuer(), NOW), "the same words, not the same rules");
    assert!(list.stands(URI, &issuer, NOW + 64) && !list.stands(URI, &issuer, NOW + 65));
    let older = claim("iat", json!(NOW - 10)).read_by(&issuer).ok().unwrap();
    assert!(list.may_follow(&older) && list.may_follow(&list) && !older.may_follow(&list));
}

/// A list of these bytes.
fn of(bits: u8, bytes: &[u8]) -> StatusList {
    StatusList {
        uri: Arc::from(URI),
        rules: rules(StatusPolicy::Unchecked),
        key: [0; 32],
        bits,
        entries: bytes.into(),
        issued: 0,
        expires: None,
        ttl: None,
    }
}

#[test]
fn sl_05_entries_begin_at_the_lowest_bit_of_the_first_byte() {
    let values =
        |bits: u8, bytes: &[u8]| -> Vec<u8> { (0..).map_while(|index| of(bits, bytes).value(index)).collect() };
    assert_eq!(values(1, &[0b0000_0001, 0b1000_0010]), [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    assert_eq!(values(2, &[0b11_10_01_00, 0b00_01_10_11]), [0, 1, 2, 3, 3, 2, 1, 0]);
    assert_eq!(values(4, &[0xa5, 0x0f]), [0x5, 0xa, 0xf, 0x0]);
    assert_eq!(values(8, &[7, 0, 255]), [7, 0, 255]);
    assert_eq!(values(1, &[]), [0; 0]);
    // Bytes that are packed by hand, from the values in the order of their entries.
    assert_eq!(values(1, &[0xb9, 0xa3]), [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]);
    assert_eq!(values(2, &[0xc9, 0x44, 0xf9]), [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]);
}

#[test]
fn sl_05_a_million_entries_are_read_at_both_ends() {
    let mut bytes = vec![0_u8; 1 << 17];
    (bytes[0], bytes[(1 << 17) - 1]) = (0b10, 0b0100_0000);
    let list = of(1, &bytes);
    let set: Vec<_> = (0..1 << 20).filter(|index| list.value(*index) != Some(0)).collect();
    assert_eq!(set, [1, (1 << 20) - 2]);
    assert_eq!((list.value(1 << 20), list.value(u32::MAX)), (None, None));
}

proptest! {
    /// Against a reader that knows nothing but bits in a row.
    #[test]
    fn an_entry_is_the_bits_that_a_naive_reader_finds(
        bits in prop_oneof![Just(1_u8), Just(2), Just(4), Just(8)],
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
        index in (0_u32..400).prop_union(0_u32..u32::MAX),
    ) {
        let row: Vec<bool> = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).collect();
        let width = usize::from(bits);
        let own = row.chunks(width).nth(index as usize);
        let naive = own.map(|own| own.iter().rev().fold(0_u16, |value, bit| value * 2 + u16::from(*bit)) as u8);
        let list = of(bits, &bytes);
        assert_eq!(list.value(index), naive);
        assert_eq!(list.judge(index).is_ok(), naive == Some(0), "0 alone is valid");
    }
}

#[test]
fn sl_06_only_0_is_valid() {
    let judged = |value: u8| of(8, &[value]).judge(0);
    assert_eq!([0, 1, 2].map(judged), [Ok(()), Err(Denial::TokenRevoked), Err(Denial::TokenSuspended)]);
    for value in 3..=255 {
        assert_eq!(judged(value), Err(Denial::TokenStatusUnknown), "{value}");
    }
    assert_eq!(of(8, &[0]).judge(1), Err(Denial::TokenStatusUnknown));
}

#[test]
fn sl_02_a_reference_is_read_whole_or_refused() {
    let read = |status: Json, policy: &StatusPolicy| {
        let claims = parse_object(json!({"status": status}).to_string().as_bytes()).unwrap();
        reference(&claims, policy).map(|found| found.map(|found| (found.index(), found.uri().to_string())))
    };
    let checked = StatusPolicy::Checked(status_rules());
    let listed = |idx: Json, uri: &str| read(json!({"status_list": {"idx": idx, "uri": uri}}), &checked);
    assert_eq!(listed(json!(0), URI), Ok(Some((0, URI.to_owned()))));
    assert_eq!(listed(json!(u32::MAX), URI).map(|found| found.unwrap().0), Ok(u32::MAX));
    for idx in [json!(-1), json!(1.0), json!(0.5), json!("1"), json!(null), json!(4_294_967_296_u64), json!([1])] {
        assert_eq!(listed(idx.clone(), URI), Err(Denial::TokenClaimMalformed), "{idx}");
    }
    for uri in [
        "",
        "status.test/1",
        "ftp://status.test/1",
        "https://status.test/ü",
        "https://status.test\\",
        "https://status.test/#",
    ] {
        assert_eq!(listed(json!(1), uri), Err(Denial::TokenClaimMalformed), "{uri}");
    }
    for uri in
        ["https://status.test:443/1", "https://status.testing/1", "http://status.test/1", "https://a@status.test/"]
    {
        assert_eq!(listed(json!(1), uri), Err(Denial::TokenStatusUnchecked), "{uri}");
    }
    let none = parse_object(b"{}").unwrap();
    let required = StatusPolicy::Checked(StatusRules { required: true, ..status_rules() });
    assert_eq!(reference(&none, &checked), Ok(None));
    assert_eq!(reference(&none, &required), Err(Denial::TokenClaimMissing));
    assert_eq!(reference(&none, &StatusPolicy::Unchecked), Ok(None));
    for status in [json!({"status_list": {"idx": 1, "uri": URI}}), json!({"x": 1}), json!({}), json!(7), json!(null)] {
        assert_eq!(read(status.clone(), &StatusPolicy::Ignored), Ok(None), "{status}");
        assert_eq!(read(status.clone(), &StatusPolicy::Unchecked), Err(Denial::TokenStatusUnchecked), "{status}");
    }
}
