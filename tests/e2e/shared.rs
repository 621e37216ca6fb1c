//! Replicas that share spent proofs: two keybounds, each behind an Envoy of its own, and one Redis. Whatever becomes of it, no proof
//! passes that may have passed before.

pub mod secure;

use std::time::Duration;

use futures_util::future::join_all;
use keybound::edge::clock;

use crate::lab::redis::{Cluster, Redis};
use crate::lab::{Edge, Lab, Plan, place, until};
use crate::requests::{ITEMS, dpop, dpop_with_nonce, mtls};
use crate::send::{Answer, http2};
use crate::support::Request;

const COPIES: usize = 100;
/// What the labs' proofs may be ahead, and what clocks may differ by: so long proofs are refused after a loss.
const REFUSED: i64 = 1 + 2;

/// A replica and its Envoy.
struct Replica {
    lab: Lab,
    edge: Edge,
}

impl Replica {
    fn ready(name: &str, plan: &Plan) -> Self {
        let lab = Lab::ready(name, plan);
        let edge = lab.edge();
        Self { lab, edge }
    }

    async fn send(&self, request: &Request) -> Answer {
        self.edge.send(request).await
    }

    /// What `/readyz` says beside being ready.
    fn standing(&self) -> String {
        let (status, _, body) = crate::lab::told::get(self.lab.ports.probes, "probes", "/readyz").expect("an answer");
        assert_eq!(status, 200, "it stays ready: {body}");
        body.lines().find_map(|line| line.strip_prefix("spent proofs: ")).expect("how it stands").to_owned()
    }

    fn stands(&self, state: &str) {
        until(state, Duration::from_secs(20), || self.standing().starts_with(state).then_some(()));
    }
}

fn plan(redis: &str, spent: &str) -> Plan {
    Plan {
        proofs: format!(", spent: {{ store: redis{spent} }}"),
        // An unoptimised keybound on a busy machine.
        sections: format!("redis: {{ {redis}, timeout_milliseconds: 1000 }}\n"),
        ..Plan::default()
    }
}

fn at(redis: &Redis) -> String {
    format!("addresses: [\"{}\"]", redis.address())
}

fn fleet(name: &str, plan: &Plan) -> [Replica; 2] {
    ["a", "b"].map(|replica| Replica::ready(&format!("{name}-{replica}"), plan))
}

/// When proofs that are made now are refused no more, because of a loss that was noticed by now.
async fn refused_no_more() {
    let until = clock::now() + REFUSED;
    while clock::now() <= until {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Copies of one proof, at both replicas at once: one passes, the others are replays.
async fn exactly_one_passes(replicas: &[Replica; 2]) -> Request {
    let clients = replicas.each_ref().map(|replica| http2::client(&replica.edge, ITEMS));
    // The connections are up before the race begins.
    for (replica, client) in replicas.iter().zip(&clients) {
        let (sent, response) = http2::exchange(&replica.edge, client, &dpop().build()).await;
        Answer::of(&replica.edge, &sent, response).allowed();
    }
    let request = dpop().build();
    let copies = (0..COPIES).map(|copy| {
        let (replica, client, request) = (&replicas[copy % 2], &clients[copy % 2], &request);
        async move {
            let (sent, response) = http2::exchange(&replica.edge, client, request).await;
            (&replica.edge, sent, response)
        }
    });
    let answers = join_all(copies).await;
    let answers = answers.into_iter().map(|(edge, sent, response)| Answer::of(edge, &sent, response));
    let (passed, denied): (Vec<_>, Vec<_>) = answers.partition(|answer| answer.response.status == 200);
    assert_eq!((passed.len(), denied.len()), (1, COPIES - 1));
    passed[0].allowed();
    for answer in denied {
        answer.denied("proof_replayed", 401);
    }
    request
}

#[tokio::test]
async fn one_proof_passes_once_in_a_fleet_and_a_replica_that_joins_it_knows() {
    let redis = Redis::start("fleet-redis", &[]);
    let plan = Plan { future_skew_seconds: 5, ..plan(&at(&redis), "") };
    let replicas = fleet("fleet", &plan);
    let spent = exactly_one_passes(&replicas).await;
    let with_nonce = dpop_with_nonce(clock::now()).build();
    replicas[0].send(&with_nonce).await.allowed();
    replicas[1].send(&with_nonce).await.denied("proof_replayed", 401);

    // One that starts against what is known need not wait, and forgets nothing.
    replicas[0].lab.keybound().kill();
    replicas[1].send(&spent).await.denied("proof_replayed", 401);
    let begun = std::time::Instant::now();
    replicas[0].lab.start_again();
    replicas[0].lab.wait_until_ready();
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited for a watermark: {:?}", begun.elapsed());
    until("Envoy finds it", Duration::from_secs(10), || {
        std::net::TcpStream::connect(("127.0.0.1", replicas[0].lab.ports.check)).ok()
    });
    replicas[0].send(&spent).await.denied("proof_replayed", 401);
    let fresh = dpop().build();
    replicas[0].send(&fresh).await.allowed();
    replicas[1].send(&fresh).await.denied("proof_replayed", 401);
}

#[tokio::test]
async fn one_proof_passes_once_through_a_cluster() {
    let cluster = Cluster::start("cluster-redis", 0);
    let password = place::directory("cluster-password").join("password");
    std::fs::write(&password, secure::PASSWORD).unwrap();
    for node in &cluster.0 {
        secure::let_in(node, &["+cluster|slots", "+cluster|info"]);
    }
    let section = format!(
        "mode: cluster, addresses: [{}], username: keybound, password_file: {}",
        cluster.addresses(),
        password.display()
    );
    let replicas = fleet("cluster", &plan(&section, ""));
    for _ in 0..5 {
        exactly_one_passes(&replicas).await;
    }
    let holds = cluster.0.iter().map(|node| node.ask(&["DBSIZE"]).parse::<usize>().unwrap());
    assert!(holds.clone().filter(|proofs| *proofs > 1).count() > 1, "they are spread: {:?}", holds.collect::<Vec<_>>());
}

#[tokio::test]
async fn while_redis_is_away_proofs_are_denied_and_certificates_are_served() {
    let redis = Redis::start("deny-redis", &[]);
    let replicas = fleet("deny", &plan(&at(&redis), ""));
    let [one, two] = &replicas;
    let spent = dpop().build();
    one.send(&spent).await.allowed();

    // The way to it breaks: nothing is lost.
    redis.stop();
    for replica in &replicas {
        replica.send(&dpop().build()).await.denied("fault_spent_store_unavailable", 503);
        replica.send(&spent).await;
        replica.stands("unavailable");
        // Its own memory may know what it saw itself, on a worker that has not found out yet.
        let answer = replica.send(&spent).await;
        assert!(["fault_spent_store_unavailable", "proof_replayed"].contains(&answer.code()), "{answer:?}");
        assert!(answer.reached.is_none(), "{answer:?}");
        replica.send(&dpop().build()).await.denied("fault_spent_store_unavailable", 503);
        replica.send(&mtls().build()).await.allowed();
        assert!(replica.lab.metric("keybound_proofs_shared", &[]) == 0.0);
    }
    redis.go_on();
    for replica in &replicas {
        replica.stands("shared");
        replica.send(&spent).await.denied("proof_replayed", 401);
        assert!(replica.lab.metric("keybound_proofs_shared", &[]) > 0.0);
    }
    let fresh = dpop().build();
    two.send(&fresh).await.allowed();
    one.send(&fresh).await.denied("proof_replayed", 401);

    // It dies, and another one comes that knows nothing.
    redis.kill();
    for replica in &replicas {
        replica.send(&dpop().build()).await.denied("fault_spent_store_unavailable", 503);
    }
    redis.start_again();
    for replica in &replicas {
        replica.stands("shared");
        for request in [&spent, &fresh, &dpop().build()] {
            let answer = replica.send(request).await;
            // Its own memory may know what it saw itself.
            assert!(["proof_predates_memory", "proof_replayed"].contains(&answer.code()), "{answer:?}");
        }
        replica.send(&dpop_with_nonce(clock::now()).build()).await.denied("proof_nonce_required", 401);
    }
    refused_no_more().await;
    exactly_one_passes(&replicas).await;
    two.send(&spent).await.denied("proof_predates_memory", 401);
}

#[tokio::test]
async fn an_emptied_redis_is_noticed_by_the_next_proof() {
    let redis = Redis::start("flushed-redis", &[]);
    let replicas = fleet("flushed", &plan(&at(&redis), ""));
    let [one, two] = &replicas;
    let spent = dpop().build();
    one.send(&spent).await.allowed();
    let losses = two.lab.metric("keybound_proofs_losses_total", &[]);
    redis.ask(&["FLUSHALL"]);
    // The very proof that was spent, and at the replica that did not see it.
    two.send(&spent).await.denied("proof_predates_memory", 401);
    one.send(&dpop().build()).await.denied("proof_predates_memory", 401);
    assert!(two.lab.metric("keybound_proofs_losses_total", &[]) > losses);
    refused_no_more().await;
    let fresh = dpop().build();
    one.send(&fresh).await.allowed();
    two.send(&fresh).await.denied("proof_replayed", 401);
    two.send(&spent).await.denied("proof_predates_memory", 401);
}

#[tokio::test]
async fn replicas_that_go_on_alone_say_so_and_accept_a_proof_once_each_at_most() {
    let redis = Redis::start("local-redis", &[]);
    let replicas = fleet("local", &plan(&at(&redis), ", on_unavailable: local"));
    let [one, two] = &replicas;
    let spent = dpop().build();
    one.send(&spent).await.allowed();
    redis.stop();
    for replica in &replicas {
        replica.stands("local");
        // What may have been used elsewhere before is refused.
        let answer = replica.send(&spent).await;
        answer.denied("proof_predates_memory", 401);
        assert_eq!((&answer.decision["spent"], &answer.log_line()["spent"]), (&"local".into(), &"local".into()));
        assert!(replica.lab.metric("keybound_proofs_local", &[]) > 0.0);
    }
    refused_no_more().await;
    let alone = dpop().build();
    for replica in &replicas {
        let answer = replica.send(&alone).await;
        answer.allowed();
        assert_eq!(answer.decision["spent"], "local");
        replica.send(&alone).await.denied("proof_replayed", 401);
    }
    let of_one = dpop().build();
    one.send(&of_one).await.allowed();
    redis.go_on();
    for replica in &replicas {
        replica.stands("shared");
        for request in [&spent, &alone, &of_one] {
            replica.send(request).await.denied("proof_predates_memory", 401);
        }
        assert!(replica.lab.metric("keybound_proofs_local", &[]) == 0.0);
    }
    refused_no_more().await;
    let answer = two.send(&dpop().build()).await;
    answer.allowed();
    assert!(answer.decision["spent"].is_null(), "{answer:?}");
    exactly_one_passes(&replicas).await;
}

#[tokio::test]
async fn a_redis_that_may_forget_is_refused_at_the_start() {
    let redis = Redis::start("evicting-redis", &["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let lab = Lab::started("evicting", &plan(&at(&redis), ""));
    let status = lab.keybound().wait(Duration::from_secs(10));
    assert!(!status.success(), "{status}");
    let said = std::fs::read_to_string(lab.log()).unwrap();
    assert!(said.contains("must not remember spent proofs: it evicts (allkeys-lru)"), "{said}");
}

#[tokio::test]
async fn without_redis_a_replica_is_not_ready_until_it_has_found_it() {
    let redis = Redis::start("late-redis", &[]);
    redis.kill();
    let lab = Lab::started("late", &plan(&at(&redis), ""));
    let readyz = || crate::lab::told::get(lab.ports.probes, "probes", "/readyz");
    let (status, _, body) = until("it says why", Duration::from_secs(20), || {
        readyz().filter(|(_, _, body)| body.contains("nobody listens there"))
    });
    assert_eq!(status, 503);
    assert!(body.starts_with("the memory of spent proofs cannot be used: 127.0.0.1:"), "{body}");
    redis.start_again();
    lab.wait_until_ready();
    let edge = lab.edge();
    edge.send(&dpop().build()).await.allowed();
}
