//! Many numbers in few: medians, spreads, percentiles.

use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{Closed, Shot};

/// The middle of some numbers and how far they are apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Median {
    pub middle: f64,
    pub least: f64,
    pub most: f64,
}

impl Median {
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut numbers: Vec<_> = numbers.into_iter().collect();
        numbers.sort_unstable_by(f64::total_cmp);
        let (Some(least), Some(most)) = (numbers.first(), numbers.last()) else { return Self::default() };
        let (low, high) = (numbers[(numbers.len() - 1) / 2], numbers[numbers.len() / 2]);
        Self { middle: f64::midpoint(low, high), least: *least, most: *most }
    }

    /// From the least to the most, in percent of the middle.
    pub fn spread_percent(&self) -> f64 {
        if self.middle > 0.0 { (self.most - self.least) / self.middle * 100.0 } else { 0.0 }
    }

    pub fn json(&self) -> Value {
        json!({"median": self.middle, "least": self.least, "most": self.most})
    }
}

/// Latencies, µs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    /// How late the sender was, at the 99th percentile.
    pub lag: f64,
    pub checks: usize,
}

impl Latency {
    pub fn of<'s>(shots: impl IntoIterator<Item = &'s Shot>) -> Self {
        let (mut took, mut lag): (Vec<_>, Vec<_>) = shots.into_iter().map(|shot| (shot.took, shot.lag)).unzip();
        took.sort_unstable();
        lag.sort_unstable();
        Self { p50: at(&took, 500), p99: at(&took, 990), p999: at(&took, 999), lag: at(&lag, 990), checks: took.len() }
    }

    pub fn json(&self) -> Value {
        let Self { p50, p99, p999, lag, checks } = self;
        json!({"p50_us": p50, "p99_us": p99, "p99_9_us": p999, "sender_lag_p99_us": lag, "checks": checks})
    }
}

fn at(sorted: &[Duration], permille: usize) -> f64 {
    let index = (sorted.len() * permille).div_ceil(1000).saturating_sub(1);
    sorted.get(index).map_or(0.0, |took| took.as_secs_f64() * 1e6)
}

/// One row of the table: what each repetition showed.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub closed: Vec<Closed>,
    /// At a quarter and at half of what the server can do.
    pub quarter: Vec<Latency>,
    pub half: Vec<Latency>,
    pub resident: u64,
}

impl Row {
    fn over(&self, number: impl Fn(&Closed) -> f64) -> Median {
        Median::of(self.closed.iter().map(number))
    }

    pub fn cpu(&self) -> Median {
        self.over(|closed| closed.cpu)
    }

    pub fn rate(&self) -> Median {
        self.over(|closed| closed.rate)
    }

    pub fn load_share(&self) -> Median {
        self.over(|closed| closed.load_share)
    }

    pub fn server_share(&self) -> Median {
        self.over(|closed| closed.server_share)
    }

    pub fn latency(&self, half: bool, number: impl Fn(&Latency) -> f64) -> Median {
        Median::of(if half { &self.half } else { &self.quarter }.iter().map(number))
    }

    pub fn json(&self) -> Value {
        let latency = |half| {
            json!({
                "p50_us": self.latency(half, |latency| latency.p50).json(),
                "p99_us": self.latency(half, |latency| latency.p99).json(),
                "p99_9_us": self.latency(half, |latency| latency.p999).json(),
                "sender_lag_p99_us": self.latency(half, |latency| latency.lag).json(),
            })
        };
        json!({
            "cpu_us": self.cpu().json(),
            "checks_per_second": self.rate().json(),
            "load_core_share": self.load_share().json(),
            "server_core_share": self.server_share().json(),
            "at_25_percent": latency(false),
            "at_50_percent": latency(true),
            "resident_bytes": self.resident,
        })
    }
}
