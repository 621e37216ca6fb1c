//! Servers as processes of their own on cores of their own, and what the kernel says of them. Whatever starts here ends here: by its
//! id, when its owner goes, and at the latest when the time of the whole run is over.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::signal::unix::{SignalKind, signal};

use crate::world::Estate;

/// Says to this executable that it is the bare server.
pub const ROLE: &str = "KEYBOUND_BENCH_ROLE";

/// Children that live.
static LIVING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Ends everything when the time is over, or when somebody ends the run: it never hangs and leaves nobody behind.
pub fn end_after(limit: Duration) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let why = runtime.block_on(async {
            let told = |kind| signal(kind).expect("a signal");
            let (mut terminate, mut interrupt) = (told(SignalKind::terminate()), told(SignalKind::interrupt()));
            tokio::select! {
                () = tokio::time::sleep(limit) => format!("it took longer than {} seconds", limit.as_secs()),
                _ = terminate.recv() => "a signal".to_owned(),
                _ = interrupt.recv() => "a signal".to_owned(),
            }
        });
        for pid in LIVING.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(pid) = Pid::from_raw(*pid) {
                kill_process(pid, Signal::KILL).ok();
            }
        }
        drop(writeln!(std::io::stderr(), "the run was ended: {why}"));
        std::process::exit(3);
    });
}

/// Where a process or a thread may run.
#[derive(Clone, Debug)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// All that we have.
    pub fn all() -> Self {
        let set = sched_getaffinity(None).expect("our cores");
        Self((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
    }

    /// One for the server, one for the load; the same one if there is only one.
    pub fn apart(&self) -> (Self, Self) {
        let (first, last) = (self.0[0], self.0[self.0.len() - 1]);
        (Self(vec![last]), Self(vec![first]))
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn take(&self) {
        let mut set = CpuSet::new();
        self.0.iter().for_each(|core| set.set(*core));
        sched_setaffinity(None, &set).expect("cores of ours");
    }

    /// Works on these cores alone; what it starts stays on them too.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let worked = thread::scope(|scope| {
            scope
                .spawn(|| {
                    self.take();
                    work()
                })
                .join()
        });
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// A server under load.
pub struct Server {
    child: Option<Child>,
    /// Where it answers checks.
    pub check: SocketAddr,
    /// Where it answers probes.
    pub probes: Option<SocketAddr>,
    /// When it was started.
    pub begun: Instant,
}

impl Server {
    /// keybound, not ready yet.
    pub fn keybound(estate: &Estate, cores: &Cores) -> Self {
        let log = File::create(estate.directory.join("log")).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybound"));
        command.args(["serve", "--config"]).arg(estate.config());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let begun = Instant::now();
        let child = start(&mut command, cores);
        Self { child: Some(child), check: estate.options.check, probes: Some(estate.options.probes), begun }
    }

    /// keybound, ready.
    pub fn keybound_ready(estate: &Estate, cores: &Cores) -> Self {
        let mut server = Self::keybound(estate, cores);
        server.wait_until_ready(&estate.directory);
        server
    }

    fn wait_until_ready(&mut self, directory: &Path) {
        let until = Instant::now() + Duration::from_secs(90);
        while !self.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            let ended = self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_some()));
            if ended || Instant::now() > until {
                let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
                panic!("keybound is not ready:\n{log}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The bare server: an executable with its role.
    pub fn floor(executable: &Path, cores: &Cores) -> Self {
        let mut command = Command::new(executable);
        command.env(ROLE, "floor").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let begun = Instant::now();
        let mut child = start(&mut command, cores);
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().expect("its output"));
        let read = said.read_line(&mut line);
        let mut server = Self { child: Some(child), check: ([127, 0, 0, 1], 0).into(), probes: None, begun };
        assert!(read.is_ok(), "the bare server says where it listens");
        server.check = line.trim().parse().expect("an address");
        server
    }

    /// A server that somebody else runs.
    pub fn foreign(check: SocketAddr) -> Self {
        Self { child: None, check, probes: None, begun: Instant::now() }
    }

    fn pid(&self) -> Option<i32> {
        self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok())
    }

    /// What the probes listener answers.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.probes?, Duration::from_secs(2)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: probes\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// The sum of a metric's samples that hold all these words.
    pub fn metric(&self, name: &str, words: &[&str]) -> f64 {
        let text = self.get("/metrics").unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with(name) && words.iter().all(|word| line.contains(word)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// CPU time of each of its threads so far, with their names, by thread id.
    pub fn threads(&self) -> Vec<(String, String, Duration)> {
        let Some(pid) = self.pid() else { return Vec::new() };
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let thread = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
            let nanoseconds = stat.split(' ').next()?.parse().ok()?;
            let id = task.file_name().to_string_lossy().into_owned();
            Some((id, name.trim().to_owned(), Duration::from_nanos(nanoseconds)))
        };
        tasks.filter_map(thread).collect()
    }

    /// CPU time of the process so far.
    pub fn cpu(&self) -> Duration {
        self.threads().into_iter().map(|(_, _, time)| time).sum()
    }

    /// Its resident memory in bytes.
    pub fn resident(&self) -> u64 {
        self.pid().map_or(0, |pid| resident_of(&pid.to_string()))
    }
}

/// The resident memory of a process, in bytes; `self` is this one.
pub fn resident_of(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() * 1024
}

fn start(command: &mut Command, cores: &Cores) -> Child {
    let child = cores.run(|| command.spawn()).expect("a process");
    if let Ok(pid) = i32::try_from(child.id()) {
        LIVING.lock().unwrap_or_else(PoisonError::into_inner).insert(pid);
    }
    child
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.pid();
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
        if let Some(pid) = pid {
            LIVING.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
        }
    }
}
