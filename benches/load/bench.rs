//! The run: servers that are started when they are first asked for, and the rows of the table measured in turns.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cases::{Case, On, ROOMY_MEBIBYTES};
use crate::figures::{Latency, Row};
use crate::load::{Closed, Flow, Shape, Span, Supply, closed, count, open};
use crate::process::{Cores, Server};
use crate::world::{Estate, Options};

/// A loop runs so long before it counts.
const WARM: Duration = Duration::from_millis(250);
/// A rate for the first supply of messages that are sent once; later the measured one counts.
const FIRST_RATE: f64 = 15_000.0;
/// Never more messages at once than this: they are held in memory.
const MOST: usize = 80_000;

/// One run.
pub struct Bench {
    pub all: Cores,
    pub server: Cores,
    pub load: Cores,
    pub shape: Shape,
    /// How long one measurement takes.
    pub long: Duration,
    pub repetitions: usize,
    directory: TempDir,
    fleet: RefCell<HashMap<On, Rc<Server>>>,
    begun: Instant,
}

impl Bench {
    pub fn new(shape: Shape, long: Duration, repetitions: usize) -> Self {
        let all = Cores::all();
        let (server, load) = all.apart();
        Self {
            all,
            server,
            load,
            shape,
            long,
            repetitions,
            directory: tempfile::tempdir().expect("a directory"),
            fleet: RefCell::default(),
            begun: Instant::now(),
        }
    }

    /// Says where the run is; the table comes at the end.
    pub fn say(&self, what: &str) {
        let seconds = self.begun.elapsed().as_secs();
        drop(writeln!(std::io::stderr(), "[{:>3}:{:02}] {what}", seconds / 60, seconds % 60));
    }

    /// A new estate.
    pub fn estate(&self, policies: usize, options: Options) -> Estate {
        let directory = tempfile::tempdir_in(self.directory.path()).expect("a directory").keep();
        Estate::write_with(&directory, policies, options)
    }

    /// keybound as it is delivered, and files looked at every second.
    pub fn watchful(&self, policies: usize) -> (Estate, Server) {
        let options = Options { poll_seconds: 1, ..Options::as_delivered() };
        let estate = self.estate(policies, options);
        let server = Server::keybound_ready(&estate, &self.server);
        (estate, server)
    }

    /// A server of the fleet, started if it is not there.
    pub fn on(&self, on: On) -> Rc<Server> {
        if matches!(on, On::Fresh(_)) {
            drop(self.fleet.borrow_mut().remove(&on));
        } else if let Some(server) = self.fleet.borrow().get(&on) {
            return Rc::clone(server);
        }
        let server = Rc::new(match on {
            On::Floor => Server::floor(&std::env::current_exe().expect("ourselves"), &self.server),
            On::FloorJemalloc => Server::floor(&jemalloc_floor().expect("built by make bench"), &self.server),
            On::Keybound(policies) | On::Fresh(policies) => {
                Server::keybound_ready(&self.estate(policies, Options::default()), &self.server)
            }
            On::Roomy(policies) => {
                let options = Options { cache_mebibytes: ROOMY_MEBIBYTES, ..Options::default() };
                Server::keybound_ready(&self.estate(policies, options), &self.server)
            }
            On::Peer(address) => Server::foreign(address),
        });
        self.fleet.borrow_mut().insert(on, Rc::clone(&server));
        server
    }

    /// What a server can do with this supply.
    pub fn closed(&self, server: &Server, supply: &Supply) -> Result<Closed, String> {
        closed(server, supply, self.shape, (WARM, self.long), &self.load)
    }

    /// Every message of a supply, once.
    pub fn exhaust(&self, server: &Server, supply: &Supply) -> Result<Closed, String> {
        closed(server, &supply.each_once(), self.shape, (Duration::ZERO, Duration::from_secs(40)), &self.load)
    }

    /// Latencies at a rate.
    fn at_rate(&self, server: &Server, supply: &Supply, rate: f64) -> Result<Latency, String> {
        let span = Span { at_most: self.long, stop: None };
        let opened = open(server, &[Flow { supply, rate }], self.shape.connections, &span, &self.load)?;
        Ok(Latency::of(opened.flows.iter().flatten()))
    }

    /// All rows, each repetition after the other.
    pub fn rows(&self, cases: &[Case], primed: &mut dyn FnMut(&Case, &Server, &Supply)) -> Result<Vec<Row>, String> {
        let mut rows = vec![Row::default(); cases.len()];
        let mut kept: HashMap<&str, Rc<Supply>> = HashMap::new();
        for repetition in 0..self.repetitions {
            self.say(&format!("repetition {} of {}", repetition + 1, self.repetitions));
            for (case, row) in cases.iter().zip(&mut rows) {
                if case.is_kept() && !kept.contains_key(case.key) {
                    let supply = Rc::new(case.supply(0));
                    primed(case, &self.on(case.on), &supply);
                    kept.insert(case.key, supply);
                }
                self.row(case, kept.get(case.key), row).map_err(|wrong| format!("{}: {wrong}", case.title))?;
                let cpu = row.closed.last().map_or(0.0, |closed| closed.cpu);
                self.say(&format!("  {}: {cpu:.1} µs", case.title));
            }
        }
        Ok(rows)
    }

    fn row(&self, case: &Case, kept: Option<&Rc<Supply>>, row: &mut Row) -> Result<(), String> {
        let known = row.closed.last().map_or(FIRST_RATE, |closed| closed.rate);
        let of_rate = |rate: f64, long: Duration| {
            let messages = rate * long.as_secs_f64() * 1.2;
            (0..MOST).find(|number| count(u64::try_from(*number).unwrap_or(u64::MAX)) >= messages).unwrap_or(MOST) + 256
        };
        let supply = |messages: usize| kept.map_or_else(|| Rc::new(case.supply(messages)), Rc::clone);
        let server = self.on(case.on);
        let closed = self.closed(&server, &supply(of_rate(known, WARM + self.long)))?;
        row.closed.push(closed);
        for (share, latencies) in [(0.25, &mut row.quarter), (0.5, &mut row.half)] {
            let server = self.on(case.on);
            let rate = closed.rate * share;
            latencies.push(self.at_rate(&server, &supply(of_rate(rate, self.long)), rate)?);
        }
        row.resident = self.on_again(case.on).resident();
        Ok(())
    }

    /// The server that was asked last, not a fresh one.
    fn on_again(&self, on: On) -> Rc<Server> {
        Rc::clone(self.fleet.borrow().get(&on).expect("a server that was asked"))
    }
}

/// The bare server with jemalloc is an executable of its own, beside this one if it was built.
pub fn jemalloc_floor() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.parent()?.to_owned();
    let named = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("floor-") && !name.contains('.')
    };
    let files = std::fs::read_dir(beside).ok()?.flatten().map(|entry| entry.path()).filter(named);
    files.max_by_key(|path| path.metadata().and_then(|metadata| metadata.modified()).ok())
}
