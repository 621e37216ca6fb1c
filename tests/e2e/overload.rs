//! More checks than may be in flight: those over the bound are denied at once, none is allowed wrongly, and it is over at once.

use futures_util::future::join_all;

use crate::lab::{Lab, Plan};
use crate::requests::{ITEMS, dpop, mtls};
use crate::send::direct::framed;
use crate::send::{Answer, Direct, http2};
use crate::support::Encoding;
use crate::support::wire::encode;

fn plan() -> Plan {
    Plan { in_flight: 1, ..Plan::default() }
}

#[tokio::test]
async fn what_is_over_the_bound_is_shed_with_a_code() {
    let lab = Lab::ready("shed", &plan());
    let edge = lab.edge();
    let direct = Direct::tcp(lab.ports.check).await;
    let message = framed(0, &encode(&dpop().build(), Encoding::Raw));
    // One call takes the only place for as long as its message is incomplete.
    let mut slow = direct.open(&[]).await;
    slow.send(message[..200].to_vec());
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let shed = dpop().build();
    for _ in 0..3 {
        edge.send(&shed).await.denied("fault_overloaded", 503);
        direct.check(&mtls().build(), Encoding::Raw).await.denied("fault_overloaded", 503);
    }
    slow.send(message[200..].to_vec());
    slow.finish().await.judged().allowed();
    // Over at once, and nothing that was shed has spent its proof.
    edge.send(&shed).await.allowed();
    direct.check(&mtls().build(), Encoding::Raw).await.allowed();
}

#[tokio::test]
async fn whole_checks_that_come_at_once_are_in_flight_at_once() {
    let lab = Lab::ready("burst", &Plan { in_flight: 2, ..Plan::default() });
    let direct = Direct::tcp(lab.ports.check).await;
    let requests: Vec<_> = (0..200).map(|_| mtls().build()).collect();
    let answers = join_all(requests.iter().map(|request| direct.check(request, Encoding::Raw))).await;
    let shed = answers.iter().filter(|judged| judged.slug == "fault_overloaded").count();
    let allowed = answers.iter().filter(|judged| judged.slug == "allowed").count();
    assert_eq!(shed + allowed, answers.len());
    assert!(shed > 100 && allowed >= 2, "{shed} shed, {allowed} allowed");
}

#[tokio::test]
async fn a_storm_is_shed_and_passes() {
    let lab = Lab::ready("storm", &plan());
    let edge = lab.edge();
    let clients: Vec<_> = (0..8).map(|_| http2::client(&edge, ITEMS)).collect();
    for client in &clients {
        let (sent, response) = http2::exchange(&edge, client, &dpop().build()).await;
        Answer::of(&edge, &sent, response).allowed();
    }
    let bad = |good: crate::support::Good| good.scheme("Bearer").without("dpop");
    let requests: Vec<_> =
        (0..240).map(|turn| if turn % 2 == 0 { dpop().build() } else { bad(dpop()).build() }).collect();
    let storm = requests.iter().enumerate().map(|(turn, request)| http2::exchange(&edge, &clients[turn % 8], request));
    let answers = join_all(storm).await;
    for (turn, (sent, response)) in answers.into_iter().enumerate() {
        let answer = Answer::of(&edge, &sent, response);
        match (answer.code(), turn % 2) {
            ("fault_overloaded", _) => drop(answer.denied("fault_overloaded", 503)),
            (_, 0) => drop(answer.allowed()),
            (_, _) => drop(answer.denied("binding_scheme_mismatch", 401)),
        }
    }
    edge.send(&dpop().build()).await.allowed();
}
