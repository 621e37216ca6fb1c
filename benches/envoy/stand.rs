//! Everything that runs: keybound, the API, and an Envoy for each way to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::app;
use crate::callers::{self, Credential};
use crate::lab::config::{Filter, Own, render};
use crate::lab::cores::{Cores, Places};
use crate::lab::place::{envoy, free_port, until};
use crate::lab::process::Process;
use crate::lab::told;
use crate::load::Road;
use crate::world::{AUDIENCE, Estate, ISSUER, METHOD, Options};

/// A start on a busy machine.
const START: Duration = Duration::from_secs(30);
/// Policies of the estate, of which seven can apply to the measured operation.
pub const POLICIES: usize = 1_000;

/// What stands between the load and the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing.
    Api,
    /// Envoy without a filter.
    Envoy,
    /// Envoy that asks keybound.
    Keybound,
    /// Envoy with `jwt_authn` and RBAC.
    Own,
}

/// An Envoy.
struct Proxy {
    process: Process,
    port: u16,
    admin: u16,
}

/// The processes of a run.
pub struct Stand {
    pub estate: Estate,
    pub keybound: Process,
    pub api: Process,
    api_port: u16,
    proxies: Vec<(Way, Proxy)>,
}

impl Stand {
    /// Starts it, and waits until all of it is ready.
    pub fn raised(directory: &Path, places: &Places, ways: &[Way], workers: usize) -> Self {
        let loopback = || ([127, 0, 0, 1], free_port()).into();
        let options = Options { check: loopback(), probes: loopback(), ..Options::default() };
        let estate = Estate::write_with(&directory.join("keybound"), POLICIES, options);
        callers::write_certificates(directory);
        let keybound = start_keybound(&estate, directory, &places.keybound);
        let api_port = free_port();
        let api = start_api(api_port, directory, &places.app);
        let key_set = estate.key_set();
        let proxies = ways.iter().filter(|way| **way != Way::Api).map(|way| {
            let own = own(&key_set);
            let filter = match way {
                Way::Keybound => Filter::Keybound(estate.options.check.port()),
                Way::Own => Filter::Own(&own),
                Way::Api | Way::Envoy => Filter::None,
            };
            let name = format!("envoy-{way:?}").to_lowercase();
            (*way, Proxy::start(&name, &filter, directory, api_port, workers, &places.envoy))
        });
        let mut stand = Self { proxies: proxies.collect(), estate, keybound, api, api_port };
        stand.wait();
        stand
    }

    fn wait(&mut self) {
        for (way, proxy) in &mut self.proxies {
            until(&format!("Envoy ({way:?}) is ready"), START, || {
                proxy.process.must_run();
                told::get(proxy.admin, "admin", "/ready").filter(|(status, _, _)| *status == 200)
            });
        }
        let probes = self.estate.options.probes.port();
        until("keybound is ready", START, || {
            self.keybound.must_run();
            told::get(probes, "probes", "/readyz").filter(|(status, _, _)| *status == 200)
        });
        let api = self.api_port;
        until("the API is ready", START, || {
            self.api.must_run();
            told::get(api, "api", "/").filter(|(status, _, _)| *status == 200)
        });
        // Proofs of the second in which keybound started are refused: nobody can tell whether they were used before.
        std::thread::sleep(Duration::from_millis(1_100));
    }

    /// Panics if one has ended.
    pub fn must_run(&mut self) {
        self.keybound.must_run();
        self.api.must_run();
        self.proxies.iter_mut().for_each(|(_, proxy)| proxy.process.must_run());
    }

    fn proxy(&self, way: Way) -> Option<&Proxy> {
        self.proxies.iter().find(|(of, _)| *of == way).map(|(_, proxy)| proxy)
    }

    /// How clients get there.
    pub fn road(&self, way: Way, credential: Credential) -> Road {
        self.proxy(way).map_or(Road::Api(self.api_port), |proxy| Road::Envoy(proxy.port, credential.tls()))
    }

    /// The port of that Envoy.
    pub fn port(&self, way: Way) -> u16 {
        self.proxy(way).expect("an Envoy").port
    }

    /// The id of that Envoy; none where nothing stands between.
    pub fn envoy(&self, way: Way) -> Option<u32> {
        self.proxy(way).map(|proxy| proxy.process.id())
    }

    /// What keybound has allowed so far.
    pub fn allowed(&self) -> u64 {
        let (_, _, text) = told::get(self.estate.options.probes.port(), "probes", "/metrics").expect("metrics");
        told::metric(&text, "keybound_decisions_total", &[("code", "allowed")]) as u64
    }

    /// A counter of that Envoy whose name ends so.
    pub fn counter(&self, way: Way, name: &str) -> u64 {
        let admin = self.proxy(way).expect("an Envoy").admin;
        let (_, _, text) = told::get(admin, "admin", "/stats").expect("its counters");
        // The answer comes in chunks, whose lengths stand between the lines.
        let counters = text.lines().filter_map(|line| line.split_once(": "));
        counters.filter(|(of, _)| of.ends_with(name)).filter_map(|(_, value)| value.trim().parse::<u64>().ok()).sum()
    }
}

impl Proxy {
    fn start(name: &str, filter: &Filter<'_>, directory: &Path, api: u16, workers: usize, cores: &Cores) -> Self {
        let (port, admin) = (free_port(), free_port());
        let config = directory.join(format!("{name}.yaml"));
        std::fs::write(&config, render(filter, directory, [port, admin, api])).expect("a written file");
        let (config, workers) = (config.display().to_string(), workers.to_string());
        // Without hot restart it lives beside any other Envoy of the machine.
        let arguments =
            ["--config-path", &config, "--disable-hot-restart", "--concurrency", &workers, "--log-level", "error"];
        let process = Process::start(&envoy(), &arguments, &directory.join(format!("{name}.log")), cores);
        Self { process, port, admin }
    }
}

fn start_keybound(estate: &Estate, directory: &Path, cores: &Cores) -> Process {
    let (program, config) = (Path::new(env!("CARGO_BIN_EXE_keybound")), estate.config().display().to_string());
    Process::start(program, &["serve", "--config", &config], &directory.join("keybound.log"), cores)
}

fn start_api(port: u16, directory: &Path, cores: &Cores) -> Process {
    let program: PathBuf = std::env::current_exe().expect("this program");
    Process::start(&program, &[app::WORD, &port.to_string()], &directory.join("api.log"), cores)
}

fn own(key_set: &Path) -> Own<'_> {
    let path = "/v1/payments/[^/]+";
    Own { issuer: ISSUER, audience: AUDIENCE, key_set, scope: "payments.read", method: METHOD, path }
}
