#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::decision::revocation::Thumbprint;

const NOW: i64 = 1_000;

fn target(text: &str) -> Target {
    Target::Token { issuer: "https://as.test".to_owned(), jti: text.to_owned() }
}

fn mark(entry: u8) -> Mark {
    Mark { entry: EntryId([entry; 16]), not_issued_after: i64::MAX, until: i64::MAX }
}

fn empty() -> RevocationList {
    RevocationList::new([])
}

fn found(list: &RevocationList, target: &Target, issued: i64) -> Option<EntryId> {
    list.find(&target.name(), &Bearer { issued, skew_seconds: 10, now: NOW })
}

/// Every kind, with the same words.
fn of_every_kind() -> Vec<Target> {
    let (issuer, same) = (|| "a".to_owned(), || "b".to_owned());
    let hash = Thumbprint([b'b'; 32]);
    vec![
        Target::Token { issuer: issuer(), jti: same() },
        Target::TokenHash { issuer: issuer(), sha256: hash },
        Target::Subject { issuer: issuer(), sub: same() },
        Target::Client { issuer: issuer(), client_id: same() },
        Target::Session { issuer: issuer(), sid: same() },
        Target::Key { issuer: issuer(), kid: same() },
        Target::Issuer { issuer: issuer() },
        Target::ProofKey { jkt: hash },
        Target::Certificate { thumbprint: hash },
        Target::CertificateSerial { issuer: issuer(), serial: same() },
    ]
}

#[test]
fn an_entry_hits_its_own_target_and_no_other() {
    let all = of_every_kind();
    assert_eq!(all.iter().map(Target::kind).collect::<Vec<_>>(), Kind::ALL);
    for revoked in &all {
        let list = empty();
        list.insert(revoked, mark(1));
        for asked in &all {
            let expected = (asked == revoked).then_some(EntryId([1; 16]));
            assert_eq!(found(&list, asked, 0), expected, "{revoked:?} asked for {asked:?}");
        }
        assert_eq!((list.len(), list.count(revoked.kind())), (1, 1));
    }
}

#[test]
fn the_names_of_an_issuer_mean_nothing_at_another() {
    let list = empty();
    list.insert(&Target::Client { issuer: "ab".to_owned(), client_id: "c".to_owned() }, mark(1));
    list.insert(&Target::Issuer { issuer: "ab".to_owned() }, mark(2));
    let other = |issuer: &str, id: &str| Target::Client { issuer: issuer.to_owned(), client_id: id.to_owned() };
    for other in [other("a", "bc"), other("abc", ""), other("x", "c"), Target::Issuer { issuer: "a".to_owned() }] {
        assert_eq!(found(&list, &other, 0), None, "{other:?}");
    }
}

#[test]
fn tokens_issued_up_to_the_time_and_the_skew_are_hit_and_later_ones_are_not() {
    let list = empty();
    list.insert(&target("t"), Mark { not_issued_after: 500, ..mark(1) });
    for (issued, hit) in [(0, true), (500, true), (510, true), (511, false), (900, false)] {
        assert_eq!(found(&list, &target("t"), issued).is_some(), hit, "{issued}");
    }
}

#[test]
fn an_entry_ends_at_its_time_and_not_before() {
    for (until, hit) in [(NOW, false), (NOW + 1, true), (NOW - 1, false), (i64::MAX, true)] {
        let list = empty();
        list.insert(&target("t"), Mark { until, ..mark(1) });
        assert_eq!(found(&list, &target("t"), 0).is_some(), hit, "{until}");
    }
}

#[test]
fn an_entry_is_taken_back_by_its_own_id_alone() {
    let list = empty();
    list.insert(&target("t"), mark(1));
    list.insert(&target("t"), mark(2));
    assert!(!list.remove(&target("t"), EntryId([3; 16])) && !list.remove(&target("u"), EntryId([1; 16])));
    assert!(list.remove(&target("t"), EntryId([1; 16])));
    assert_eq!(found(&list, &target("t"), 0), Some(EntryId([2; 16])));
    assert!(list.remove(&target("t"), EntryId([2; 16])));
    assert!(found(&list, &target("t"), 0).is_none() && list.is_empty());
}

#[test]
fn a_list_is_stale_while_one_source_is() {
    assert!(!empty().is_stale(NOW));
    let (one, two) = (Source::silent(), Source::silent());
    let list = RevocationList::new([Arc::clone(&one), Arc::clone(&two)]);
    assert!(list.is_stale(NOW));
    one.good_until(NOW);
    assert!(list.is_stale(NOW), "the other one has said nothing");
    two.good_until(NOW + 5);
    assert!(!list.is_stale(NOW) && list.is_stale(NOW + 1));
}

#[test]
fn targets_are_written_as_json_and_read_strictly() {
    for target in of_every_kind() {
        let text = serde_json::to_string(&target).unwrap();
        assert_eq!(serde_json::from_str::<Target>(&text).unwrap(), target, "{text}");
    }
    let key = json!({"kind": "proof_key", "jkt": "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI"});
    assert!(serde_json::from_value::<Target>(key).is_ok());
    for wrong in [
        json!({"kind": "proof_key", "jkt": "YmJi"}),
        json!({"kind": "proof_key", "jkt": "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="}),
        json!({"kind": "token", "issuer": "a"}),
        json!({"kind": "token", "issuer": "a", "jti": "b", "sub": "c"}),
        json!({"kind": "everything"}),
        json!({"issuer": "a"}),
    ] {
        assert!(serde_json::from_value::<Target>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn ids_are_32_digits() {
    let id = EntryId([0xab; 16]);
    assert_eq!(EntryId::parse(&id.to_string()), Some(id));
    for wrong in ["", "ab", "+bababababababababababababababab", "ABABABABABABABABABABABABABABABAB"] {
        assert_eq!(EntryId::parse(wrong), None, "{wrong}");
    }
}

/// What happens to a list.
#[derive(Clone, Debug)]
enum Change {
    Insert(usize, u8, i64, i64),
    Remove(usize, u8),
}

fn change() -> impl Strategy<Value = Change> {
    let time = prop_oneof![Just(i64::MAX), Just(i64::MIN), NOW - 3..NOW + 3];
    prop_oneof![
        (0..10_usize, 0..4_u8, time.clone(), time)
            .prop_map(|(at, entry, from, to)| Change::Insert(at, entry, from, to)),
        (0..10_usize, 0..4_u8).prop_map(|(at, entry)| Change::Remove(at, entry)),
    ]
}

proptest! {
    #[test]
    fn a_list_is_what_a_plain_map_would_be(changes in prop::collection::vec(change(), 0..60), issued in NOW - 20..NOW + 20) {
        let (targets, list) = (of_every_kind(), empty());
        let mut plain: BTreeMap<(usize, u8), Mark> = BTreeMap::new();
        for change in changes {
            match change {
                Change::Insert(at, entry, not_issued_after, until) => {
                    let mark = Mark { not_issued_after, until, ..mark(entry) };
                    list.insert(&targets[at], mark);
                    plain.insert((at, entry), mark);
                }
                Change::Remove(at, entry) => {
                    let there = plain.remove(&(at, entry)).is_some();
                    prop_assert_eq!(list.remove(&targets[at], EntryId([entry; 16])), there);
                }
            }
        }
        prop_assert_eq!(list.len(), plain.len());
        for (at, target) in targets.iter().enumerate() {
            let hits: Vec<_> = plain
                .iter()
                .filter(|((place, _), mark)| {
                    *place == at && NOW < mark.until && issued <= mark.not_issued_after.saturating_add(10)
                })
                .map(|(_, mark)| mark.entry)
                .collect();
            match found(&list, target, issued) {
                Some(entry) => prop_assert!(hits.contains(&entry)),
                None => prop_assert!(hits.is_empty()),
            }
        }
    }
}
