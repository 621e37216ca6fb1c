//! Processes that never outlive the run, and the processor time that they take.
//!
//! A guardian (`sh`) holds the ids of what runs. It reads until this process is gone, however that came about, and then ends what
//! is left.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use super::cores::Cores;

const GUARDIAN: &str = r#"
ids=
while read -r what id; do
  case $what in
    +) ids="$ids $id" ;;
    -) kept=; for each in $ids; do [ "$each" = "$id" ] || kept="$kept $each"; done; ids=$kept ;;
  esac
done
for id in $ids; do kill -s KILL "$id" 2>/dev/null; done
"#;

static GUARDED: LazyLock<Mutex<ChildStdin>> = LazyLock::new(|| {
    let mut guardian = Command::new("sh");
    // A group of its own: the terminal's Ctrl-C must not end it before it has done its work.
    guardian.args(["-c", GUARDIAN]).process_group(0);
    let guardian = guardian.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Mutex::new(guardian.expect("a shell").stdin.expect("its input"))
});

fn guard(what: char, id: u32) {
    let mut list = GUARDED.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(list, "{what} {id}").expect("the guardian listens");
}

/// A running process; ended when it is dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it on these cores. What it prints is thrown away, what it complains of is kept.
    pub fn start(program: &Path, arguments: &[&str], log: &Path, cores: &Cores) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(log).expect("a log file"));
        // Proxies of the machine have no part in what happens on loopback.
        for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name);
        }
        let child = cores.during(|| command.spawn());
        let child = child.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        guard('+', child.id());
        Self { child, log: log.to_owned() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Panics if it has ended.
    pub fn must_run(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child of ours") {
            guard('-', self.child.id());
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(20).collect();
            let last = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
            panic!("{} ended with {status}\n{last}", self.log.display());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().expect("a child of ours");
            self.child.wait().expect("a child of ours");
        }
        guard('-', self.child.id());
    }
}

/// The processor time of a thread.
pub struct Thread {
    pub id: u32,
    pub name: String,
    pub spent: Duration,
}

/// The threads of a process, by id.
pub fn threads(id: u32) -> Vec<Thread> {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).expect("a process that runs");
    let thread = |path: PathBuf| {
        let id = path.file_name()?.to_str()?.parse().ok()?;
        let name = std::fs::read_to_string(path.join("comm")).ok()?.trim_end().to_owned();
        // A thread that ends meanwhile has no time to tell.
        let told = std::fs::read_to_string(path.join("schedstat")).ok()?;
        let nanoseconds = told.split(' ').next()?.parse().ok()?;
        Some(Thread { id, name, spent: Duration::from_nanos(nanoseconds) })
    };
    let mut threads: Vec<_> = tasks.flatten().filter_map(|entry| thread(entry.path())).collect();
    threads.sort_by_key(|thread| thread.id);
    threads
}

/// The processor time of all its threads.
pub fn spent(id: u32) -> Duration {
    threads(id).iter().map(|thread| thread.spent).sum()
}
