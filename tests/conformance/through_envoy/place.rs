//! Where Envoy is, where a run keeps its files, which ports it takes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Below the range from which the system takes the ports of outgoing connections.
const FIRST_PORT: u16 = 12_000;
const PORTS: u16 = 8_000;

/// A loopback port that nobody listens on, and that nobody else in this run is given.
pub fn free_port() -> u16 {
    // Runs side by side begin at different places.
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        AtomicU16::new(u16::try_from(std::process::id() % u32::from(PORTS)).expect("less than the count of ports"))
    });
    loop {
        let port = FIRST_PORT + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A fresh directory of this run. The last run's stays for whoever wonders why it failed, until the next begins.
pub fn directory() -> PathBuf {
    const PREFIX: &str = "conformance-";
    let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in std::fs::read_dir(all).expect("target/tmp").flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if id.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Another run may be at it too.
            std::fs::remove_dir_all(entry.path()).unwrap_or_default();
        }
    }
    let directory = all.join(format!("{PREFIX}{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    directory
}

/// Envoy, or a word on how to get it.
pub fn envoy() -> PathBuf {
    let envoy = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/venv/bin/envoy");
    assert!(envoy.exists(), "{} is missing: run `make tools`", envoy.display());
    envoy
}

/// Asks until the answer is there, or panics.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a plain HTTP server says 200.
pub fn says_ok(port: u16, path: &str) -> bool {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n").as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
}
