//! What was measured, as a table and as a file.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::callers::Credential;
use crate::judged::Row;
use crate::measure::{Cost, Latency, SETUPS, median};
use crate::spread::{Spread, WORKERS};
use crate::stand::{POLICIES, Way};

/// So many cores may be taken by others.
const QUIET: f64 = 0.1;

/// What a run has found.
pub struct Findings {
    pub places: String,
    pub cores: usize,
    pub judged: Vec<Row>,
    /// For each setup, one of each round.
    pub costs: Vec<Vec<Cost>>,
    /// Requests a second of the open loops.
    pub rates: [f64; 2],
    /// For each setup and rate, one of each round.
    pub latencies: Vec<[Vec<Latency>; 2]>,
    pub spreads: Vec<Spread>,
    /// What Envoy's own filter had verified before.
    pub cache: (u64, u64),
    pub seconds: f64,
}

/// The setup that is the same but for who judges.
const fn without(setup: usize) -> Option<usize> {
    match setup {
        2 | 3 => Some(1),
        5 => Some(4),
        _ => None,
    }
}

impl Findings {
    fn cost(&self, setup: usize, of: impl Fn(&Cost) -> f64) -> f64 {
        median(self.costs[setup].iter().map(of).collect())
    }

    fn latency(&self, setup: usize, rate: usize, of: impl Fn(&Latency) -> f64) -> f64 {
        median(self.latencies[setup][rate].iter().map(of).collect())
    }

    /// Lowest and highest rate of all rounds, as parts of the median.
    fn spread(&self, setup: usize) -> (f64, f64) {
        let all = || self.costs[setup].iter().map(|cost| cost.per_second / self.cost(setup, |cost| cost.per_second));
        (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max))
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "\nkeybound behind Envoy, {} cores: {}.\nEnvoy has one worker, HTTP/2 over TLS towards clients and HTTP/1.1 towards \
             the API; keybound has {POLICIES} policies.\n",
            self.cores, self.places
        );
        self.costs_told(&mut text);
        self.latencies_told(&mut text);
        self.judged_told(&mut text);
        self.spreads_told(&mut text);
        writeln!(text, "\n{:.0} s. Every answer had the status that was expected.", self.seconds).expect("text");
        text
    }

    fn costs_told(&self, text: &mut String) {
        text.push_str(
            "\nSaturation, and processor time of a request in microseconds (median of the rounds)\n                                          \
             requests/s   of median     Envoy keybound    API    all   added   load   busy\n",
        );
        for (at, setup) in SETUPS.iter().enumerate() {
            let of = |of: fn(&Cost) -> f64| self.cost(at, of);
            let added = without(at)
                .map_or_else(String::new, |base| format!("{:+.1}", of(Cost::all) - self.cost(base, Cost::all)));
            let (low, high) = self.spread(at);
            let envoy = if setup.way == Way::Api { "-".to_owned() } else { format!("{:.1}", of(|cost| cost.envoy)) };
            let keybound =
                if setup.way == Way::Keybound { format!("{:.1}", of(|cost| cost.keybound)) } else { "-".to_owned() };
            let busy =
                if setup.way == Way::Api { "-".to_owned() } else { format!("{:.0} %", of(|cost| cost.busy) * 100.0) };
            writeln!(
                text,
                "  {:<40}{:>10.0}   {low:.2}-{high:.2} {envoy:>9} {keybound:>8} {:>6.1} {:>6.1} {added:>7} {:>6.1} {busy:>6}",
                setup.name,
                of(|cost| cost.per_second),
                of(|cost| cost.api),
                of(Cost::all),
                of(|cost| cost.load),
            )
            .expect("text");
        }
        let others = self.costs.iter().flatten().map(|cost| cost.others).fold(0.0, f64::max);
        writeln!(
            text,
            "  added: all, less the same requests through Envoy without a filter. load: the sender, in nobody's sum. busy: the core \
             of Envoy.\n  What is no part of the run took {others:.2} cores at most{}",
            if others > QUIET { ": THIS MACHINE IS BUSY, and what depends on time is not to be trusted." } else { "." }
        )
        .expect("text");
    }

    fn latencies_told(&self, text: &mut String) {
        let [low, high] = self.rates;
        write!(
            text,
            "\nLatency in milliseconds, from the time when a request was meant to be sent; in brackets what is added to Envoy \
             without a filter\n{:42}{:>32}{:>34}\n{:42}{:>16}{:>17}{:>17}{:>17}\n",
            "",
            format!("at {low:.0}/s (25 %)"),
            format!("at {high:.0}/s (50 %)"),
            "",
            "p50",
            "p99",
            "p50",
            "p99",
        )
        .expect("text");
        for (at, setup) in SETUPS.iter().enumerate() {
            let cell = |rate: usize, of: fn(&Latency) -> f64| {
                let one = self.latency(at, rate, of) / 1e3;
                let added = without(at).map(|base| one - self.latency(base, rate, of) / 1e3);
                added.map_or_else(
                    || format!("{one:.2}         "),
                    |added| format!("{one:.2} {:>8}", format!("({added:+.2})")),
                )
            };
            let (median, p99) = (|one: &Latency| one.median, |one: &Latency| one.p99);
            let cells = [cell(0, median), cell(0, p99), cell(1, median), cell(1, p99)];
            writeln!(text, "  {:<40}{:>17}{:>17}{:>17}{:>17}", setup.name, cells[0], cells[1], cells[2], cells[3])
                .expect("text");
        }
    }

    fn judged_told(&self, text: &mut String) {
        let (hits, misses) = self.cache;
        writeln!(
            text,
            "\nWhat each refuses. jwt_authn and RBAC check signature, issuer, audience, times, method, path and scope; they cannot \
             check\nwhom a token is bound to, so their line is cheaper than the same work. Its cache of verified tokens: {hits} hits, \
             {misses} misses.\n{:60}keybound   jwt_authn, RBAC",
            ""
        )
        .expect("text");
        for row in &self.judged {
            writeln!(text, "  {:<58}{:>8}   {:>15}", row.what, row.keybound, row.own).expect("text");
        }
    }

    fn spreads_told(&self, text: &mut String) {
        writeln!(
            text,
            "\n{WORKERS} workers of Envoy, everybody on all {} cores: share of the time that each was busy",
            self.cores
        )
        .expect("text");
        let shares = |shares: &[f64]| {
            let shares: Vec<_> = shares.iter().map(|share| format!("{:.0} %", share * 100.0)).collect();
            shares.join(", ")
        };
        for spread in &self.spreads {
            writeln!(
                text,
                "  {:<24}{:>8.0}/s   keybound's workers {}   Envoy's workers {}   cores {}, of which others took {:.2} cores",
                name(spread.credential),
                spread.per_second,
                shares(&spread.workers),
                shares(&spread.envoy),
                shares(&spread.cores),
                spread.others,
            )
            .expect("text");
        }
        let others = self.spreads.iter().map(|spread| spread.others).fold(0.0, f64::max);
        let idlest = self.spreads.iter().flat_map(|spread| &spread.cores).copied().fold(1.0, f64::min);
        let told = if others > QUIET {
            "  others took part of the cores, so this run does not tell whether one idled while another queued"
                .to_owned()
        } else {
            format!("  the idlest core was busy for {:.0} % of the time", idlest * 100.0)
        };
        writeln!(text, "{told}").expect("text");
    }

    /// For machines: every round, medians, units in the names.
    pub fn json(&self) -> Value {
        let setups = SETUPS.iter().enumerate().map(|(at, setup)| {
            let rounds: Vec<_> = self.costs[at].iter().map(|cost| cost.per_second).collect();
            let latency = |rate: usize| {
                json!({
                    "per_second": self.rates[rate],
                    "median_microseconds": self.latency(at, rate, |one| one.median),
                    "p99_microseconds": self.latency(at, rate, |one| one.p99),
                    "p99_microseconds_of_rounds": self.latencies[at][rate].iter().map(|one| one.p99).collect::<Vec<_>>(),
                    "requests_of_a_round": self.latencies[at][rate].iter().map(|one| one.count).min(),
                })
            };
            json!({
                "key": setup.key,
                "name": setup.name,
                "per_second": self.cost(at, |cost| cost.per_second),
                "per_second_of_rounds": rounds,
                "envoy_microseconds": self.cost(at, |cost| cost.envoy),
                "keybound_microseconds": self.cost(at, |cost| cost.keybound),
                "api_microseconds": self.cost(at, |cost| cost.api),
                "load_microseconds": self.cost(at, |cost| cost.load),
                "busy": self.cost(at, |cost| cost.busy),
                "others_cores": self.cost(at, |cost| cost.others),
                "latencies": [latency(0), latency(1)],
            })
        });
        let judged = self
            .judged
            .iter()
            .map(|row| json!({"request": row.what, "keybound": row.keybound, "jwt_authn_rbac": row.own}));
        let spreads = self.spreads.iter().map(|spread| {
            json!({
                "credential": name(spread.credential),
                "per_second": spread.per_second,
                "keybound_workers": spread.workers,
                "envoy_workers": spread.envoy,
                "cores": spread.cores,
                "others_cores": spread.others,
            })
        });
        json!({
            "places": self.places,
            "cores": self.cores,
            "policies": POLICIES,
            "seconds": self.seconds,
            "setups": setups.collect::<Vec<_>>(),
            "judged": judged.collect::<Vec<_>>(),
            "four_envoy_workers": spreads.collect::<Vec<_>>(),
        })
    }
}

const fn name(credential: Credential) -> &'static str {
    match credential {
        Credential::Certificate => "bound to the certificate",
        Credential::Proof => "DPoP ES256",
    }
}
