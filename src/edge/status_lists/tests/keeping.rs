//! For how long lists count, and which of them stay.

use super::*;

/// A list that was read as the issuer's of this config.
fn read(config: &Config, uri: &str, change: &Json) -> (Arc<str>, Arc<StatusList>) {
    let uri = Arc::from(uri);
    let issuer = Issuer { rules: Arc::clone(&config.issuers[0].rules), keys: keys(), signer_keys: None };
    let text = list(&uri, 0, change);
    let list = ListReader::of(&issuer, &uri).unwrap().read(text.as_bytes(), clock::now()).ok().unwrap();
    (uri, Arc::new(list))
}

const URI: &str = "https://status.test/1";

/// For how many seconds a list counts, and for how many if it cannot be fetched again.
fn lives(more: &str, change: &Json) -> (u64, u64) {
    let config = config_of("status.test", more);
    let (uri, list) = read(&config, URI, change);
    let (at, now) = (Instant::now(), clock::now());
    let life = |fails: bool| {
        let shelf = Shelf::new(&config);
        shelf.keep(0, &list, &uri, (at, now));
        if fails {
            shelf.failed(0, &uri);
        }
        let counts = |seconds: u64| shelf.at(0, &uri, at + Duration::from_secs(seconds)).is_some();
        (0..200_000).find(|seconds| !counts(*seconds)).unwrap()
    };
    (life(false), life(true))
}

#[test]
fn sl_07_a_list_counts_as_its_ttl_says_between_the_bounds_and_never_beyond_its_end() {
    let bounds = ", least_seconds: 10, most_seconds: 60";
    assert_eq!(lives(bounds, &json!({"ttl": 30})), (30, 30));
    assert_eq!(lives(bounds, &json!({"ttl": 1})), (10, 10));
    assert_eq!(lives(bounds, &json!({"ttl": 43_200})), (60, 60));
    assert_eq!(lives(bounds, &json!({})), (60, 60));
    let end = |seconds: i64| json!({"ttl": 30, "exp": clock::now() + seconds});
    assert!((4..=5).contains(&lives(bounds, &end(5)).0), "even before the least");
    assert_eq!(lives(bounds, &end(3_600)), (30, 30));
    assert_eq!(lives("", &json!({})), (300, 300));
}

#[test]
fn sl_09_a_list_that_cannot_be_fetched_counts_so_much_longer_as_the_operator_says() {
    assert_eq!(lives(", stale_seconds: 90", &json!({"ttl": 30})), (30, 120));
    let config = config_of("status.test", ", stale_seconds: 90");
    let (uri, list) = read(&config, URI, &json!({"ttl": 30, "exp": clock::now() + 60}));
    let (shelf, at, now) = (Shelf::new(&config), Instant::now(), clock::now());
    shelf.keep(0, &list, &uri, (at, now));
    shelf.failed(0, &uri);
    assert!(shelf.find(AS, &uri, now + 59).is_some());
    assert!(shelf.find(AS, &uri, now + 61).is_none(), "and never beyond its `exp`");
    assert!(shelf.find("https://other.test", &uri, now).is_none(), "nor for another issuer");
}

#[test]
fn who_was_not_used_for_longest_makes_room() {
    let config = config_of("status.test", ", max_lists: 3");
    let (shelf, at, now) = (Shelf::new(&config), Instant::now(), clock::now());
    let after = |seconds: u64| at + Duration::from_secs(seconds);
    let uri = |number: u64| format!("https://status.test/{number}");
    for number in 0..5 {
        let (uri, list) = read(&config, &uri(number), &json!({}));
        shelf.keep(0, &list, &uri, (after(number * 2), now));
        // The first is in use.
        assert!(shelf.at(0, "https://status.test/0", after(number * 2 + 1)).is_some());
    }
    let there: Vec<_> = (0..5).filter(|number| shelf.kept(0, &uri(*number)).is_some()).collect();
    assert_eq!(there, [0, 3, 4]);
    // What counts no more is forgotten, and what is due is what is used.
    let due = |seconds: u64| shelf.tidy(0, after(seconds), now);
    assert_eq!((due(224).0.len(), due(226).0.len(), due(226).1), (0, 1, 3));
    assert_eq!(due(305).1, 2);
    assert_eq!(due(400).1, 0);
}

#[test]
fn lists_take_no_more_memory_than_they_may() {
    let config = config_of("status.test", ", max_mebibytes: 1, max_kibibytes: 512");
    let (shelf, at, now) = (Shelf::new(&config), Instant::now(), clock::now());
    let stream = base64url_of(&compress_to_vec_zlib(&vec![0; 400 * 1024], 6));
    for number in 0..5 {
        let big = json!({"status_list": {"bits": 8, "lst": stream}});
        let (uri, list) = read(&config, &format!("https://status.test/{number}"), &big);
        shelf.keep(0, &list, &uri, (at + Duration::from_secs(number), now));
    }
    assert_eq!(shelf.tidy(0, at, now).1, 2);
}
