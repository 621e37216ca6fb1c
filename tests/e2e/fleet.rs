//! Replicas that tell each other of revocations: two keybounds, each with a journal of its own and an Envoy in front, and one Redis.
//! Whatever becomes of it, what was revoked at one is refused at all, and nobody without a key of the fleet revokes or takes back.

mod forged;
mod loss;
mod many;
mod secure;

use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::redis::Redis;
use crate::lab::{Edge, Plan, place, secrets, told, until};
use crate::requests::{ISSUER, mtls};
use crate::revocation::Desk;
use crate::send::direct::Judged;
use crate::send::{Answer, Direct};
use crate::support::{Encoding, Request};

/// The fleet's key: a text, so that it could be found if it were told anywhere.
pub const KEY: &str = "KeyOfTheFleetOfTheEndToEndTests0";
/// A fleet on a busy machine has noticed something by then.
const NOTICED: Duration = Duration::from_secs(20);

/// A replica and, where somebody asks through one, its Envoy.
struct Replica {
    desk: Desk,
    edge: Option<Edge>,
}

impl Replica {
    fn started(name: &str, plan: &Plan) -> Self {
        let directory = place::directory(name);
        std::fs::write(directory.join("fleet.key"), KEY).unwrap();
        secrets::keep(KEY);
        Self { desk: Desk::started(name, plan.clone()), edge: None }
    }

    /// With an Envoy in front.
    fn with_edge(mut self) -> Self {
        self.edge = Some(self.desk.lab.edge());
        self
    }

    async fn direct(&self) -> Direct {
        Direct::tcp(self.desk.lab.ports.check).await
    }

    /// What it says of a request, without an Envoy.
    async fn judges(&self, request: &Request) -> Judged {
        self.direct().await.check(request, Encoding::Raw).await
    }

    /// What comes of a request that goes through its Envoy.
    async fn send(&self, request: &Request) -> Answer {
        self.edge.as_ref().expect("an Envoy").send(request).await
    }

    /// Waits until the token of this name is refused here.
    async fn refuses(&self, jti: &str) {
        self.comes_to(jti, "token_revoked").await;
    }

    async fn lets_pass(&self, jti: &str) {
        self.comes_to(jti, "allowed").await;
    }

    async fn comes_to(&self, jti: &str, slug: &str) {
        let (direct, begun, request) = (self.direct().await, std::time::Instant::now(), named(jti));
        loop {
            let judged = direct.check(&request, Encoding::Raw).await;
            if judged.slug == slug {
                return;
            }
            assert!(begun.elapsed() < NOTICED, "{jti}: {judged:?} instead of {slug}; {}", self.standing());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Revokes the token of this name, and what is told of it.
    fn revoke(&self, jti: &str) -> Value {
        let arguments = ["token", "--issuer", ISSUER, "--jti", jti, "--reason", "an exercise"];
        self.desk.told(&arguments)
    }

    /// What `/readyz` says of the fleet.
    fn standing(&self) -> String {
        let answer = told::get(self.desk.lab.ports.probes, "probes", "/readyz");
        let (_, _, body) = answer.unwrap_or_default();
        let line = body.lines().find_map(|line| line.strip_prefix("revocations of the fleet: ").map(str::to_owned));
        line.unwrap_or(body)
    }

    fn stands(&self, words: &str) {
        until(words, NOTICED, || self.standing().contains(words).then_some(()));
    }

    fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.desk.lab.metric(name, labels)
    }
}

/// A request whose token has this name.
fn named(jti: &str) -> Request {
    let jti = jti.to_owned();
    mtls().token(move |token| token.claims["jti"] = json!(jti)).build()
}

/// `more` are keys of `revocations.shared`, each after a comma.
fn plan(redis: &str, more: &str) -> Plan {
    Plan {
        revocations: format!("shared: {{ key_files: [fleet.key]{more} }}"),
        sections: format!("redis: {{ {redis} }}\n"),
        ..Plan::default()
    }
}

fn at(redis: &Redis) -> String {
    format!("addresses: [\"{}\"]", redis.address())
}

fn id_of(told: &Value) -> String {
    told["entry"]["id"].as_str().expect("an id").to_owned()
}

/// Replicas that start together.
fn fleet<const N: usize>(name: &str, plan: &Plan) -> [Replica; N] {
    let replicas = core::array::from_fn(|number| Replica::started(&format!("{name}-{number}"), plan));
    for replica in &replicas {
        replica.desk.lab.wait_until_ready();
    }
    replicas
}

#[tokio::test]
async fn what_is_revoked_at_one_replica_is_denied_at_the_other_and_taken_back_at_any() {
    let redis = Redis::start("told-redis", &[]);
    let [one, two] = fleet("told", &plan(&at(&redis), ""));
    let (one, two) = (one.with_edge(), two.with_edge());
    let request = named("t-1");
    for replica in [&one, &two] {
        replica.send(&request).await.allowed();
    }
    let told = one.revoke("t-1");
    assert_eq!((&told["shared"], &told["stored"]), (&json!(true), &json!(true)), "{told}");
    one.send(&request).await.denied("token_revoked", 401);
    two.refuses("t-1").await;
    let answer = two.send(&request).await;
    answer.denied("token_revoked", 401);
    let id = id_of(&told);
    assert_eq!(answer.decision["revocation"], id.as_str());
    // Who has it from another keeps it as its own.
    let shown =
        until("it is stored", NOTICED, || Some(two.desk.done(&["show", &id])).filter(|shown| shown["stored"] == true));
    assert_eq!((&shown["entry"], &shown["state"]), (&told["entry"], &json!("in_force")), "{shown}");
    assert!(two.metric("keybound_revocation_propagation_seconds_count", &[("origin", "fleet")]) > 0.9);
    assert!(two.metric("keybound_revocations_received_total", &[("outcome", "new")]) > 0.9);
    let (output, said) = two.desk.says(&["cancel", &id, "--reason", "the exercise is over"]);
    assert!(output.success() && said.contains("Redis has it for the other replicas"), "{said}");
    for replica in [&one, &two] {
        replica.lets_pass("t-1").await;
        replica.send(&request).await.allowed();
    }
    assert_eq!(one.desk.done(&["show", &id])["state"], "cancelled");
    // Nobody sends on what others have sent.
    for replica in [&one, &two] {
        assert!((replica.metric("keybound_revocations_told_total", &[("why", "new")]) - 1.0).abs() < 0.1);
    }
    assert_eq!(redis.ask(&["HLEN", "{keybound:revocations}:all"]), "2");
}
