//! Where a run keeps its files and finds its ports.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Below the range from which the system takes the ports of outgoing connections, so that none of those gets in between.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;

/// A loopback port that nobody listens on, and that nobody else in this run is given.
pub fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        // Runs side by side, whose ids are close to each other, begin far from each other.
        let place = u64::from(std::process::id()) * 4_999 % u64::from(PORTS);
        AtomicU16::new(u16::try_from(place).expect("a small number"))
    });
    loop {
        let port = FIRST_PORT + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A fresh directory of this run.
pub fn directory(name: &str) -> PathBuf {
    static RUN: LazyLock<PathBuf> = LazyLock::new(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
        forget_finished_runs(all);
        all.join(format!("e2e-{}", std::process::id()))
    });
    let directory = RUN.join(name);
    std::fs::create_dir_all(&directory).expect("a directory");
    directory
}

/// The last run's files stay for whoever wonders why it failed; those of runs that are over go when the next begins.
fn forget_finished_runs(all: &Path) {
    for entry in std::fs::read_dir(all).expect("target/tmp").flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix("e2e-"));
        if id.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Another run may be at it too.
            std::fs::remove_dir_all(entry.path()).unwrap_or_default();
        }
    }
}

/// Envoy, or a word on how to get it.
pub fn envoy() -> PathBuf {
    let envoy = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/venv/bin/envoy");
    assert!(envoy.exists(), "{} is missing: run `make tools`", envoy.display());
    envoy
}

/// Asks until the answer is there, or panics after `at_most`.
pub fn until<T>(what: &str, at_most: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + at_most;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(std::time::Instant::now() < end, "{what}: not within {at_most:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
