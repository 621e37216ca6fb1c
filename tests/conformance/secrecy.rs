//! What is presented is repeated nowhere: every row is judged again while all that could be told is kept, at the finest level, of every
//! library too, and searched for any part of a token, a proof, a certificate or a key.

#[path = "../e2e/lab/secrets.rs"]
mod secrets;

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use keybound::config::Upstream;
use keybound::edge::gate::{Gate, Partners};
use keybound::edge::jwks::Wanted;
use keybound::telemetry::metrics::Metrics;
use tracing::level_filters::LevelFilter;

use crate::family::{FAMILIES, Family};
use crate::row::Sending;
use crate::support::wire::encode;
use crate::support::{Encoding, Memory, NOW, Request, SaysThis, keys, pki};

/// All that is logged.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn keep(request: &Request) {
    for (name, value) in &request.headers {
        if ["authorization", "dpop", "client-cert", "client-cert-chain"].contains(&name.to_ascii_lowercase().as_str()) {
            secrets::keep(value);
        }
    }
    for leaf in request.certificate.into_iter().chain([&pki().client, &pki().other]) {
        secrets::keep(leaf.encoded());
        secrets::keep(leaf.pem());
        secrets::keep(&leaf.key_pem);
    }
}

fn gate(request: &Request, metrics: &Arc<Metrics>) -> Gate {
    Gate {
        snapshot: Arc::new(ArcSwap::from(request.setting.snapshot())),
        partners: Partners { introspection: SaysThis::of(request), ..Partners::alone(Memory::new(10, 100).shared()) },
        clock: || NOW,
        upstream: Upstream::default(),
        deadline: Duration::from_secs(60),
        allow_sample_percent: 100,
        wanted: Wanted::default(),
        metrics: Arc::clone(metrics),
    }
}

#[test]
fn nothing_that_is_presented_is_told_to_anybody() {
    let told = Told::default();
    let writer = told.clone();
    let subscriber: tracing::Dispatch = tracing_subscriber::fmt()
        .json()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish()
        .into();
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut answers = Vec::new();
    for row in FAMILIES.iter().flat_map(Family::table) {
        let Some(Sending::Made(make)) = row.steps.first().map(|step| &step.send) else { continue };
        let request = make(&[]).build();
        keep(&request);
        let message = encode(&request, Encoding::Raw);
        let gate = gate(&request, &metrics);
        let answer = tracing::dispatcher::with_default(&subscriber, || {
            gate.check(request.point, Ok(message.into()), Instant::now()).now_or_never().expect("nobody is asked")
        });
        answers.extend(answer.encoded());
    }
    let told = told.0.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(told.len() > 500_000, "{} bytes were logged", told.len());
    assert!(secrets::count() > 10_000, "{} pieces are looked for", secrets::count());
    let token = crate::support::good().build().headers.into_iter().find(|(name, _)| name == "authorization").unwrap().1;
    secrets::keep(&token);
    assert!(secrets::find(&[b"before ", &token[9..], b" after"].concat()).is_some(), "the search finds what it is for");
    for (what, text) in [("logs", &told[..]), ("metrics", metrics.text().as_bytes()), ("answers", &answers)] {
        if let Some(at) = secrets::find(text) {
            let around = String::from_utf8_lossy(&text[at.saturating_sub(60)..(at + 10).min(text.len())]).into_owned();
            panic!("a secret is in the {what}, after: {around}");
        }
    }
    assert!(!String::from_utf8_lossy(&told).contains(keys().client.jwk()["x"].as_str().unwrap()), "a key's coordinate");
}
