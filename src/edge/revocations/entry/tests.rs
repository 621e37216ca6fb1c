#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

use super::*;
use crate::decision::revocation::Thumbprint;

const NOW: i64 = 1_764_000_000_123;

/// Writes a text of an entry.
type Write = fn(&mut Entry, String);

pub fn entry(number: u8, target: Target) -> Entry {
    Entry {
        id: EntryId([number; 16]),
        source: ADMIN.to_owned(),
        target,
        not_issued_after: None,
        expires_at: None,
        reported_at: NOW,
        asked_at: NOW,
        asked_by: "soc".to_owned(),
        reason: "laptop stolen".to_owned(),
        case: Some("INC-1".to_owned()),
    }
}

fn token(jti: &str) -> Target {
    Target::Token { issuer: "https://as.test".to_owned(), jti: jti.to_owned() }
}

#[test]
fn a_record_is_the_same_after_json() {
    let mut full = entry(1, Target::Certificate { thumbprint: Thumbprint([7; 32]) });
    full.not_issued_after = Some(1_764_000_000);
    full.expires_at = Some(1_999_999_999);
    let cancel = Cancel {
        entry: full.id,
        source: "caep:one".to_owned(),
        asked_at: NOW,
        asked_by: "soc".to_owned(),
        reason: "found again".to_owned(),
        case: None,
        entry_expires_at: None,
    };
    let endless = serde_json::to_string(&cancel).unwrap();
    assert!(!endless.contains("entry_expires_at"), "as it was before there was an end");
    let ending = Cancel { entry_expires_at: full.expires_at, ..cancel.clone() };
    let cancels = [cancel, ending].map(Record::Cancel);
    let entries = [full.clone(), entry(2, token("a"))].map(Record::Entry);
    for record in entries.into_iter().chain(cancels) {
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record, "{text}");
        assert_eq!(record.check(), Ok(()), "{text}");
    }
    let written = serde_json::to_value(&full).unwrap();
    assert_eq!(written["not_issued_after"], "2025-11-24T16:00:00Z");
    assert_eq!(written["asked_at"], "2025-11-24T16:00:00.123Z");
    assert_eq!(written["target"]["kind"], "certificate");
}

#[test]
fn unknown_and_repeated_members_are_refused() {
    let good = serde_json::to_string(&entry(1, token("a"))).unwrap();
    assert!(serde_json::from_str::<Entry>(&good).is_ok());
    for (from, to) in [
        ("\"source\":", "\"more\":1,\"source\":"),
        ("\"source\":", "\"source\":\"other\",\"source\":"),
        ("\"jti\":", "\"jti\":\"b\",\"jti\":"),
        ("\"jti\":", "\"sub\":\"b\",\"jti\":"),
        ("\"kind\":\"token\"", "\"kind\":\"session\",\"kind\":\"token\""),
        ("\"token\"", "\"tokens\""),
        ("\"asked_at\":\"", "\"asked_at\":\"x"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        assert!(serde_json::from_str::<Entry>(&bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_too_long_or_empty_or_could_name_nothing_is_refused() {
    let long = |most: usize| "x".repeat(most + 1);
    let issuer = || "https://as.test".to_owned();
    let serial = |serial: &str| Target::CertificateSerial { issuer: "CN=a".to_owned(), serial: serial.to_owned() };
    let targets = [
        token(""),
        token(&long(IDENTIFIER_BYTES)),
        Target::Issuer { issuer: String::new() },
        Target::Issuer { issuer: long(IDENTIFIER_BYTES) },
        Target::Subject { issuer: issuer(), sub: String::new() },
        Target::Client { issuer: issuer(), client_id: long(IDENTIFIER_BYTES) },
        Target::Session { issuer: issuer(), sid: String::new() },
        Target::Key { issuer: issuer(), kid: long(KID_BYTES) },
        Target::CertificateSerial { issuer: long(NAME_BYTES), serial: "00".to_owned() },
        serial("AB"),
        serial("a"),
        serial("a:b"),
        serial("-"),
        serial(&"ab".repeat(SERIAL_BYTES)),
    ];
    for target in targets {
        assert!(entry(1, target.clone()).check().is_err(), "{target:?}");
    }
    assert_eq!(entry(1, serial("-ab01")).check(), Ok(()));
    assert_eq!(entry(1, token(&"x".repeat(IDENTIFIER_BYTES))).check(), Ok(()));
    let with = |change: fn(&mut Entry, String), text: String| {
        let mut entry = entry(1, token("a"));
        change(&mut entry, text);
        entry.check()
    };
    let words: [(Write, usize); 4] = [
        (|entry, text| entry.reason = text, REASON_BYTES),
        (|entry, text| entry.case = Some(text), CASE_BYTES),
        (|entry, text| entry.asked_by = text, ASKED_BY_BYTES),
        (|entry, text| entry.source = text, SOURCE_BYTES),
    ];
    for (change, most) in words {
        assert_eq!(with(change, "x".repeat(most)), Ok(()));
        assert!(with(change, long(most)).is_err() && with(change, String::new()).is_err());
        assert!(with(change, "a\nb".to_owned()).is_err());
    }
}

#[test]
fn an_entry_about_a_token_outlives_it() {
    let until = |target: Target, seconds: i64| {
        let mut entry = entry(1, target);
        entry.expires_at = Some(NOW / 1_000 + seconds);
        entry.check()
    };
    assert!(until(token("a"), LONGEST_TOKEN_SECONDS - 1).is_err());
    assert_eq!(until(token("a"), LONGEST_TOKEN_SECONDS), Ok(()));
    let client = || Target::Client { issuer: "https://as.test".to_owned(), client_id: "a".to_owned() };
    assert!(until(client(), 0).is_err());
    assert_eq!(until(client(), 1), Ok(()));
}

#[test]
fn other_content_is_another_digest() {
    let one = entry(1, token("a"));
    assert_eq!(one.digest(), one.clone().digest());
    assert_ne!(one.digest(), Entry { reason: "another".to_owned(), ..one.clone() }.digest());
    assert_ne!(one.digest(), Entry { expires_at: Some(1), ..one }.digest());
}
