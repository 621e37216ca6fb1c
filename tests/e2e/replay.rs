//! A proof passes once, however many copies of it come at the same time and over whatever connections.

use futures_util::future::join_all;

use crate::lab::visit;
use crate::requests::{ITEMS, dpop};
use crate::send::{Answer, http2};

const CONNECTIONS: usize = 5;
const COPIES: usize = 100;

#[tokio::test]
async fn of_a_hundred_copies_at_once_exactly_one_passes() {
    let lab = visit();
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| http2::client(&lab.raw, ITEMS)).collect();
    // The connections are up before the race begins.
    for client in &clients {
        let (sent, response) = http2::exchange(&lab.raw, client, &dpop().build()).await;
        Answer::of(&lab.raw, &sent, response).allowed();
    }
    let request = dpop().build();
    let copies = (0..COPIES).map(|copy| http2::exchange(&lab.raw, &clients[copy % CONNECTIONS], &request));
    let answers = join_all(copies).await;
    let answers: Vec<_> = answers.into_iter().map(|(sent, response)| Answer::of(&lab.raw, &sent, response)).collect();
    let (passed, denied): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.response.status == 200);
    assert_eq!((passed.len(), denied.len()), (1, COPIES - 1));
    passed[0].allowed();
    for answer in denied {
        answer.denied("proof_replayed", 401);
    }
}

#[tokio::test]
async fn a_copy_through_another_envoy_of_the_same_point_is_a_replay() {
    let lab = visit();
    let request = dpop().build();
    lab.raw.send(&request).await.allowed();
    lab.joined.send(&request).await.denied("proof_replayed", 401);
}
