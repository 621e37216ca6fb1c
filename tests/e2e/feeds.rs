//! Keys by URL and by discovery, from a server that is late, broken, hostile or gone.

mod source;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;

use self::source::{Odd, Source};
use crate::lab::files::{Plan, bundle, issuer};
use crate::lab::place::free_port;
use crate::lab::{Lab, told, until};
use crate::requests::{ISSUER, dpop_of};
use crate::send::Direct;
use crate::support::issuers::KID;
use crate::support::{Encoding, Request, fresh_id, keys};

const COOLDOWN: Duration = Duration::from_secs(1);
/// A cooldown, a fetch, and a busy machine.
const FETCH: Duration = Duration::from_secs(8);

/// Two issuers whose keys one server has: by URL, and by discovery.
struct Feeding {
    lab: Lab,
    port: u16,
}

impl Feeding {
    fn started(name: &str) -> Self {
        let port = free_port();
        let loopback = ", allow_loopback_http: true";
        let by_url = issuer(ISSUER, &format!("url: \"http://127.0.0.1:{port}/jwks\""), loopback);
        let by_discovery = issuer(&source::tenant(port), "discovery: true", loopback);
        let both = format!("issuers: [\"{ISSUER}\", \"{}\"]", source::tenant(port));
        let mut files = bundle();
        let apis = files.get_mut("apis.yaml").expect("an inventory");
        *apis = apis.replace(&format!("issuers: [\"{ISSUER}\"]"), &both);
        let plan = Plan {
            issuers: by_url + &by_discovery,
            sections: "jwks: { cooldown_seconds: 1, refresh_seconds: 300, cache_directory: \"{directory}/cache\" }\n"
                .to_owned(),
            bundle: files,
            ..Plan::default()
        };
        std::fs::create_dir_all(crate::lab::place::directory(name).join("cache")).expect("a directory");
        Self { lab: Lab::started(name, &plan), port }
    }

    async fn direct(&self) -> Direct {
        Direct::tcp(self.lab.ports.check).await
    }

    fn of_url(_: &Self) -> Request {
        dpop_of(ISSUER, KID, &keys().server)
    }

    fn of_discovery(&self) -> Request {
        dpop_of(&source::tenant(self.port), KID, &keys().second)
    }

    async fn both_allowed(&self) {
        let direct = self.direct().await;
        direct.check(&Self::of_url(self), Encoding::Raw).await.allowed();
        direct.check(&self.of_discovery(), Encoding::Raw).await.allowed();
    }

    /// Waits until tokens of both issuers are judged.
    async fn until_both_allowed(&self) {
        let direct = self.direct().await;
        for make in [Self::of_url, Self::of_discovery] {
            let begun = Instant::now();
            while direct.check(&make(self), Encoding::Raw).await.slug != "allowed" {
                assert!(begun.elapsed() < FETCH, "no keys yet");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Has both issuers' keys fetched once more; whether that was taken is in the metric.
    async fn ask(&self) {
        let direct = self.direct().await;
        for (issuer, key) in [(ISSUER.to_owned(), &keys().server), (source::tenant(self.port), &keys().second)] {
            let unknown = dpop_of(&issuer, &fresh_id(), key);
            direct.check(&unknown, Encoding::Raw).await.denied("token_key_unknown", 401);
        }
    }

    fn loads(&self, outcome: &str) -> f64 {
        self.lab.metric("keybound_loads_total", &[("what", "keys"), ("outcome", outcome)])
    }
}

#[tokio::test]
async fn a_dead_issuer_takes_nobody_down_and_is_served_when_it_comes_back() {
    let feeding = Feeding::started("late");
    // Ready after one try: others' tokens need not wait.
    feeding.lab.wait_until_ready();
    assert!(feeding.loads("refused") >= 2.0);
    let direct = feeding.direct().await;
    for request in [Feeding::of_url(&feeding), feeding.of_discovery()] {
        direct.check(&request, Encoding::Raw).await.denied("fault_keys_unavailable", 503);
    }
    let failed = |issuer: String, words: &'static str| {
        let told = told::line("a line in the log", feeding.lab.log(), |line| {
            line["issuer"] == issuer.as_str() && line["message"].as_str().is_some_and(|said| said.contains(words))
        });
        let why = told["why"].as_str().expect("a cause");
        assert!(why.contains(&format!("http://127.0.0.1:{}/", feeding.port)) && why.contains("refused"), "{told}");
    };
    failed(ISSUER.to_owned(), "could not be fetched and there are none");
    failed(source::tenant(feeding.port), "could not be fetched and there are none");
    let source = Source::start(feeding.port);
    feeding.until_both_allowed().await;
    // It dies: decisions go on.
    drop(source);
    feeding.both_allowed().await;
    let refused = feeding.loads("refused");
    feeding.ask().await;
    until("a fetch that fails", FETCH, || (feeding.loads("refused") >= refused + 2.0).then_some(()));
    failed(ISSUER.to_owned(), "the last good ones stay");
    feeding.both_allowed().await;

    // A start while it is dead: what was fetched before is on disk.
    feeding.lab.keybound().kill();
    feeding.lab.start_again();
    feeding.lab.wait_until_ready();
    feeding.both_allowed().await;
}

#[tokio::test]
async fn a_silent_issuer_delays_readiness_by_one_try_at_most() {
    let feeding = Feeding::started("silent-issuer");
    // Connections are taken by the system and nobody answers.
    let silent = TcpListener::bind(("127.0.0.1", feeding.port)).expect("the port of the issuer");
    feeding.lab.wait_until_ready();
    let direct = feeding.direct().await;
    direct.check(&feeding.of_discovery(), Encoding::Raw).await.denied("fault_keys_unavailable", 503);
    drop(silent);
}

#[tokio::test]
async fn unknown_key_ids_are_no_storm_of_fetches() {
    let feeding = Feeding::started("kids");
    let source = Source::start(feeding.port);
    feeding.lab.wait_until_ready();
    feeding.until_both_allowed().await;
    let (before, begun) = (source.fetches("/jwks"), Instant::now());
    let direct = feeding.direct().await;
    for _ in 0..20 {
        let storm = (0..50).map(|_| {
            let direct = direct.clone();
            async move {
                let unknown = dpop_of(ISSUER, &fresh_id(), &keys().server);
                direct.check(&unknown, Encoding::Raw).await.denied("token_key_unknown", 401);
            }
        });
        join_all(storm).await;
    }
    tokio::time::sleep(COOLDOWN).await;
    let cooldowns = begun.elapsed().as_millis() / COOLDOWN.as_millis() + 1;
    let fetched = source.fetches("/jwks") - before;
    assert!(fetched >= 1 && fetched as u128 <= cooldowns, "{fetched} fetches in {cooldowns} cooldowns");
    // Other issuers were left alone, and issuers that nobody configured are fetched from nowhere.
    let tenants = source.fetches("/tenant/jwks");
    let strange = dpop_of(&format!("http://127.0.0.1:{}/strange", feeding.port), KID, &keys().server);
    direct.check(&strange, Encoding::Raw).await.denied("token_issuer_unknown", 401);
    assert_eq!(source.fetches("/strange"), 0);
    assert_eq!(source.fetches("/tenant/jwks"), tenants);
    feeding.both_allowed().await;
}

#[tokio::test]
async fn a_key_that_is_new_is_known_soon_after_it_is_first_named() {
    let feeding = Feeding::started("new-key");
    let source = Source::start(feeding.port);
    feeding.lab.wait_until_ready();
    feeding.until_both_allowed().await;
    source.add_key("second-key", &keys().stranger);
    let direct = feeding.direct().await;
    let with_new_key = || dpop_of(ISSUER, "second-key", &keys().stranger);
    direct.check(&with_new_key(), Encoding::Raw).await.denied("token_key_unknown", 401);
    let begun = Instant::now();
    while direct.check(&with_new_key(), Encoding::Raw).await.slug != "allowed" {
        assert!(begun.elapsed() < FETCH, "the new key is not known");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn odd_answers_leave_the_last_good_keys() {
    let feeding = Feeding::started("odd");
    let source = Source::start(feeding.port);
    feeding.lab.wait_until_ready();
    feeding.until_both_allowed().await;
    for odd in Odd::SILENT {
        let refused = feeding.loads("refused");
        source.answer(odd);
        feeding.ask().await;
        until(&format!("{odd:?} is refused"), FETCH, || (feeding.loads("refused") >= refused + 2.0).then_some(()));
        feeding.both_allowed().await;
    }
    // Where a redirect or another issuer's document led, nobody went.
    assert_eq!(source.fetches("/elsewhere"), 0);
    // Nothing of it was kept for the next start.
    drop(source);
    let cache = std::fs::read_dir(feeding.lab.directory.join("cache")).expect("a directory").flatten();
    let kept: Vec<_> = cache.filter(|entry| entry.path().extension().is_some_and(|name| name == "json")).collect();
    assert_eq!(kept.len(), 2);
    for entry in kept {
        let text = std::fs::read(entry.path()).expect("a file");
        let kept: Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(kept["jwks"]["keys"][0]["kid"], KID);
    }
    feeding.lab.keybound().kill();
    feeding.lab.start_again();
    feeding.lab.wait_until_ready();
    feeding.both_allowed().await;
}

#[tokio::test]
async fn an_issuer_that_withdraws_its_keys_is_trusted_no_more() {
    let feeding = Feeding::started("withdrawn");
    let source = Source::start(feeding.port);
    feeding.lab.wait_until_ready();
    feeding.until_both_allowed().await;
    source.answer(Odd::NoKeys);
    feeding.ask().await;
    let direct = feeding.direct().await;
    let begun = Instant::now();
    while direct.check(&Feeding::of_url(&feeding), Encoding::Raw).await.slug != "fault_keys_unavailable" {
        assert!(begun.elapsed() < FETCH, "the old keys are still good");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Nor does the next start know them, whose source is gone.
    drop(source);
    feeding.lab.keybound().kill();
    feeding.lab.start_again();
    feeding.lab.wait_until_ready();
    let direct = feeding.direct().await;
    direct.check(&Feeding::of_url(&feeding), Encoding::Raw).await.denied("fault_keys_unavailable", 503);
}

#[tokio::test]
async fn readiness_says_what_it_waits_for_and_for_how_long() {
    let port = free_port();
    let waits = ", allow_loopback_http: true, required: true";
    let plan = Plan {
        issuers: issuer(ISSUER, &format!("url: \"http://127.0.0.1:{port}/jwks\""), waits),
        sections: "jwks: { cooldown_seconds: 1 }\n".to_owned(),
        future_skew_seconds: 5,
        ..Plan::default()
    };
    let lab = Lab::started("waits", &plan);
    let waiting = |words: &str| {
        until(words, FETCH, || {
            told::get(lab.ports.probes, "probes", "/readyz").filter(|(_, _, body)| body.contains(words))
        })
    };
    let (status, _, body) = waiting("keys of required issuers are missing");
    assert_eq!((status, body.contains(ISSUER)), (503, true), "{body}");
    let _source = Source::start(port);
    let (status, _, body) = waiting("seconds_left: ");
    assert_eq!(status, 503);
    let left: i64 = body.trim().rsplit(' ').next().unwrap().parse().unwrap();
    assert!((1..=6).contains(&left), "{body}");
    lab.wait_until_ready();
    let line = |fits: &dyn Fn(&Value) -> bool| told::line("a line in the log", lab.log(), fits);
    let told = line(&|line| line["message"] == "readiness" && line["seconds_left"].is_i64());
    assert_eq!((&told["ready"], told["why"].is_string()), (&false.into(), true), "{told}");
    line(&|line| line["message"] == "readiness" && line["ready"] == true);
    // Keys that came are told of, and where it all listens.
    let told = line(&|line| line["message"] == "new keys are served" && line["issuer"] == ISSUER);
    assert_eq!((&told["keys"], told["digest"].is_string()), (&1.into(), true), "{told}");
    let started = line(&|line| line["message"] == "started");
    let ports = [("edge", lab.ports.check), ("probes", lab.ports.probes), ("public", lab.ports.public)];
    let all = ports.map(|(name, port)| format!("{name} 127.0.0.1:{port}")).join(", ");
    assert_eq!(started["listeners"], all.as_str());
}

#[tokio::test]
async fn a_port_that_the_system_chose_is_told() {
    let listeners = "    - { name: chosen, address: \"127.0.0.1:0\" }\n".to_owned();
    let lab = Lab::ready("chosen", &Plan { listeners, ..Plan::default() });
    let started = told::line("a line in the log", lab.log(), |line| line["message"] == "started");
    let listeners = started["listeners"].as_str().expect("listeners");
    let chosen = listeners.split(", ").find_map(|listener| listener.strip_prefix("chosen 127.0.0.1:"));
    let chosen = chosen.expect("an address").parse().expect("a port");
    let request = dpop_of(ISSUER, KID, &keys().server);
    Direct::tcp(chosen).await.check(&request, Encoding::Raw).await.allowed();
}
