//! What is remembered of a token or a certificate never outlives what it rests on, and never answers for another one.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use keybound::decision::certificate::names_of;
use keybound::decision::jose::sha256;
use keybound::decision::revocation::{EntryId, Mark, Target};
use keybound::decision::snapshot::Snapshot;
use keybound::decision::status_list::{ListReader, StatusList, StatusLists};
use keybound::decision::token::{self, ClaimSpec, ClaimType, Issuer, Issuers, Keyring, KnownTokens};
use keybound::edge::known::{Tokens, memories};
use keybound::edge::revocations::list::RevocationList;
use serde_json::json;

use crate::support::issuers::{SERVER, named_keys};
use crate::support::{
    Encoding, Good, LIST, Listing, Memory, NOW, Request, Setting, SigningKey, good, good_bearer, good_listed,
    good_listed_mtls, good_mtls, good_narrow, judge_under, pki,
};

fn code(snapshot: &Snapshot, good: &Good, now: i64) -> &'static str {
    let request = good.build();
    judge_under(snapshot, &request, Encoding::Raw, &Memory::new(100, 100), now).code
}

/// The same knowledge with other keys, or none, of the issuer; the memories stay.
fn with_keys(snapshot: &Snapshot, keys: Option<&Arc<Keyring>>) -> Snapshot {
    let issuer = |issuer: &Issuer| Issuer {
        rules: Arc::clone(&issuer.rules),
        keys: if issuer.rules.issuer == SERVER { keys.cloned() } else { issuer.keys.clone() },
        signer_keys: issuer.signer_keys.clone(),
    };
    Snapshot {
        issuers: Issuers::new(snapshot.issuers.iter().map(issuer)),
        tokens: Arc::clone(&snapshot.tokens),
        leaves: Arc::clone(&snapshot.leaves),
        bundle: snapshot.bundle.clone(),
        ..Setting::Standard.build()
    }
}

fn keyring(set: &serde_json::Value) -> Option<Arc<Keyring>> {
    Keyring::parse(set.to_string().as_bytes()).ok().map(Arc::new)
}

#[test]
fn a_token_that_was_seen_ends_with_its_issuers_keys() {
    let before = Setting::Standard.build();
    let seen = good();
    assert_eq!(code(&before, &seen, NOW), "allowed");
    let renewed = keyring(&named_keys(SERVER).unwrap());
    assert_eq!(code(&with_keys(&before, renewed.as_ref()), &seen, NOW), "allowed", "its key is still there");
    let other = SigningKey::p256().leak();
    let replaced = keyring(&json!({"keys": [other.jwk_as("other", &json!({}))]}));
    assert_eq!(code(&with_keys(&before, replaced.as_ref()), &seen, NOW), "token_key_unknown");
    assert_eq!(code(&with_keys(&before, None), &seen, NOW), "fault_keys_unavailable");
    let again = keyring(&named_keys(SERVER).unwrap());
    assert_eq!(code(&with_keys(&before, again.as_ref()), &seen, NOW), "allowed", "and back");
}

#[test]
fn a_token_that_was_seen_is_judged_by_time_and_api_each_time() {
    let snapshot = Setting::Standard.build();
    assert_eq!(code(&snapshot, &good(), NOW), "allowed");
    let token = good().token(|token| token.claims["exp"] = json!(NOW + 60));
    assert_eq!(code(&snapshot, &token, NOW), "allowed");
    assert_eq!(code(&snapshot, &token, NOW + 60), "token_expired");
    assert_eq!(code(&snapshot, &token, NOW - 100), "token_not_yet_valid");
    let narrow = good_narrow();
    assert_eq!(code(&snapshot, &narrow, NOW), "allowed");
    let elsewhere = narrow.twin().token(|token| token.claims["aud"] = json!("https://elsewhere.test"));
    assert_eq!(code(&snapshot, &elsewhere, NOW), "token_audience_mismatch");
}

#[test]
fn a_token_and_a_certificate_that_were_seen_are_refused_from_the_moment_they_are_revoked() {
    let list = Arc::new(RevocationList::new([]));
    let snapshot = Snapshot { revocations: Arc::<RevocationList>::clone(&list), ..Setting::Standard.build() };
    let subject = || Target::Subject { issuer: SERVER.to_owned(), sub: "robot".to_owned() };
    let leaf = &pki().client;
    let certificate =
        names_of(&leaf.der).map(|names| Target::CertificateSerial { issuer: names.issuer, serial: names.serial });
    let mark = Mark { entry: EntryId([1; 16]), not_issued_after: i64::MAX, until: i64::MAX };
    let (seen, open) = (good_mtls(), good_bearer().certificate(leaf));
    for (target, seen, denied) in
        [(subject(), &seen, "token_revoked"), (certificate.expect("names"), &open, "certificate_revoked")]
    {
        assert_eq!(code(&snapshot, seen, NOW), "allowed");
        list.insert(&target, mark);
        assert_eq!(code(&snapshot, seen, NOW), denied);
        assert!(list.remove(&target, mark.entry));
        assert_eq!(code(&snapshot, seen, NOW), "allowed", "taken back");
    }
}

#[test]
fn a_signature_that_was_verified_is_good_for_that_text_alone() {
    let snapshot = Setting::Standard.build();
    assert_eq!(code(&snapshot, &good(), NOW), "allowed");
    // The same header and claims, another signature; the same signature, other claims.
    let forged = good().token(|token| {
        token.edit_signature(|mut signature| {
            signature[7] ^= 1;
            signature
        });
    });
    assert_eq!(code(&snapshot, &forged, NOW), "token_signature_invalid");
    let longer = good().token(|token| token.edit_text(|text| format!("{text}A")));
    assert_eq!(code(&snapshot, &longer, NOW), "token_signature_invalid");
}

#[test]
fn a_certificate_that_was_read_is_itself_alone() {
    let snapshot = Setting::Standard.build();
    assert_eq!(code(&snapshot, &good_mtls(), NOW), "allowed");
    assert_eq!(code(&snapshot, &good_mtls().certificate(&pki().other), NOW), "certificate_mismatch");
    assert_eq!(code(&snapshot, &good_mtls(), NOW), "allowed");
    assert_eq!(code(&snapshot, &good_mtls().without_certificate(), NOW), "certificate_missing");
}

/// A signed token that nobody else has, and the hash of its text.
fn signed(number: usize) -> (String, [u8; 32]) {
    let mut token = crate::support::issuers::token();
    token.claims["jti"] = json!(format!("one-of-many-{number}"));
    let text = token.compact();
    let hash = sha256(text.as_bytes());
    (text, hash)
}

fn seen(snapshot: &Snapshot, tokens: &Tokens, number: usize) -> [u8; 32] {
    let (text, hash) = signed(number);
    assert!(token::verify(text.as_bytes(), &hash, &snapshot.issuers, tokens).is_ok());
    hash
}

#[test]
fn a_flood_of_tokens_drives_out_none_that_is_used() {
    let snapshot = Setting::Standard.build();
    let (tokens, _) = memories(1);
    let used: Vec<_> = (0..50).map(|number| seen(&snapshot, &tokens, number)).collect();
    assert!(used.iter().all(|hash| tokens.find(hash).is_some()));
    let flood: Vec<_> = (1_000..4_000)
        .map(|number| {
            // Between two uses of a token more come than there is room for.
            if number % 30 == 0 {
                assert!(tokens.find(&used[number / 30 % 50]).is_some(), "driven out after {number}");
            }
            seen(&snapshot, &tokens, number)
        })
        .collect();
    let kept = flood.iter().filter(|hash| tokens.find(hash).is_some()).count();
    assert!(kept < 1_000, "no flood: there is room for {kept} of it");
    // Who comes later is remembered as well, and stays when used.
    let later = seen(&snapshot, &tokens, 5_000);
    assert!(tokens.find(&later).is_some());
    for number in 6_000..6_600 {
        seen(&snapshot, &tokens, number);
        assert!(number % 100 != 0 || tokens.find(&later).is_some(), "driven out after {number}");
    }
}

#[test]
fn policies_are_told_what_was_signed_whenever_the_schema_changes() {
    let snapshot = Setting::Standard.build();
    let apis = snapshot.bundle.as_ref().unwrap().inventory.apis();
    let (text, hash) = signed(1);
    let told = |kind: ClaimType| {
        let claim = ClaimSpec { attribute: "made".to_owned(), claim: "jti".to_owned(), kind };
        let specs: Arc<[ClaimSpec]> = [claim].into();
        // Anew, anew and kept, as it was kept.
        [(); 3].map(|()| {
            let verified = token::verify(text.as_bytes(), &hash, &snapshot.issuers, snapshot.tokens.as_ref());
            let (token, just_read) = verified.ok()?;
            token.accept(just_read, &apis[0], &specs, NOW).map(|token| token.told()["claims"].to_string()).ok()
        })
    };
    let said = || [(); 3].map(|()| Some(r#"{made: "one-of-many-1"}"#.to_owned()));
    assert_eq!(told(ClaimType::Text), said());
    assert_eq!(told(ClaimType::Long), [None, None, None], "a claim of another type is refused");
    assert_eq!(told(ClaimType::Text), said());
}

/// The one list that is at hand, if there is one.
#[derive(Default)]
struct OneList(ArcSwapOption<StatusList>);

impl StatusLists for OneList {
    fn find(&self, _: &str, _: &str, _: i64) -> Option<Arc<StatusList>> {
        self.0.load_full()
    }
}

#[test]
fn a_token_that_was_seen_is_looked_up_in_its_list_each_time() {
    let lists = Arc::new(OneList::default());
    let snapshot = Snapshot { status_lists: Arc::<OneList>::clone(&lists), ..Setting::Listed.build() };
    // Nobody may ask for it: it is at hand, but once.
    let request = good_listed_mtls().list_unasked().build();
    let code = |request: &Request| judge_under(&snapshot, request, Encoding::Raw, &Memory::new(1, 100), NOW).code;
    let reader = ListReader::of(snapshot.issuers.find(SERVER).unwrap(), &Arc::from(LIST)).unwrap();
    let put = |value: u8| {
        let Listing::Text(text) = good_listed().entries(4, &[value; 16]).build().list else { panic!("a list") };
        lists.0.store(reader.read(&text, NOW).ok().map(Arc::new));
    };
    for (value, expected) in [
        (0, "allowed"),
        (1, "token_revoked"),
        (0, "allowed"),
        (2, "token_suspended"),
        (7, "token_status_unknown"),
        (0, "allowed"),
    ] {
        put(value);
        assert_eq!(code(&request), expected, "{value}");
        assert_eq!(code(&request), expected, "{value}, once more");
    }
    lists.0.store(None);
    let missing = Request { list: Listing::Unavailable, ..request.clone() };
    assert_eq!(code(&missing), "fault_status_list_unavailable");
    // A list that was read under other rules is not this one.
    let other = Setting::Listed.build();
    let theirs = ListReader::of(other.issuers.find(SERVER).unwrap(), &Arc::from(LIST)).unwrap();
    let Listing::Text(text) = good_listed().build().list else { panic!("a list") };
    lists.0.store(theirs.read(&text, NOW).ok().map(Arc::new));
    assert_eq!(code(&missing), "fault_status_list_unavailable");
}
