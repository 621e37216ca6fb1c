#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair};
use serde_json::{Value as Json, json};

use super::*;
use crate::decision::jose::algorithm::Algorithm;
use crate::decision::jose::base64url_of;

const NOW: i64 = 1_800_000_000;
const TRANSMITTER: &str = "https://events.test";
const ISSUER: &str = "https://as.test";
const US: &str = "https://keybound.test/events";

enum Key {
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    fn ed25519(seed: u8) -> Self {
        Self::Ed25519(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    fn jwk(&self, kid: &str) -> Json {
        match self {
            Self::Ed25519(pair) => {
                let x = base64url_of(pair.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x})
            }
            Self::Rsa(pair) => {
                let unsigned = |bytes: &[u8]| base64url_of(bytes.strip_prefix(&[0]).unwrap_or(bytes));
                let public = pair.public_key();
                let n = unsigned(public.modulus().big_endian_without_leading_zero());
                json!({"kty": "RSA", "kid": kid, "n": n, "e": unsigned(public.exponent().big_endian_without_leading_zero())})
            }
        }
    }

    fn sign(&self, algorithm: &str, input: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(pair) => pair.sign(input).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let padding = if algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), input, &mut signature).unwrap();
                signature
            }
        }
    }
}

fn caep(name: &str) -> String {
    format!("https://schemas.openid.net/secevent/caep/event-type/{name}")
}

fn risc(name: &str) -> String {
    format!("https://schemas.openid.net/secevent/risc/event-type/{name}")
}

fn alice() -> Json {
    json!({"format": "iss_sub", "iss": ISSUER, "sub": "alice"})
}

/// A SET before it is signed.
struct Set {
    header: Json,
    claims: Json,
}

fn set(uri: &str, payload: &Json) -> Set {
    let claims = json!({
        "iss": TRANSMITTER, "aud": US, "iat": NOW - 5, "jti": "set-1", "sub_id": alice(), "events": { uri: payload },
    });
    Set { header: json!({"typ": "secevent+jwt", "alg": "EdDSA", "kid": "ed"}), claims }
}

fn good() -> Set {
    set(&caep("session-revoked"), &json!({"event_timestamp": NOW - 30}))
}

impl Set {
    fn signed(&self, key: &Key) -> String {
        let part = |value: &Json| base64url_of(value.to_string().as_bytes());
        let input = format!("{}.{}", part(&self.header), part(&self.claims));
        let signature = key.sign(self.header["alg"].as_str().unwrap_or_default(), input.as_bytes());
        format!("{input}.{}", base64url_of(&signature))
    }

    fn about(mut self, subject: Json) -> Self {
        self.claims["sub_id"] = subject;
        self
    }
}

fn rules() -> TransmitterRules {
    TransmitterRules {
        name: "idp".to_owned(),
        issuer: TRANSMITTER.to_owned(),
        audience: US.to_owned(),
        algorithms: AlgorithmSet::new(&[Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa, Algorithm::Ed25519]),
        may_revoke_for: vec![ISSUER.to_owned()],
        events: EventKind::USUAL.to_vec(),
        opaque_subjects_of: None,
    }
}

fn ring(keys: &[Json]) -> Arc<Keyring> {
    Arc::new(Keyring::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap())
}

/// Ours, and another that has the same rights and a key of the same name.
fn transmitters(rules: TransmitterRules) -> Vec<Transmitter> {
    let other = TransmitterRules { name: "other".to_owned(), issuer: "https://other.test".to_owned(), ..rules.clone() };
    let of = |rules, key: &Key| Transmitter { rules: Arc::new(rules), keys: Some(ring(&[key.jwk("ed")])) };
    vec![of(rules, &Key::ed25519(1)), of(other, &Key::ed25519(2))]
}

fn read_as(rules: TransmitterRules, set: &Set) -> Result<Meaning, Refusal> {
    let transmitters = transmitters(rules);
    let text = set.signed(&Key::ed25519(1));
    verify(text.as_bytes(), &transmitters, NOW).map(|event| event.meaning.clone()).map_err(|refused| refused.why)
}

fn read(set: &Set) -> Result<Meaning, Refusal> {
    read_as(rules(), set)
}

fn subject(sub: &str) -> Target {
    Target::Subject { issuer: ISSUER.to_owned(), sub: sub.to_owned() }
}

#[test]
fn a_good_set_says_who_what_and_since_when() {
    let transmitters = transmitters(rules());
    let text = good().signed(&Key::ed25519(1));
    let event = verify(text.as_bytes(), &transmitters, NOW).ok().unwrap();
    assert_eq!(
        (event.transmitter().name.as_str(), event.id(), event.kind()),
        ("idp", "set-1", EventKind::SessionRevoked)
    );
    assert_eq!((event.happened(), event.issued()), (NOW - 30, NOW - 5));
    assert_eq!(event.meaning(), &Meaning::Revokes(subject("alice")));
}

#[test]
fn ss_02_each_wrong_set_is_refused_with_its_code() {
    type Change = fn(&mut Set);
    let remove = |name: &'static str| move |set: &mut Set| drop(set.claims.as_object_mut().unwrap().remove(name));
    for name in ["iat", "jti", "sub_id", "events"] {
        let mut set = good();
        remove(name)(&mut set);
        assert_eq!(read(&set), Err(Refusal::ClaimMissing), "{name}");
    }
    let rows: [(&str, Change, Refusal); 26] = [
        ("typ", |set| set.header["typ"] = json!("JWT"), Refusal::Type),
        ("no typ", |set| drop(set.header.as_object_mut().unwrap().remove("typ")), Refusal::Type),
        ("at+jwt", |set| set.header["typ"] = json!("at+jwt"), Refusal::Type),
        ("crit", |set| set.header["crit"] = json!(["x"]), Refusal::CriticalHeader),
        ("none", |set| set.header["alg"] = json!("none"), Refusal::Algorithm),
        ("HS256", |set| set.header["alg"] = json!("HS256"), Refusal::Algorithm),
        ("ES256 is not on the list", |set| set.header["alg"] = json!("ES256"), Refusal::Algorithm),
        ("another family", |set| set.header["alg"] = json!("RS256"), Refusal::KeyUnknown),
        ("kid", |set| set.header["kid"] = json!("new"), Refusal::KeyUnknown),
        ("no iss", |set| drop(set.claims.as_object_mut().unwrap().remove("iss")), Refusal::NotASet),
        ("iss", |set| set.claims["iss"] = json!("https://events.test/"), Refusal::IssuerUnknown),
        ("a token's issuer", |set| set.claims["iss"] = json!(ISSUER), Refusal::IssuerUnknown),
        ("iss array", |set| set.claims["iss"] = json!([TRANSMITTER]), Refusal::NotASet),
        ("iss of another's key", |set| set.claims["iss"] = json!("https://other.test"), Refusal::Signature),
        ("aud", |set| set.claims["aud"] = json!("https://keybound.test"), Refusal::Audience),
        ("no aud", |set| drop(set.claims.as_object_mut().unwrap().remove("aud")), Refusal::Audience),
        ("exp", |set| set.claims["exp"] = json!(NOW + 60), Refusal::ClaimForbidden),
        ("sub", |set| set.claims["sub"] = json!("alice"), Refusal::ClaimForbidden),
        ("iat ahead", |set| set.claims["iat"] = json!(NOW + 61), Refusal::Time),
        ("iat in text", |set| set.claims["iat"] = json!("1"), Refusal::Time),
        ("iat in milliseconds", |set| set.claims["iat"] = json!(NOW * 1000), Refusal::Time),
        ("jti number", |set| set.claims["jti"] = json!(1), Refusal::Identifier),
        ("jti long", |set| set.claims["jti"] = json!("x".repeat(513)), Refusal::Identifier),
        ("no event", |set| set.claims["events"] = json!({}), Refusal::Events),
        ("two events", |set| set.claims["events"][risc("account-disabled")] = json!({}), Refusal::Events),
        ("event is null", |set| set.claims["events"][caep("session-revoked")] = json!(null), Refusal::Events),
    ];
    for (what, change, refusal) in rows {
        let mut set = good();
        change(&mut set);
        assert_eq!(read(&set), Err(refusal), "{what}");
    }
    for allowed in [json!([US]), json!(["https://else.test", US])] {
        let mut set = good();
        set.claims["aud"] = allowed;
        assert!(read(&set).is_ok());
    }
    let mut ahead = good();
    ahead.claims["iat"] = json!(NOW + 60);
    ahead.header["typ"] = json!("Application/SecEvent+JWT");
    assert!(read(&ahead).is_ok());
}

#[test]
fn ss_02_what_is_no_set_is_refused_whatever_it_is() {
    let transmitters = transmitters(rules());
    let good = good().signed(&Key::ed25519(1));
    let duplicate = {
        let claims = set(&caep("session-revoked"), &json!({})).claims.to_string().replacen('{', "{\"jti\":\"x\",", 1);
        let input = format!("{}.{}", good.split('.').next().unwrap(), base64url_of(claims.as_bytes()));
        format!("{input}.{}", base64url_of(&Key::ed25519(1).sign("", input.as_bytes())))
    };
    let large = format!("{}{good}", "x".repeat(limits::SET_BYTES));
    for text in ["", "{}", "a.b.c", &format!("{good}."), &format!("{good}\n"), &duplicate, &large, &".".repeat(1_000)] {
        let why = verify(text.as_bytes(), &transmitters, NOW).err().unwrap().why;
        assert_eq!(why, Refusal::NotASet);
    }
    let (input, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{input}.{}", base64url_of(&Key::ed25519(2).sign("", input.as_bytes())));
    let refused = verify(forged.as_bytes(), &transmitters, NOW).err().unwrap();
    assert_eq!((refused.why, refused.transmitter.unwrap().name.as_str()), (Refusal::Signature, "idp"));
    let keyless = [Transmitter { rules: Arc::new(rules()), keys: None }];
    let refused = verify(good.as_bytes(), &keyless, NOW).err().unwrap();
    assert_eq!((refused.why, refused.why.code()), (Refusal::KeysUnavailable, None));
}

#[test]
fn ss_07_a_transmitter_signs_with_rs256_or_ps256_whatever_tokens_are_signed_with() {
    let key = Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
    let transmitters = [Transmitter { rules: Arc::new(rules()), keys: Some(ring(&[key.jwk("rsa")])) }];
    for algorithm in ["RS256", "PS256"] {
        let mut set = good();
        (set.header["alg"], set.header["kid"]) = (json!(algorithm), json!("rsa"));
        assert!(verify(set.signed(&key).as_bytes(), &transmitters, NOW).is_ok(), "{algorithm}");
    }
}

#[test]
fn ss_10_what_is_worse_revokes_and_what_is_not_is_recorded() {
    let mut all = rules();
    all.events = EventKind::REVOKING.to_vec();
    let worse = |uri: &str, payload: Json| {
        let read = read_as(all.clone(), &set(uri, &payload));
        assert_eq!(read, Ok(Meaning::Revokes(subject("alice"))), "{uri} {payload}");
        // Not for a transmitter that is not listed with it.
        let none = TransmitterRules { events: Vec::new(), ..all.clone() };
        assert!(matches!(read_as(none, &set(uri, &payload)), Ok(Meaning::Recorded(_))), "{uri}");
    };
    worse(&caep("session-revoked"), json!({}));
    worse(&risc("account-disabled"), json!({"reason": "hijacking"}));
    worse(&risc("account-purged"), json!({}));
    worse(&risc("credential-compromise"), json!({"credential_type": "password"}));
    for change in ["revoke", "delete", "update"] {
        worse(&caep("credential-change"), json!({"credential_type": "x509", "change_type": change}));
    }
    worse(&caep("token-claims-change"), json!({"claims": {"role": "guest"}}));
    worse(&caep("device-compliance-change"), json!({"current_status": "not-compliant"}));
    worse(&caep("assurance-level-change"), json!({"change_direction": "decrease"}));
    worse(&caep("risk-level-change"), json!({"current_level": "HIGH"}));
    let meaning = |uri: &str, payload: Json| read_as(all.clone(), &set(uri, &payload));
    for (uri, payload) in [
        (caep("credential-change"), json!({"change_type": "create"})),
        (caep("device-compliance-change"), json!({"current_status": "compliant"})),
        (caep("assurance-level-change"), json!({"change_direction": "increase"})),
        (caep("risk-level-change"), json!({"current_level": "LOW"})),
        (caep("session-established"), json!({})),
        (risc("session-revoked"), json!({})),
        ("https://schemas.openid.net/secevent/ssf/event-type/stream-updated".to_owned(), json!({"status": "paused"})),
        ("urn:x".to_owned(), json!({})),
    ] {
        assert!(matches!(meaning(&uri, payload), Ok(Meaning::Recorded(_))), "{uri}");
    }
    for (uri, payload) in [
        (caep("credential-change"), json!({"change_type": "rotate"})),
        (caep("assurance-level-change"), json!({})),
        (caep("risk-level-change"), json!({"current_level": "high"})),
    ] {
        assert!(matches!(meaning(&uri, payload), Ok(Meaning::Unheeded(_))), "{uri}");
    }
    for (uri, payload) in [
        (caep("credential-change"), json!({})),
        (caep("credential-change"), json!({"change_type": 1})),
        (caep("token-claims-change"), json!({})),
        (caep("token-claims-change"), json!({"claims": {}})),
        (caep("device-compliance-change"), json!({})),
        (caep("risk-level-change"), json!({})),
    ] {
        assert_eq!(meaning(&uri, payload), Err(Refusal::Payload), "{uri}");
    }
}

#[test]
fn ss_10_the_time_of_the_event_is_never_ahead_of_ours() {
    let happened = |payload: Json| {
        let transmitters = transmitters(rules());
        let text = set(&caep("session-revoked"), &payload).signed(&Key::ed25519(1));
        verify(text.as_bytes(), &transmitters, NOW).map(|event| event.happened()).map_err(|refused| refused.why)
    };
    assert_eq!(happened(json!({})), Ok(NOW - 5), "the SET's own");
    assert_eq!(happened(json!({"event_timestamp": NOW - 100})), Ok(NOW - 100));
    assert_eq!(happened(json!({"event_timestamp": 1_799_999_900.5})), Ok(NOW - 99), "rounded toward refusal");
    assert_eq!(happened(json!({"event_timestamp": NOW + 1_000})), Ok(NOW));
    assert_eq!(happened(json!({"event_timestamp": -5})), Ok(0));
    for bad in [json!("1"), json!(null), json!(NOW * 1000)] {
        assert_eq!(happened(json!({ "event_timestamp": bad })), Err(Refusal::Time));
    }
}

#[test]
fn ss_08_a_subject_is_found_by_its_format_or_told_of() {
    let mut knows_opaque = rules();
    knows_opaque.opaque_subjects_of = Some(ISSUER.to_owned());
    let named = |subject: Json| read(&good().about(subject));
    let opaque = json!({"format": "opaque", "id": "42"});
    let token = Target::Token { issuer: ISSUER.to_owned(), jti: "t".to_owned() };
    let extended = json!({"format": "iss_sub", "iss": ISSUER, "sub": "alice", "more": {"x": 1}});
    assert_eq!(named(extended), Ok(Meaning::Revokes(subject("alice"))), "unknown fields are ignored");
    assert_eq!(named(json!({"format": "jwt_id", "iss": ISSUER, "jti": "t"})), Ok(Meaning::Revokes(token)));
    assert_eq!(read_as(knows_opaque, &good().about(opaque.clone())), Ok(Meaning::Revokes(subject("42"))));
    for unheeded in
        [opaque, json!({"format": "email", "email": "a@x.test"}), json!({"format": "did", "url": "did:x:1"})]
    {
        assert!(matches!(named(unheeded.clone()), Ok(Meaning::Unheeded(_))), "{unheeded}");
    }
    for refused in [json!({}), json!({"format": 1}), json!({"format": "iss_sub", "iss": ISSUER})] {
        assert_eq!(named(refused.clone()), Err(Refusal::Subject), "{refused}");
    }
    assert_eq!(named(json!("alice")), Err(Refusal::Subject));
    assert_eq!(named(json!({"format": "iss_sub", "iss": ISSUER, "sub": ""})), Err(Refusal::Identifier));
    for format in [json!({"format": "iss_sub", "sub": "x"}), json!({"format": "jwt_id", "jti": "x"})] {
        let mut elsewhere = format;
        elsewhere["iss"] = json!("https://elsewhere.test");
        assert_eq!(named(elsewhere), Err(Refusal::NotAllowed));
    }
}

#[test]
fn ss_09_a_complex_subject_is_a_user_or_a_session_and_never_a_crowd() {
    let complex = |members: Json| {
        let mut subject = members;
        subject["format"] = json!("complex");
        subject
    };
    let session = || json!({"format": "opaque", "id": "s-1"});
    let tenant = || json!({"format": "opaque", "id": "t-1"});
    let named = |members: Json| read(&good().about(complex(members)));
    let of_session = Target::Session { issuer: ISSUER.to_owned(), sid: "s-1".to_owned() };
    assert_eq!(named(json!({"user": alice()})), Ok(Meaning::Revokes(subject("alice"))));
    let whole = json!({"user": alice(), "session": session(), "tenant": tenant(), "note": "x"});
    assert_eq!(named(whole.clone()), Ok(Meaning::Revokes(of_session.clone())));
    // What befalls the account befalls every session.
    let disabled = set(&risc("account-disabled"), &json!({})).about(complex(whole));
    assert_eq!(read(&disabled), Ok(Meaning::Revokes(subject("alice"))));
    let mut knows_opaque = rules();
    knows_opaque.opaque_subjects_of = Some(ISSUER.to_owned());
    let alone = good().about(complex(json!({"session": session()})));
    assert_eq!(read_as(knows_opaque, &alone), Ok(Meaning::Revokes(of_session)));
    for unheeded in [
        json!({}),
        json!({"tenant": tenant()}),
        json!({"group": tenant()}),
        json!({"device": tenant()}),
        json!({"session": session()}),
        json!({"user": alice(), "device": tenant()}),
        json!({"user": alice(), "critical": tenant()}),
        json!({"user": {"format": "email", "email": "a@x.test"}, "session": session()}),
        json!({"user": alice(), "session": {"format": "iss_sub", "iss": ISSUER, "sub": "x"}}),
    ] {
        assert!(matches!(named(unheeded.clone()), Ok(Meaning::Unheeded(_))), "{unheeded}");
    }
    assert_eq!(named(json!({"user": {"format": "complex", "user": alice()}})), Err(Refusal::Subject));
    let foreign = json!({"user": {"format": "iss_sub", "iss": "https://x.test", "sub": "a"}, "session": session()});
    assert_eq!(named(foreign), Err(Refusal::NotAllowed));
}

#[test]
fn ss_12_a_verification_gives_back_its_state() {
    let uri = "https://schemas.openid.net/secevent/ssf/event-type/verification";
    let state = |payload: Json| read(&set(uri, &payload).about(json!({"format": "opaque", "id": "stream-1"})));
    assert_eq!(state(json!({"state": "abc"})), Ok(Meaning::Verification(Some("abc".to_owned()))));
    assert_eq!(state(json!({})), Ok(Meaning::Verification(None)));
    assert_eq!(state(json!({"state": 1})), Err(Refusal::Payload));
}

#[test]
fn ss_06_one_set_has_one_entry_and_another_has_another() {
    let transmitters = transmitters(rules());
    let id = |issuer: &str, jti: &str, key: &Key| {
        let mut set = good();
        (set.claims["iss"], set.claims["jti"]) = (json!(issuer), json!(jti));
        verify(set.signed(key).as_bytes(), &transmitters, NOW).ok().unwrap().entry_id()
    };
    let (ours, others) = (Key::ed25519(1), Key::ed25519(2));
    assert_eq!(id(TRANSMITTER, "a", &ours), id(TRANSMITTER, "a", &ours));
    assert_ne!(id(TRANSMITTER, "a", &ours), id(TRANSMITTER, "b", &ours));
    assert_ne!(id(TRANSMITTER, "a", &ours), id("https://other.test", "a", &others));
}
