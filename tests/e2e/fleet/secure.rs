//! A cluster, and a Redis over TLS, with a user that may do what `docs/fleet.md` says and nothing else.

use serde_json::json;

use super::{KEY, at, fleet, plan};
use crate::lab::redis::{Cluster, Redis};
use crate::lab::{place, secrets};
use crate::shared::secure::{PASSWORD, Secure};

/// The rule that the documents state.
fn rights() -> Vec<String> {
    let text = include_str!("../../../docs/fleet.md");
    let rule = text.lines().find_map(|line| line.strip_prefix("ACL SETUSER keybound on >… "));
    rule.expect("the rule").split(' ').map(str::to_owned).collect()
}

/// A user of this name, who may do so much.
fn let_in(redis: &Redis, rights: &[String], more: &[&str]) {
    secrets::keep(PASSWORD);
    let password = format!(">{PASSWORD}");
    let user = ["ACL", "SETUSER", "keybound", "reset", "on", &password].into_iter();
    let user = user.chain(rights.iter().map(String::as_str)).chain(more.iter().copied());
    assert_eq!(redis.ask(&user.collect::<Vec<_>>()), "OK");
}

#[tokio::test]
async fn replicas_tell_each_other_over_tls_as_a_user_that_may_do_little() {
    let secure = Secure::start("fleet-secure");
    let_in(&secure.redis, &rights(), &[]);
    let [one, two] = fleet("fleet-secure", &plan(&secure.section(PASSWORD), ""));
    let told = one.revoke("secure");
    assert_eq!(told["shared"], true, "{told}");
    two.refuses("secure").await;
    two.desk.told(&["cancel", &super::id_of(&told), "--reason", "the exercise is over"]);
    one.lets_pass("secure").await;
    // Each right is needed: what it may not do is said, and what was asked is told when it may.
    let without: Vec<_> = rights().into_iter().filter(|right| right != "+hset").collect();
    let_in(&secure.redis, &without, &[]);
    assert_eq!(one.revoke("refused")["shared"], json!(false));
    one.stands("THE OTHERS ARE NOT TOLD (Redis says NOPERM)");
    two.stands("heard");
    let_in(&secure.redis, &rights(), &[]);
    two.refuses("refused").await;
    crate::lab::until("nothing is untold", super::NOTICED, || (!one.standing().contains("NOT TOLD")).then_some(()));
}

/// Moves our slot with its keys, as `redis-cli --cluster reshard` does.
fn move_slot(cluster: &Cluster, slot: &str, from: usize, to: usize) {
    let ids = [from, to].map(|node| cluster.0[node].ask(&["CLUSTER", "MYID"]));
    let (from, to) = (&cluster.0[from], &cluster.0[to]);
    assert_eq!(to.ask(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &ids[0]]), "OK");
    assert_eq!(from.ask(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &ids[1]]), "OK");
    let keys = ["all", "news", "epoch"].map(|key| format!("{{keybound:revocations}}:{key}"));
    let port = to.port.to_string();
    let moved = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS", &keys[0], &keys[1], &keys[2]];
    assert_eq!(from.ask(&moved), "OK");
    for node in [to, from].into_iter().chain(&cluster.0) {
        node.ask(&["CLUSTER", "SETSLOT", slot, "NODE", &ids[1]]);
    }
}

#[tokio::test]
async fn replicas_tell_each_other_through_a_cluster() {
    let cluster = Cluster::start("fleet-cluster-redis", 0);
    let password = place::directory("fleet-cluster-password").join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    for node in &cluster.0 {
        let_in(node, &rights(), &["+cluster|slots", "+cluster|info"]);
    }
    let section = format!(
        "mode: cluster, addresses: [{}], username: keybound, password_file: {}",
        cluster.addresses(),
        password.display()
    );
    let [one, two] = fleet("fleet-cluster", &plan(&section, ""));
    assert_eq!(one.revoke("cluster")["shared"], json!(true));
    two.refuses("cluster").await;
    let of_fleet = |node: &&Redis| node.ask(&["DBSIZE"]) != "0";
    assert_eq!(cluster.0.iter().filter(of_fleet).count(), 1, "in one slot");
    // The slot moves, and its keys with it.
    let from = cluster.0.iter().position(|node| of_fleet(&node)).unwrap();
    let slot = cluster.0[0].ask(&["CLUSTER", "KEYSLOT", "{keybound:revocations}:all"]);
    move_slot(&cluster, &slot, from, (from + 1) % 3);
    assert_eq!(two.revoke("moved").get("stored"), Some(&json!(true)));
    one.refuses("moved").await;
    two.refuses("cluster").await;
}

#[tokio::test]
async fn a_replica_with_a_key_of_its_own_is_told_nothing_and_tells_nothing() {
    let redis = Redis::start("alien-redis", &[]);
    let plan = plan(&at(&redis), "");
    let [one] = fleet("alien-one", &plan);
    let [two] = fleet("alien-two", &plan);
    // Rotation: first both know both keys, then the new one signs, then the old one goes.
    let other = "AnotherKeyOfTheFleetOfTheTests01";
    secrets::keep(other);
    std::fs::write(two.desk.lab.directory.join("fleet.key"), other).unwrap();
    two.desk.lab.keybound().signal(crate::lab::process::Signal::Hangup);
    crate::lab::told::line("new keys", two.desk.lab.log(), |line| {
        line["what"] == "fleet keys" && line["message"] == "new files are served"
    });
    one.revoke("of-one");
    two.stands("heard");
    assert_eq!(two.judges(&super::named("of-one")).await.slug, "allowed");
    crate::lab::until("it is counted", super::NOTICED, || {
        (two.metric("keybound_revocations_received_total", &[("outcome", "unverified")]) > 0.9).then_some(())
    });
    two.stands("SOME DO NOT VERIFY");
    // With the right key again everything is read again.
    std::fs::write(two.desk.lab.directory.join("fleet.key"), KEY).unwrap();
    two.refuses("of-one").await;
    assert!(two.metric("keybound_revocations_catch_ups_total", &[("reason", "keys")]) > 0.9);
}
