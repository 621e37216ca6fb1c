//! Processes on loopback, raised for a test or shared by many.

pub mod envoy;
pub mod files;
pub mod front;
pub mod place;
pub mod process;
pub mod redis;
pub mod secrets;
pub mod told;
pub mod upstream;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use keybound::edge::clock;

pub use envoy::{Road, Variant};
pub use files::Plan;
pub use front::Says;
pub use place::until;
use process::Process;
use upstream::Upstream;

/// A start on a busy machine.
const START: Duration = Duration::from_secs(30);

/// A keybound and its files.
pub struct Lab {
    pub directory: PathBuf,
    pub ports: files::Ports,
    config: PathBuf,
    log: PathBuf,
    descriptors: Option<u32>,
    keybound: Mutex<Process>,
    /// When it was ready for the last time, Unix seconds.
    pub ready_at: AtomicI64,
    /// How far each log has been searched for secrets.
    searched: Mutex<HashMap<PathBuf, u64>>,
}

impl Lab {
    /// Starts keybound and waits until it is ready.
    pub fn ready(name: &str, plan: &Plan) -> Self {
        let lab = Self::started(name, plan);
        lab.wait_until_ready();
        lab
    }

    /// Starts keybound.
    pub fn started(name: &str, plan: &Plan) -> Self {
        let directory = place::directory(name);
        let ports = files::Ports { check: place::free_port(), probes: place::free_port(), public: place::free_port() };
        let config = files::write_keybound(&directory, plan, ports);
        let log = directory.join("keybound.log");
        let keybound = Mutex::new(start(&config, &log, plan.descriptors));
        let (ready_at, searched) = (AtomicI64::new(0), Mutex::default());
        Self { directory, ports, config, log, descriptors: plan.descriptors, keybound, ready_at, searched }
    }

    /// The process.
    pub fn keybound(&self) -> MutexGuard<'_, Process> {
        self.keybound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it again; the one before must have ended.
    pub fn start_again(&self) {
        let mut keybound = self.keybound();
        assert!(keybound.ended().is_some(), "it is still running");
        *keybound = start(&self.config, &self.log, self.descriptors);
    }

    pub fn wait_until_ready(&self) {
        until("keybound is ready", START, || {
            self.keybound().must_run();
            self.is_ready().then_some(())
        });
        self.ready_at.store(clock::now(), Ordering::Release);
    }

    /// What `/readyz` says.
    pub fn is_ready(&self) -> bool {
        told::get(self.ports.probes, "probes", "/readyz").is_some_and(|(status, _, _)| status == 200)
    }

    /// What `/metrics` says.
    pub fn metrics(&self) -> String {
        told::get(self.ports.probes, "probes", "/metrics").expect("metrics").2
    }

    /// A metric, added up over the labels that are not named.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        told::metric(&self.metrics(), name, labels)
    }

    /// keybound's log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    pub fn policies(&self) -> PathBuf {
        self.directory.join("policies")
    }

    /// An Envoy in front, as shipped.
    pub fn edge(&self) -> Edge {
        self.edge_as(&Variant::new("envoy", Road::Tcp(self.ports.check)))
    }

    /// An Envoy in front that differs.
    pub fn edge_as(&self, variant: &Variant) -> Edge {
        let upstream = Upstream::shared();
        let ports = envoy::Ports { edge: place::free_port(), admin: place::free_port(), upstream: upstream.port };
        let text = envoy::render(variant, &self.directory, &ports);
        let (process, access_log) = self.start_envoy(variant.name, &text, &ports);
        Edge { port: ports.edge, access_log, keybound_log: self.log.clone(), upstream, _process: process }
    }

    /// One more Envoy in front of one: it ends the clients' TLS connections, and tells the other of their certificates. Decisions
    /// are in the other's access log.
    pub fn front_of(&self, behind: &Edge, says: Says) -> Edge {
        let ports = envoy::Ports { edge: place::free_port(), admin: place::free_port(), upstream: behind.port };
        let text = front::render(says, &self.directory, &ports);
        let (process, _) = self.start_envoy("front", &text, &ports);
        let (access_log, keybound_log) = (behind.access_log.clone(), self.log.clone());
        Edge { port: ports.edge, access_log, keybound_log, upstream: behind.upstream, _process: process }
    }

    /// Starts an Envoy and waits until it is ready; its access log.
    fn start_envoy(&self, name: &str, text: &str, ports: &envoy::Ports) -> (Process, PathBuf) {
        let file = |extension: &str| self.directory.join(format!("{name}.{extension}"));
        let config = file("yaml");
        std::fs::write(&config, text).expect("a written file");
        // Without hot restart it lives beside any other Envoy of the machine, and does not end with the thread that started it.
        let arguments = "--disable-hot-restart --concurrency 2 --log-level warning --file-flush-interval-msec 20";
        let config = config.display().to_string();
        let arguments: Vec<_> = ["--config-path", &config].into_iter().chain(arguments.split(' ')).collect();
        let access_log = file("access.log");
        let mut process = Process::start(&place::envoy(), &arguments, &access_log, &file("log"));
        until("Envoy is ready", START, || {
            process.must_run();
            told::get(ports.admin, "admin", "/ready").filter(|(status, _, _)| *status == 200)
        });
        (process, access_log)
    }

    /// Panics if a secret of the run was written since the last search.
    pub fn must_have_told_no_secret(&self) {
        let mut searched = self.searched.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in std::fs::read_dir(&self.directory).expect("the lab's directory").flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let at = searched.entry(path.clone()).or_default();
                let text = told::rest_of(&path, *at);
                must_be_free_of_secrets(&path.display().to_string(), &text);
                *at += text.len() as u64;
            }
        }
        if let Some((_, _, metrics)) = told::get(self.ports.probes, "probes", "/metrics") {
            must_be_free_of_secrets("/metrics", metrics.as_bytes());
        }
    }
}

/// Panics with the place, not with what is there.
pub fn must_be_free_of_secrets(what: &str, text: &[u8]) {
    if let Some(at) = secrets::find(text) {
        let lines = text[..at].split(|byte| *byte == b'\n').count();
        panic!("{what}: a secret of the run is in line {lines} of what was written since the last search");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.must_have_told_no_secret();
        }
    }
}

fn start(config: &Path, log: &Path, descriptors: Option<u32>) -> Process {
    let (program, config) = (env!("CARGO_BIN_EXE_keybound"), config.display().to_string());
    let Some(descriptors) = descriptors else {
        return Process::start(Path::new(program), &["serve", "--config", &config], log, log);
    };
    // The shell becomes keybound: the same id, with less.
    let limited = r#"ulimit -n "$0" && exec "$1" serve --config "$2""#;
    Process::start(Path::new("/bin/sh"), &["-c", limited, &descriptors.to_string(), program, &config], log, log)
}

/// An Envoy in front of a keybound.
pub struct Edge {
    pub port: u16,
    pub access_log: PathBuf,
    pub keybound_log: PathBuf,
    pub upstream: &'static Upstream,
    _process: Process,
}

/// One keybound with two Envoys in front, for every test that changes nothing.
pub struct Shared {
    pub lab: Lab,
    /// As shipped: headers as they were sent.
    pub raw: Edge,
    /// Without `encode_raw_headers`.
    pub joined: Edge,
}

/// A test's stay at the shared lab; at its end everything written meanwhile is searched for secrets.
pub struct Visit(&'static Shared);

impl std::ops::Deref for Visit {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        self.0
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.lab.must_have_told_no_secret();
        }
    }
}

/// The shared lab.
pub fn visit() -> Visit {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    Visit(SHARED.get_or_init(|| {
        let lab = Lab::ready("shared", &Plan::default());
        let raw = lab.edge();
        let joined = Variant { raw_headers: false, ..Variant::new("joined", Road::Tcp(lab.ports.check)) };
        let joined = lab.edge_as(&joined);
        Shared { lab, raw, joined }
    }))
}

/// Serves these routes on loopback for as long as the tests run; the port, chosen if it is 0.
pub fn serve_in_background(routes: axum::Router, port: u16) -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, routes).await.expect("a server");
        });
    });
    port
}
