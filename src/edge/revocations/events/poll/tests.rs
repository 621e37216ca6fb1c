#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

use super::super::tests::{receiver, set_as};
use super::*;

fn answer(sets: impl IntoIterator<Item = (String, Value)>) -> Polled {
    let sets: serde_json::Map<String, Value> = sets.into_iter().collect();
    serde_json::from_value(json!({ "sets": sets, "moreAvailable": true })).unwrap()
}

/// A SET of the transmitter whose keys are fetched, signed with this `kid`.
fn event(jti: &str, kid: &str) -> Value {
    json!(set_as(kid, json!({"iss": "https://fetched.test", "jti": jti})))
}

fn stuck(number: usize) -> (String, Value) {
    (format!("a-{number:03}"), event(&format!("s{number}"), "withdrawn"))
}

#[tokio::test]
async fn events_that_no_key_fits_keep_nobody_back_and_are_refused_after_ten_minutes() {
    let (receiver, list, _) = receiver();
    let (mut stream, begun) = (Stream::of("fetched"), Instant::now());
    // They come first each time, and fill the first poll.
    let kept: BTreeMap<_, _> = (0..40).map(stuck).chain([("z-good".to_owned(), event("good", "a"))]).collect();
    let next = |stream: &Stream<'_>| answer(kept.clone().into_iter().take(stream.most()));
    assert_eq!(stream.take(next(&stream), &receiver, begun).await, "stuck");
    assert!(stream.acknowledgement.is_empty() && list.is_empty());
    assert_eq!(stream.take(next(&stream), &receiver, begun).await, "answered");
    assert_eq!((&*stream.acknowledgement.taken, list.len()), (&["z-good".to_owned()][..], 1));
    assert!(stream.acknowledgement.refused.is_empty());
    assert_eq!(stream.most(), AT_ONCE + 40);
    // All are refused at last, and not before.
    let nearly = begun + Duration::from_secs(PATIENCE.as_secs() - 1);
    stream.take(next(&stream), &receiver, nearly).await;
    assert!(stream.acknowledgement.refused.is_empty());
    stream.take(next(&stream), &receiver, begun + PATIENCE).await;
    assert_eq!(stream.acknowledgement.refused.len(), 40);
    assert_eq!(stream.acknowledgement.refused["a-007"]["err"], "invalid_key");
    assert_eq!((stream.most(), stream.waiting.len()), (AT_ONCE, 0));
}

#[tokio::test]
async fn what_is_in_force_and_not_stored_is_never_given_up() {
    let (receiver, list, _) = receiver();
    receiver.revocations.close().await;
    let (mut stream, begun) = (Stream::of("fetched"), Instant::now());
    for after in [Duration::ZERO, PATIENCE, PATIENCE * 2] {
        let polled = answer([("one".to_owned(), event("one", "a"))]);
        assert_eq!(stream.take(polled, &receiver, begun + after).await, "stuck");
        assert!(stream.acknowledgement.is_empty() && list.len() == 1);
    }
}

#[tokio::test]
async fn one_that_is_no_text_is_refused_by_its_name_and_the_others_count() {
    let (receiver, list, _) = receiver();
    let mut stream = Stream::of("fetched");
    let odd = [json!({}), json!(null), json!(7), json!(["x"])];
    let odd = odd.into_iter().enumerate().map(|(number, odd)| (format!("odd-{number}"), odd));
    let polled = answer(odd.chain([("good".to_owned(), event("good", "a"))]));
    assert_eq!(stream.take(polled, &receiver, Instant::now()).await, "answered");
    assert_eq!((stream.acknowledgement.taken.len(), list.len()), (1, 1));
    for number in 0..4 {
        assert_eq!(stream.acknowledgement.refused[&format!("odd-{number}")]["err"], "invalid_request");
    }
}

#[tokio::test]
async fn after_an_answer_that_is_too_long_fewer_are_asked_for_until_it_fits() {
    let (receiver, ..) = receiver();
    let mut stream = Stream::of("fetched");
    let mut asked = Vec::new();
    while stream.ask_for_fewer() {
        asked.push(stream.most());
    }
    assert_eq!(asked, [16, 8, 4, 2, 1]);
    assert_eq!((stream.most(), stream.longest()), (1, LONGEST), "one alone may be long, and is refused by its name");
    for most in [2, 4, 8, 16, AT_ONCE, AT_ONCE] {
        stream.take(answer([]), &receiver, Instant::now()).await;
        assert_eq!(stream.most(), most);
    }
}
