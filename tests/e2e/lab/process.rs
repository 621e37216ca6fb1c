//! Processes that never outlive the tests: each leads its own group and is ended by its id.
//!
//! A guardian (`sh`) holds the list of what runs. It reads until this process is gone, however that came about, and then kills
//! what is left; a static is never dropped, so the shared processes rely on it.

use std::fs::{DirEntry, File};
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

const GUARDIAN: &str = r#"
ids=
while read -r what id; do
  case $what in
    +) ids="$ids $id" ;;
    -) kept=; for each in $ids; do [ "$each" = "$id" ] || kept="$kept $each"; done; ids=$kept ;;
  esac
done
for id in $ids; do kill -s KILL -- "-$id" 2>/dev/null; done
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

/// A signal that a process can be sent.
#[allow(dead_code, reason = "each suite that raises labs sends its part of them")]
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    Continue,
    Hangup,
    Kill,
    Stop,
    Terminate,
}

/// A running process.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; what it prints is appended to the two files.
    pub fn start(program: &Path, arguments: &[&str], output: &Path, log: &Path) -> Self {
        let append = |path: &Path| File::options().create(true).append(true).open(path).expect("a log file");
        let mut command = Command::new(program);
        command.args(arguments).process_group(0).stdin(Stdio::null());
        // Proxies of the machine have no part in what happens on loopback.
        for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name);
        }
        let child = command.stdout(append(output)).stderr(append(log)).spawn();
        let child = child.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        guard('+', child.id());
        Self { child, log: log.to_owned() }
    }

    /// The nice value of each thread of this name.
    #[allow(dead_code, reason = "one suite asks")]
    pub fn nice(&self, name: &str) -> Vec<i32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("a running process");
        // A thread may end while it is looked at.
        let stat = |task: std::io::Result<DirEntry>| std::fs::read_to_string(task.ok()?.path().join("stat")).ok();
        let of = |stat: String| {
            // proc_pid_stat(5): the name in parentheses, which may hold any; then from the third field on, and this is the 19th.
            let (front, fields) = stat.rsplit_once(") ")?;
            (front.split_once('(')?.1 == name).then(|| fields.split(' ').nth(16)?.parse().ok())?
        };
        tasks.filter_map(stat).filter_map(of).collect()
    }

    pub fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Continue => "CONT",
            Signal::Hangup => "HUP",
            Signal::Kill => "KILL",
            Signal::Stop => "STOP",
            Signal::Terminate => "TERM",
        };
        let id = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &id]).status().expect("a shell");
        assert!(sent.success(), "signal {name} could not be sent");
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.child.try_wait().expect("a child of ours");
        if ended.is_some() {
            guard('-', self.child.id());
        }
        ended
    }

    /// Waits for its end.
    pub fn wait(&mut self, at_most: Duration) -> ExitStatus {
        let end = Instant::now() + at_most;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < end, "still running after {at_most:?}\n{}", self.last_words());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::Kill);
        let status = self.wait(Duration::from_secs(10));
        assert_eq!(status.signal(), Some(9), "it had ended before: {}", self.last_words());
    }

    /// Panics if it has ended.
    pub fn must_run(&mut self) {
        if let Some(status) = self.ended() {
            panic!("ended with {status}\n{}", self.last_words());
        }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        format!("{}:\n{}", self.log.display(), lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.child.kill().expect("a child of ours");
            self.child.wait().expect("a child of ours");
            guard('-', self.child.id());
        }
    }
}
