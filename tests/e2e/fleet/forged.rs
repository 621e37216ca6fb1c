//! Somebody who can write to Redis, and has no key of the fleet: nothing is revoked by it, and nothing is taken back.

use keybound::edge::clock;
use keybound::edge::revocations::fleet::mac::FleetKeys;
use serde_json::{Value, json};

use super::{KEY, NOTICED, Replica, at, fleet, id_of, named, plan};
use crate::lab::redis::Redis;
use crate::lab::{Plan, until};
use crate::requests::ISSUER;

const ALL: &[u8] = b"{keybound:revocations}:all";
const NEWS: &[u8] = b"{keybound:revocations}:news";
/// Of an entry that nobody has asked for.
const FORGED: &str = "f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0";

/// Puts something into the hash and into the stream.
fn write(redis: &Redis, place: &str, value: &[u8]) {
    redis.ask_bytes(&[b"HSET", ALL, place.as_bytes(), value]);
    redis.ask_bytes(&[b"XADD", NEWS, b"*", place.as_bytes(), value]);
}

fn time() -> String {
    let now = time::OffsetDateTime::from_unix_timestamp(clock::now()).unwrap();
    now.format(&time::format_description::well_known::Rfc3339).unwrap()
}

/// Revokes every token of the tests' client.
fn entry(id: &str) -> Value {
    json!({ "entry": {
        "id": id, "source": "admin", "target": { "kind": "client", "issuer": ISSUER, "client_id": "robot" },
        "reported_at": time(), "asked_at": time(), "asked_by": "soc", "reason": "forged",
    } })
}

fn cancel(id: &str) -> Value {
    json!({ "cancel": { "entry": id, "source": "admin", "asked_at": time(), "asked_by": "soc", "reason": "forged" } })
}

fn keys(secret: &str) -> FleetKeys {
    FleetKeys::new(&[secret.as_bytes().to_vec()])
}

/// Nothing has changed: what is revoked is denied, all else passes.
async fn nothing_has_changed(replicas: &[&Replica], revoked: &[&str]) {
    for replica in replicas {
        for jti in revoked {
            replica.judges(&named(jti)).await.denied("token_revoked", 401);
        }
        assert_eq!(replica.judges(&named("of-nobody")).await.slug, "allowed", "{}", replica.standing());
    }
}

fn counted(replica: &Replica, why: &str) {
    until(why, NOTICED, || {
        (replica.metric("keybound_revocations_received_total", &[("outcome", why)]) > 0.9).then_some(())
    });
}

#[tokio::test]
async fn who_has_no_key_of_the_fleet_can_neither_revoke_nor_take_back() {
    let redis = Redis::start("forged-redis", &[]);
    let plan = plan(&at(&redis), "");
    let [one, two] = fleet("forged", &plan);
    let replicas = [&one, &two];
    let id = id_of(&one.revoke("revoked"));
    two.refuses("revoked").await;
    let good = redis.ask_bytes(&[b"HGET", ALL, id.as_bytes()]);
    assert_eq!(keys(KEY).open("keybound", &good).map(<[u8]>::is_empty), Some(false), "it is what we think it is");
    let text = |value: Value| value.to_string().into_bytes();
    let cancelled = format!("{id}/cancel/admin");
    for (place, value) in [
        (FORGED, keys("TheKeyOfSomebodyElseEntirely0000").seal("keybound", &text(entry(FORGED))).unwrap()),
        (FORGED, keys(KEY).seal("another", &text(entry(FORGED))).unwrap()),
        (FORGED, text(entry(FORGED))),
        (FORGED, [&[0; 32][..], &text(entry(FORGED))].concat()),
        (&cancelled, keys("TheKeyOfSomebodyElseEntirely0000").seal("keybound", &text(cancel(&id))).unwrap()),
        (&cancelled, keys(KEY).seal("another", &text(cancel(&id))).unwrap()),
        (&cancelled, text(cancel(&id))),
        ("", Vec::new()),
    ] {
        write(&redis, place, &value);
    }
    // Good ones in the place of others, signed ones that say nothing, and very long ones.
    write(&redis, FORGED, &good);
    write(&redis, &cancelled, &good);
    write(&redis, FORGED, &keys(KEY).seal("keybound", b"{}").unwrap());
    write(&redis, FORGED, &vec![b'x'; 10 * 1024 * 1024]);
    for why in ["unverified", "misplaced", "unreadable", "too_long"] {
        counted(&one, why);
        counted(&two, why);
    }
    nothing_has_changed(&replicas, &["revoked"]).await;
    // The follower has not stopped for any of it.
    two.revoke("afterwards");
    one.refuses("afterwards").await;
    let new = Replica::started("forged-new", &Plan { is_kept: false, ..plan });
    new.desk.lab.wait_until_ready();
    nothing_has_changed(&[&one, &two, &new], &["revoked", "afterwards"]).await;
    // One who has the key, and gives an id away twice: each keeps what it knows, and says so once.
    let twice = keys(KEY).seal("keybound", &text(entry(&id))).unwrap();
    write(&redis, &id, &twice);
    counted(&two, "conflict");
    tokio::time::sleep(NOTICED / 4).await;
    assert!((two.metric("keybound_revocations_received_total", &[("outcome", "conflict")]) - 1.0).abs() < 0.1);
    nothing_has_changed(&[&one, &two], &["revoked", "afterwards"]).await;
}

#[tokio::test]
async fn what_is_deleted_squatted_or_said_again_in_redis_changes_nothing_and_is_mended() {
    let redis = Redis::start("mended-redis", &[]);
    let plan = plan(&at(&redis), "");
    let [one, two] = fleet("mended", &plan);
    let replicas = [&one, &two];
    let [deleted, squatted] = ["deleted", "squatted"].map(|jti| id_of(&one.revoke(jti)));
    let back = id_of(&one.revoke("back"));
    for jti in ["deleted", "squatted", "back"] {
        two.refuses(jti).await;
    }
    let revoked = redis.ask_bytes(&[b"HGET", ALL, back.as_bytes()]);
    one.desk.told(&["cancel", &back, "--reason", "the exercise is over"]);
    two.lets_pass("back").await;
    let cancelled = format!("{back}/cancel/admin");
    let places = [deleted.as_bytes(), squatted.as_bytes(), cancelled.as_bytes()];
    let good = places.map(|place| redis.ask_bytes(&[b"HGET", ALL, place]));

    redis.ask_bytes(&[b"HDEL", ALL, places[0]]);
    redis.ask_bytes(&[b"HSET", ALL, places[1], b"squatted"]);
    redis.ask_bytes(&[b"HDEL", ALL, places[2]]);
    write(&redis, &back, &revoked);
    until("it is mended", NOTICED, || {
        (places.map(|place| redis.ask_bytes(&[b"HGET", ALL, place])) == good).then_some(())
    });
    nothing_has_changed(&replicas, &["deleted", "squatted"]).await;
    for replica in replicas {
        assert_eq!(replica.judges(&named("back")).await.slug, "allowed", "an old record that comes again is no news");
    }
    // A stream that takes nothing any more, and keys of another kind.
    redis.ask(&["XADD", "{keybound:revocations}:news", "18446744073709551615-18446744073709551615", "x", "y"]);
    one.revoke("endless");
    two.refuses("endless").await;
    for (key, value) in [("all", "x"), ("news", "y")] {
        let key = format!("{{keybound:revocations}}:{key}");
        redis.ask(&["DEL", &key]);
        redis.ask(&["SET", &key, value]);
        let jti = format!("over-{value}");
        two.revoke(&jti);
        one.refuses(&jti).await;
    }
    redis.ask(&["DEL", "{keybound:revocations}:epoch"]);
    redis.ask(&["RPUSH", "{keybound:revocations}:epoch", "z"]);
    two.revoke("over-z");
    one.refuses("over-z").await;
    let new = Replica::started("mended-new", &Plan { is_kept: false, ..plan });
    new.desk.lab.wait_until_ready();
    for jti in ["deleted", "squatted", "endless", "over-x", "over-y", "over-z"] {
        new.refuses(jti).await;
    }
    new.lets_pass("back").await;
}
