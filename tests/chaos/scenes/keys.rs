//! The issuer's key server is down, slow or odd; and the disk takes no copy of its keys.

use std::os::unix::fs::symlink;
use std::time::Duration;

use super::{CALM, Fault, RATE, Row, Scene, edge, loads, plan, wait_for_line, wait_for_load};
use crate::lab::files::issuer;
use crate::lab::place::{directory, free_port};
use crate::lab::{Edge, Lab, Plan, told};
use crate::load::{Load, settle, sleep};
use crate::mix::{Kind, Must, proving, sending, steady_and};
use crate::relay::{Mode, Relay};
use crate::requests::{ISSUER, dpop, dpop_of, issued_by};
use crate::source::{Odd, Source};
use crate::support::{SigningKey, fresh_id, keys, sha256};

const REFRESH: &str = "jwks: { cooldown_seconds: 1, refresh_seconds: 300, cache_directory: \"{directory}/cache\" }\n";

const MEANWHILE: &str = "the keys that are known go on serving; a token with an unknown `kid` is denied with `token_key_unknown`; \
                         `keybound_loads_total{what=\"keys\",outcome=\"refused\"}` counts";
const AS_ABOVE: &str = "as above";
const ENDS: &str = "the next fetch, asked for by an unknown `kid` and at most one per cooldown, brings the new keys";

pub const FEED: Scene = Scene {
    faults: &[
        Fault {
            name: "keys-down",
            done: "the issuer's key server takes no connections",
            meanwhile: MEANWHILE,
            ends: ENDS,
        },
        Fault {
            name: "keys-slow",
            done: "it answers later than keybound waits (10 s)",
            meanwhile: AS_ABOVE,
            ends: AS_ABOVE,
        },
        Fault { name: "keys-garbage", done: "it answers 200 with HTML", meanwhile: AS_ABOVE, ends: AS_ABOVE },
        Fault {
            name: "keys-huge",
            done: "it answers 200 with the right keys and 10 MiB more",
            meanwhile: AS_ABOVE,
            ends: AS_ABOVE,
        },
        Fault {
            name: "keys-redirect",
            done: "it redirects to a server with somebody else's keys",
            meanwhile: "as above. Nobody goes there, and what those keys signed is denied",
            ends: AS_ABOVE,
        },
    ],
    play: odd_issuer,
};

/// An issuer whose keys are fetched through a relay.
struct Fetching {
    lab: Lab,
    relay: Relay,
    port: u16,
}

impl Fetching {
    fn ready(name: &str, source: impl FnOnce(u16) -> Source) -> (Self, Source) {
        let port = free_port();
        let relay = Relay::to(port);
        let keys = format!("url: \"http://127.0.0.1:{}/jwks\"", relay.port);
        let issuers = issuer(ISSUER, &keys, ", allow_loopback_http: true");
        std::fs::create_dir_all(directory(name).join("cache")).expect("a directory");
        let source = source(port);
        let lab = Lab::ready(name, &Plan { issuers, sections: REFRESH.to_owned(), ..plan() });
        (Self { lab, relay, port }, source)
    }
}

/// A key that the issuer does not publish yet.
struct Rotation {
    kid: String,
    key: &'static SigningKey,
}

impl Rotation {
    fn new() -> Self {
        Self { kid: fresh_id(), key: SigningKey::p256().leak() }
    }

    /// Requests with its tokens, and with tokens of keys that nobody has.
    fn kinds(&self, must: Must) -> [Kind; 2] {
        let (kid, key) = (self.kid.clone(), self.key);
        let rotated = move || dpop().token(|token| issued_by(token, ISSUER, &kid, key));
        let unknown = || dpop_of(ISSUER, &fresh_id(), &keys().server);
        [proving("rotated", 3, must, rotated), sending("unknown-kid", 1, Must::Fail, unknown)]
    }
}

fn odd_issuer() -> Vec<Row> {
    let (fetching, mut source) = Fetching::ready("issuer", Source::start);
    let edge = edge(&fetching.lab, fetching.lab.ports.check);
    let mut rows = Vec::new();
    for fault in FEED.faults {
        rows.push((fault.name, one(&fetching, &edge, &mut source, fault.name)));
    }
    rows
}

fn one(fetching: &Fetching, edge: &Edge, source: &mut Source, name: &str) -> crate::figures::Figures {
    let Fetching { lab, relay, port } = fetching;
    let next = Rotation::new();
    let load = Load::start(edge, steady_and(next.kinds(Must::Fail)), RATE);
    sleep(CALM);
    load.fault();
    let refused = loads(lab, "keys", "refused");
    match name {
        "keys-down" => {
            relay.mode(Mode::Refuse);
            relay.cut();
        }
        "keys-slow" => relay.mode(Mode::Delay(Duration::from_secs(11))),
        "keys-garbage" => source.answer(Odd::Html),
        "keys-huge" => source.answer(Odd::Huge),
        _ => source.answer(Odd::Redirect),
    }
    wait_for_load(lab, "keys", "refused", refused);
    sleep(1000);
    assert_eq!(source.fetches("/elsewhere"), 0, "it followed a redirect");
    // The server that comes back has the new key.
    load.mix(steady_and(next.kinds(Must::Either)));
    settle();
    restart(source, *port, &next);
    relay.mode(Mode::Pass);
    relay.cut();
    let taken = loads(lab, "keys", "taken");
    load.healed();
    wait_for_load(lab, "keys", "taken", taken);
    sleep(200);
    load.mix(steady_and(next.kinds(Must::Pass)));
    load.recover(Duration::from_secs(20));
    let figures = load.end();
    figures.all_of("rotated", "token_key_unknown");
    figures.all_of("unknown-kid", "token_key_unknown");
    figures.well_in_fault();
    figures
}

fn restart(source: &mut Source, port: u16, next: &Rotation) {
    // The port is free when the old one is dropped.
    let spare = free_port();
    drop(std::mem::replace(source, Source::start(spare)));
    *source = Source::start(port);
    source.add_key(&next.kid, next.key);
}

pub const CACHE: Scene = Scene {
    faults: &[
        Fault {
            name: "disk-full",
            done: "the disk that keeps the last good keys (`jwks.cache_directory`) is full",
            meanwhile: "new keys are fetched and served from memory; the log says \
                        `the last good keys could not be written to disk`",
            ends: "the next fetch writes them",
        },
        Fault {
            name: "disk-gone",
            done: "the directory of the last good keys is gone",
            meanwhile: "the same",
            ends: "the next fetch writes them",
        },
    ],
    play: no_disk,
};

fn no_disk() -> Vec<Row> {
    let (fetching, mut source) = Fetching::ready("cache", Source::start);
    let edge = edge(&fetching.lab, fetching.lab.ports.check);
    vec![
        ("disk-full", without_disk(&fetching, &edge, &mut source, true)),
        ("disk-gone", without_disk(&fetching, &edge, &mut source, false)),
    ]
}

fn without_disk(fetching: &Fetching, edge: &Edge, source: &mut Source, full: bool) -> crate::figures::Figures {
    let lab = &fetching.lab;
    let cache = lab.directory.join("cache");
    let file = cache.join(format!("{}.json", sha256(ISSUER)));
    let (away, partial) = (lab.directory.join("away"), file.with_extension("partial"));
    let (lost, found) = (Rotation::new(), Rotation::new());
    let load = Load::start(edge, steady_and(lost.kinds(Must::Fail)), RATE);
    sleep(CALM);
    assert!(file.exists(), "the keys are on disk");
    load.fault();
    let at = told::length(lab.log());
    if full {
        // Every write to this device finds it full.
        symlink("/dev/full", &partial).expect("a link");
    } else {
        std::fs::rename(&cache, &away).expect("a directory to move");
    }
    load.mix(steady_and(lost.kinds(Must::Either)));
    settle();
    restart(source, fetching.port, &lost);
    fetching.relay.cut();
    // One fetch may have been under way, with the old keys.
    wait_for_load(lab, "keys", "taken", loads(lab, "keys", "taken") + 1.0);
    wait_for_line(lab, at, "the last good keys could not be written to disk");
    sleep(200);
    load.mix(steady_and(lost.kinds(Must::Pass)));
    sleep(1500);
    if full {
        std::fs::remove_file(&partial).expect("a link to remove");
    } else {
        std::fs::rename(&away, &cache).expect("a directory to move back");
    }
    load.healed();
    load.mix(steady_and(lost.kinds(Must::Pass).into_iter().chain(found.kinds(Must::Either))));
    source.add_key(&found.kid, found.key);
    crate::lab::until("the keys are on disk", Duration::from_secs(15), || {
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        kept.contains(&found.kid).then_some(())
    });
    load.recover(Duration::from_secs(20));
    let figures = load.end();
    figures.well_in_fault();
    let rotated = figures.codes_of("rotated");
    assert!(rotated.contains_key("allowed"), "the new key was not served: {rotated:?}");
    figures
}
