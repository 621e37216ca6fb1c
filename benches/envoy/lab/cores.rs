//! Which process runs on which core, and how busy a core is.

use std::sync::LazyLock;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Some cores of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(Vec<usize>);

/// Asked for before any thread has stayed anywhere.
static MACHINE: LazyLock<Cores> = LazyLock::new(Cores::of_this_thread);

impl Cores {
    /// All that this program was given.
    pub fn machine() -> &'static Self {
        &MACHINE
    }

    fn of_this_thread() -> Self {
        let set = sched_getaffinity(None).expect("an affinity");
        Self((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
    }

    /// From now on this thread, and what it starts, runs here.
    pub fn stay(&self) {
        let mut set = CpuSet::new();
        self.0.iter().for_each(|core| set.set(*core));
        sched_setaffinity(None, &set).expect("cores that were ours");
    }

    /// What `work` starts runs here; this thread goes back to where it was.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = Self::of_this_thread();
        self.stay();
        let done = work();
        before.stay();
        done
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How each has spent its time so far.
    pub fn ticks(&self) -> Vec<Ticks> {
        let told = std::fs::read_to_string("/proc/stat").expect("/proc/stat");
        let of = |core: &usize| {
            let name = format!("cpu{core} ");
            let line = told.lines().find_map(|line| line.strip_prefix(&name)).expect("a line for each core");
            // user nice system idle iowait irq softirq steal; the rest is part of these.
            let ticks: Vec<u64> = line.split(' ').filter_map(|ticks| ticks.parse().ok()).collect();
            Ticks { processes: ticks[..3].iter().sum(), idle: ticks[3] + ticks[4], all: ticks[..8].iter().sum() }
        };
        self.0.iter().map(of).collect()
    }
}

/// The time of a core since the start of the machine, in the kernel's ticks.
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    processes: u64,
    idle: u64,
    all: u64,
}

/// How much of the time each core was busy.
pub fn busy(before: &[Ticks], after: &[Ticks]) -> Vec<f64> {
    let idle = |(before, after): (&Ticks, &Ticks)| (after.idle - before.idle) as f64 / elapsed(before, after);
    before.iter().zip(after).map(|both| 1.0 - idle(both)).collect()
}

/// How many cores processes took that are none of ours, which took `ours` seconds in `seconds`.
pub fn others(before: &[Ticks], after: &[Ticks], ours: f64, seconds: f64) -> f64 {
    let share =
        |(before, after): (&Ticks, &Ticks)| (after.processes - before.processes) as f64 / elapsed(before, after);
    let all: f64 = before.iter().zip(after).map(share).sum();
    (all - ours / seconds).max(0.0)
}

fn elapsed(before: &Ticks, after: &Ticks) -> f64 {
    ((after.all - before.all) as f64).max(1.0)
}

impl std::fmt::Display for Cores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "{}", names.join(", "))
    }
}

/// Who runs where.
pub struct Places {
    pub envoy: Cores,
    pub keybound: Cores,
    pub app: Cores,
    pub load: Cores,
}

impl Places {
    /// One core each where there are four; else Envoy and keybound share one, and load and app another.
    pub fn among(all: &Cores) -> Self {
        let core = |at: usize| Cores(vec![all.0[at.min(all.0.len() - 1)]]);
        let [envoy, keybound, app, load] = if all.len() >= 4 { [0, 1, 2, 3] } else { [0, 0, 1, 1] };
        Self { envoy: core(envoy), keybound: core(keybound), app: core(app), load: core(load) }
    }

    /// Everybody wherever the kernel puts them.
    pub fn anywhere(all: &Cores) -> Self {
        let all = || all.clone();
        Self { envoy: all(), keybound: all(), app: all(), load: all() }
    }

    /// In words.
    pub fn told(&self) -> String {
        let Self { envoy, keybound, app, load } = self;
        format!("Envoy on core {envoy}, keybound on core {keybound}, the API on core {app}, the load on core {load}")
    }
}
