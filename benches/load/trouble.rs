//! What happens seldom and must not hurt: starts, rotations, reloads, overload, and neighbours that behave badly.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::answer::Expected;
use crate::bench::Bench;
use crate::cases::{POLICIES, never_seen, proofs};
use crate::figures::{Latency, Median};
use crate::load::{Flow, Opened, Shape, Shot, Span, Supply, closed, count, first_answer, open};
use crate::process::Server;
use crate::told::{Target, Told};
use crate::world::{Algorithm, Client, Options, bound, in_parallel, tokens};

type Done = Result<(), String>;

/// A supply of certificate-bound requests with so many tokens, all allowed.
fn good(count: usize) -> Supply {
    good_or(count, vec![Expected::allow()])
}

fn good_or(count: usize, expected: Vec<Expected>) -> Supply {
    let tokens = tokens(Client::Certificate, Algorithm::Es256, count);
    Supply::new(in_parallel(count, |number| bound(&tokens[number])), false, expected)
}

/// An allow, or a denial because there is too much to do.
fn allow_or_busy() -> Vec<Expected> {
    vec![Expected::allow(), Expected::denial("fault_overloaded"), Expected::denial("fault_deadline")]
}

fn denials<'s>(shots: impl IntoIterator<Item = &'s Shot>) -> usize {
    shots.into_iter().filter(|shot| shot.kind != 0).count()
}

/// From exec to the first right answer.
pub fn cold(bench: &Bench, told: &mut Told) -> Done {
    for policies in [1_000, 10_000] {
        let mut took = Vec::new();
        for _ in 0..bench.repetitions {
            let estate = bench.estate(policies, Options::default());
            let supply = good(1);
            let server = Server::keybound(&estate, &bench.server);
            took.push(first_answer(&server, &supply, &bench.load)?.as_secs_f64());
        }
        let took = Median::of(took);
        let line = format!("cold start, {policies} policies: {:.2} s to the first right answer", took.middle);
        told.say(&format!("cold_{policies}"), took.json(), line);
    }
    Ok(())
}

/// An open loop, and beside it something that happens: it says when it began and when it was over, and the loop goes on `after` it.
fn while_it_happens(
    bench: &Bench,
    (server, supply, rate): (&Server, &Supply, f64),
    (before, after): (Duration, Duration),
    event: impl FnOnce() -> Result<Instant, String> + Send,
) -> Result<(Opened, Duration, Duration), String> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (stop, all) = (&stop, &bench.load);
        let watcher = scope.spawn(move || {
            all.run(|| {
                thread::sleep(before);
                let happened = (Instant::now(), event());
                thread::sleep(after);
                stop.store(true, Ordering::Relaxed);
                happened
            })
        });
        let span = Span { at_most: Duration::from_secs(60), stop: Some(stop) };
        let opened = open(server, &[Flow { supply, rate }], bench.shape.connections, &span, &bench.load)?;
        let (from, until) = watcher.join().map_err(|_| "the watcher broke".to_owned())?;
        let (from, until) = (from - opened.begun, until? - opened.begun);
        Ok((opened, from, until))
    })
}

/// Waits until keybound says that it has taken what was changed.
fn taken(server: &Server, what: &str, before: f64) -> Result<Instant, String> {
    let until = Instant::now() + Duration::from_secs(40);
    while Instant::now() < until {
        let label = format!("what=\"{what}\"");
        if server.metric("keybound_loads_total", &[&label, "outcome=\"refused\""]) > 0.0 {
            return Err(format!("a change of {what} was refused"));
        }
        if loads(server, what) > before {
            return Ok(Instant::now());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(format!("a change of {what} was not taken within 40 seconds"))
}

fn loads(server: &Server, what: &str) -> f64 {
    server.metric("keybound_loads_total", &[&format!("what=\"{what}\""), "outcome=\"taken\""])
}

fn between(shots: &[Shot], from: Duration, until: Duration) -> Latency {
    Latency::of(shots.iter().filter(|shot| shot.due >= from && shot.due < until))
}

/// The issuer adds a key: all 1,000 known tokens are unseen at once.
pub fn rotation(bench: &Bench, told: &mut Told) -> Done {
    let (estate, server) = bench.watchful(POLICIES);
    let supply = good_or(1_000, allow_or_busy());
    bench.exhaust(&server, &supply)?;
    let rate = bench.closed(&server, &supply)?.rate * 0.25;
    let event = || {
        let so_far = loads(&server, "keys");
        estate.add_key();
        taken(&server, "keys", so_far)
    };
    let seconds = Duration::from_secs(2);
    let (opened, from, until) = while_it_happens(bench, (&server, &supply, rate), (seconds, seconds), event)?;
    let [shots] = opened.flows.as_slice() else { return Err("one flow".to_owned()) };
    // It is taken a little before it is told.
    let (before, after) = (between(shots, Duration::ZERO, from), between(shots, from, until + seconds));
    let line = format!(
        "key rotation, 1,000 known tokens at {rate:.0}/s: p99 {:.0} µs before, {:.0} µs from the change to 2 s after it was taken; {} denials",
        before.p99,
        after.p99,
        denials(shots)
    );
    told.say(
        "rotation",
        json!({"rate": rate, "before": before.json(), "after": after.json(), "denials": denials(shots)}),
        line,
    );
    Ok(())
}

/// A bundle of 10,000 policies is read anew under half load: first because a few policies changed, then because the schema did, which
/// spares nothing.
pub fn reload(bench: &Bench, told: &mut Told) -> Done {
    let (estate, server) = bench.watchful(10_000);
    let supply = good_or(1, allow_or_busy());
    let rate = bench.closed(&server, &supply)?.rate * 0.5;
    let policies = || estate.change_bundle("there");
    reloaded(bench, told, (&server, &supply, rate), ("reload", "five policies changed", &policies))?;
    let schema = || estate.change_schema();
    reloaded(bench, told, (&server, &supply, rate), ("reload_schema", "the schema changed", &schema))
}

fn reloaded(
    bench: &Bench,
    told: &mut Told,
    (server, supply, rate): (&Server, &Supply, f64),
    (key, what, change): (&'static str, &str, &(dyn Fn() + Sync)),
) -> Done {
    let event = || {
        let so_far = loads(server, "bundle");
        change();
        taken(server, "bundle", so_far)
    };
    let seconds = Duration::from_secs(2);
    let (opened, from, until) = while_it_happens(bench, (server, supply, rate), (seconds, seconds), event)?;
    let [shots] = opened.flows.as_slice() else { return Err("one flow".to_owned()) };
    let (before, during) = (between(shots, Duration::ZERO, from), between(shots, from, until));
    // A machine that stands still denies too, whatever is read.
    let denied_before = denials(shots.iter().filter(|shot| shot.due < from));
    let denied = denials(shots.iter().filter(|shot| shot.due >= from && shot.due < until));
    let ratio = during.p99 / before.p99.max(1.0);
    let took = until.saturating_sub(from).as_secs_f64();
    let line = format!(
        "reload of 10,000 policies at {rate:.0}/s, {what}: {took:.1} s, {denied} denials in {} checks ({denied_before} before); \
         p99 {:.0} µs before, {:.0} µs during",
        during.checks, before.p99, during.p99
    );
    let value = json!({"rate": rate, "seconds": took, "before": before.json(), "during": during.json(), "denials": denied, "denials_before": denied_before});
    told.say(key, value, line);
    told.targets.push(Target::at_most("reload under half load: p99 during, to before", 2.0, ratio, "×"));
    let denials = count(u64::try_from(denied).unwrap_or(u64::MAX));
    told.targets.push(Target::at_most("reload under half load: denials", 0.0, denials, ""));
    Ok(())
}

/// One client sends a never-seen token each time; the other one is good.
pub fn buster(bench: &Bench, told: &mut Told) -> Done {
    let busting = Supply::new(never_seen(20_000), true, vec![Expected::allow()]);
    let known = good(1);
    let estate = bench.estate(POLICIES, Options::default());
    let start = || Server::keybound_ready(&estate, &bench.server);
    let saturated = bench.closed(&start(), &busting)?.rate;
    let rate = bench.closed(&start(), &known)?.rate * 0.25;
    let span = Span { at_most: bench.long * 2, stop: None };
    let enough = count(u64::try_from(busting.len()).unwrap_or(u64::MAX)) / span.at_most.as_secs_f64();
    let busting_rate = (saturated * 0.25).min(enough);
    let flow = || Flow { supply: &known, rate };
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..bench.repetitions {
        // A new process has seen none of the tokens.
        let server = start();
        bench.closed(&server, &known)?;
        for (flows, latencies) in
            [(vec![flow()], &mut alone), (vec![flow(), Flow { supply: &busting, rate: busting_rate }], &mut beside)]
        {
            let opened = open(&server, &flows, bench.shape.connections, &span, &bench.load)?;
            latencies.extend(opened.flows.first().map(Latency::of));
        }
    }
    let p99 = |latencies: &[Latency]| Median::of(latencies.iter().map(|latency| latency.p99));
    let (alone, beside) = (p99(&alone), p99(&beside));
    let line = format!(
        "good client at {rate:.0}/s: p99 {:.0} µs alone, {:.0} µs beside {busting_rate:.0} never-seen tokens a second",
        alone.middle, beside.middle
    );
    let value = json!({"rate": rate, "busting_rate": busting_rate, "alone": alone.json(), "beside": beside.json()});
    told.say("buster", value, line);
    let ratio = beside.middle / alone.middle.max(1.0);
    told.targets.push(Target::at_most("good client's p99 beside a cache-buster, to alone", 2.0, ratio, "×"));
    Ok(())
}

/// Twice what the server can do, with the product's own deadline and bound.
pub fn goodput(bench: &Bench, told: &mut Told) -> Done {
    let estate = bench.estate(POLICIES, Options::as_delivered());
    let server = Server::keybound_ready(&estate, &bench.server);
    let mut all = Vec::new();
    let long = bench.long * 2;
    for _ in 0..bench.repetitions {
        let supply = Supply::new(proofs(Client::DpopEs256, 40_000), true, vec![Expected::allow()]);
        let saturated = bench.closed(&server, &supply)?.rate;
        let rate = saturated * 2.0;
        let supply =
            Supply::new(proofs(Client::DpopEs256, whole(rate * long.as_secs_f64()) + 1), true, allow_or_busy());
        let span = Span { at_most: long, stop: None };
        let opened = open(&server, &[Flow { supply: &supply, rate }], bench.shape.connections, &span, &bench.load)?;
        let [shots] = opened.flows.as_slice() else { return Err("one flow".to_owned()) };
        all.push((saturated, of_kinds(shots, saturated * long.as_secs_f64())));
    }
    let over = |number: &dyn Fn(&Kinds) -> f64| Median::of(all.iter().map(|(_, kinds)| number(kinds)));
    let share = over(&|kinds| kinds.goodput);
    let (p50, p99) = (over(&|kinds| kinds.shed.p50), over(&|kinds| kinds.shed.p99));
    let late = over(&|kinds| count(kinds.late));
    let line = format!(
        "twice the saturating load, DPoP ES256: goodput {:.2} of saturation; shed answers p50 {:.1} ms, p99 {:.1} ms after they were sent (which was late by {:.1} ms at p99); {:.0} answers past the deadline",
        share.middle,
        p50.middle / 1e3,
        p99.middle / 1e3,
        over(&|kinds| kinds.shed.lag).middle / 1e3,
        late.middle,
    );
    let saturated = Median::of(all.iter().map(|(saturated, _)| *saturated));
    let value = json!({
        "saturation": saturated.json(),
        "goodput": share.json(),
        "shed_p50_us": p50.json(),
        "shed_p99_us": p99.json(),
        "shed": over(&|kinds| count(kinds.sheds)).json(),
        "past_deadline": late.json(),
        "allowed_p99_us": over(&|kinds| kinds.allowed.p99).json(),
    });
    told.say("goodput", value, line);
    told.targets.push(Target::at_least("goodput at twice the saturating load", 0.9, share.middle, ""));
    // Where nothing was shed, nothing was shed in time.
    if all.iter().any(|(_, kinds)| kinds.sheds > 0) {
        told.targets.push(Target::at_most("shed answers, p99", 5.0, p99.middle / 1e3, " ms"));
    }
    Ok(())
}

/// What became of checks under overload.
struct Kinds {
    goodput: f64,
    allowed: Latency,
    shed: Latency,
    sheds: u64,
    late: u64,
}

fn of_kinds(shots: &[Shot], possible: f64) -> Kinds {
    let of = |kind: u8| shots.iter().filter(move |shot| shot.kind == kind);
    let number = |kind| u64::try_from(of(kind).count()).unwrap_or(u64::MAX);
    // Of a check that is refused at once, how late the sender was says nothing: its time begins when it was sent.
    let sent: Vec<_> = of(1).map(|shot| Shot { took: shot.took.saturating_sub(shot.lag), ..*shot }).collect();
    // The checks that were still waiting at the end were answered after it: as many as in flight, which the span outweighs.
    let span = shots.last().map_or(1.0, |last| last.due.as_secs_f64());
    let ended = shots.iter().map(|shot| shot.due + shot.took).max().map_or(span, |ended| ended.as_secs_f64());
    Kinds {
        goodput: count(number(0)) / possible * (span / ended.max(span)),
        allowed: Latency::of(of(0)),
        shed: Latency::of(&sent),
        sheds: number(1),
        late: number(2),
    }
}

#[allow(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
fn whole(number: f64) -> usize {
    number.max(0.0) as usize
}

/// Four connections, as of four workers of an Envoy, and all cores: does every worker of keybound work?
pub fn workers(bench: &Bench, told: &mut Told) -> Done {
    let estate = bench.estate(POLICIES, Options::default());
    let server = Server::keybound_ready(&estate, &bench.all);
    let supply = good(1);
    bench.exhaust(&server, &supply)?;
    let begun = Instant::now();
    let before = server.threads();
    let long = bench.long * 2;
    let four = Shape { connections: 4, ..bench.shape };
    let rate = closed(&server, &supply, four, (Duration::ZERO, long), &bench.all)?.rate;
    let lasted = begun.elapsed().as_secs_f64();
    let share = |(id, name, time): (String, String, Duration)| {
        let before = before.iter().find(|(known, _, _)| *known == id).map_or(Duration::ZERO, |(_, _, time)| *time);
        (name, time.saturating_sub(before).as_secs_f64() / lasted * 100.0)
    };
    let shares: Vec<_> =
        server.threads().into_iter().map(share).filter(|(name, _)| name.starts_with("keybound-work")).collect();
    let words: Vec<_> = shares.iter().map(|(_, share)| format!("{share:.0} %")).collect();
    let line = format!("4 connections, {} cores: {rate:.0}/s; workers use {}", bench.all.count(), words.join(", "));
    told.say(
        "workers",
        json!({"rate": rate, "percent": shares.iter().map(|(_, share)| share).collect::<Vec<_>>()}),
        line,
    );
    Ok(())
}

/// What one spent proof takes of memory.
pub fn memory(bench: &Bench, told: &mut Told) -> Done {
    let estate = bench.estate(POLICIES, Options::default());
    let server = Server::keybound_ready(&estate, &bench.server);
    let spend = |proofs_at_once: usize| {
        let supply = Supply::new(proofs(Client::DpopEdDsa, proofs_at_once), true, vec![Expected::allow()]);
        bench.exhaust(&server, &supply)
    };
    let entries = || server.metric("keybound_proofs_remembered", &[]);
    // Buffers and the allocator's arenas are there first.
    spend(5_000)?;
    let (resident, held) = (server.resident(), entries());
    let begun = Instant::now();
    while entries() - held < 100_000.0 && begun.elapsed() < bench.long * 25 {
        spend(10_000)?;
    }
    let (grown, more) = (server.resident().saturating_sub(resident), entries() - held);
    let each = count(grown) / more.max(1.0);
    let line = format!("memory: {each:.1} bytes for each of {more:.0} spent proofs (growth of the resident set)");
    told.say("replay_entry", json!({"bytes": each, "entries": more, "grown_bytes": grown}), line);
    told.targets.push(Target::at_most("spent proof in memory", 40.0, each, " bytes"));
    Ok(())
}

/// What one token that was seen takes of memory: told while the rows are measured.
pub fn cached_tokens(told: &mut Told, seen: usize, before: u64, after: u64) {
    let seen = u64::try_from(seen).unwrap_or(u64::MAX);
    let each = count(after.saturating_sub(before)) / count(seen.max(1));
    let line = format!("memory: {each:.0} bytes for each of {seen} distinct tokens (growth of the resident set)");
    told.say("cached_token", json!({"bytes": each, "tokens": seen}), line);
}
