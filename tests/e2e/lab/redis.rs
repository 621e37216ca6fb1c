//! A real Redis on a loopback port, and a cluster of three.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::place::{self, until};
use super::process::{Process, Signal};

const START: Duration = Duration::from_secs(20);

/// A Redis that keeps nothing on its disk, unless it is told to.
pub struct Redis {
    pub port: u16,
    directory: PathBuf,
    options: Vec<String>,
    /// A password that every connection of ours shows first.
    password: Option<String>,
    process: Mutex<Process>,
}

impl Redis {
    pub fn start(name: &str, options: &[&str]) -> Self {
        Self::start_with_password(name, options, None)
    }

    /// One whose `default` user has this password.
    pub fn start_with_password(name: &str, options: &[&str], password: Option<&str>) -> Self {
        Self::start_at(place::free_port(), name, options, password)
    }

    fn start_at(port: u16, name: &str, options: &[&str], password: Option<&str>) -> Self {
        let directory = place::directory(name);
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        let process = Mutex::new(start(port, &directory, &options));
        let redis = Self { port, directory, options, password: password.map(str::to_owned), process };
        redis.wait_until_ready();
        redis
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn kill(&self) {
        self.process().kill();
    }

    /// The way to it breaks, and it does not know.
    pub fn stop(&self) {
        self.process().signal(Signal::Stop);
    }

    pub fn go_on(&self) {
        self.process().signal(Signal::Continue);
    }

    /// Starts it again; the one before must have ended.
    pub fn start_again(&self) {
        let mut process = self.process();
        assert!(process.ended().is_some(), "it is still running");
        *process = start(self.port, &self.directory, &self.options);
        drop(process);
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        until("Redis answers", START, || {
            self.process().must_run();
            self.try_ask(&["PING"]).filter(|answer| answer == "PONG")
        });
    }

    /// Asks it by itself, over a connection of its own; texts and numbers as they are, nil as an empty text.
    pub fn ask(&self, command: &[&str]) -> String {
        self.try_ask(command).expect("an answer of Redis")
    }

    /// The same with any bytes; of its answer whatever is a text.
    #[allow(dead_code, reason = "one suite asks")]
    pub fn ask_bytes(&self, command: &[&[u8]]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("Redis");
        let mut text = format!("*{}\r\n", command.len()).into_bytes();
        for word in command {
            text.extend(format!("${}\r\n", word.len()).bytes().chain(word.iter().copied()).chain(*b"\r\n"));
        }
        stream.write_all(&text).expect("Redis takes it");
        let (mut stream, mut line) = (BufReader::new(stream), String::new());
        stream.read_line(&mut line).expect("an answer");
        let length = line.trim_end().strip_prefix('$').and_then(|length| length.parse::<usize>().ok());
        let mut answer = vec![0; length.unwrap_or_default()];
        stream.read_exact(&mut answer).expect("an answer");
        assert!(!line.starts_with('-'), "{line}");
        answer
    }

    fn try_ask(&self, command: &[&str]) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        if let Some(password) = &self.password {
            send(&mut stream, &["AUTH", password])?;
        }
        send(&mut stream, command)
    }
}

fn send(stream: &mut TcpStream, command: &[&str]) -> Option<String> {
    let mut text = format!("*{}\r\n", command.len());
    for word in command {
        write!(text, "${}\r\n{word}\r\n", word.len()).ok()?;
    }
    stream.write_all(text.as_bytes()).ok()?;
    answer(&mut BufReader::new(stream))
}

/// Of a list, its items with commas between them.
fn answer(stream: &mut BufReader<&mut TcpStream>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let (kind, rest) = line.trim_end().split_at_checked(1)?;
    match kind {
        "$" => {
            let Ok(length) = rest.parse::<usize>() else { return Some(String::new()) };
            let mut text = vec![0; length + 2];
            stream.read_exact(&mut text).ok()?;
            text.truncate(length);
            String::from_utf8(text).ok()
        }
        "*" => (0..rest.parse().ok()?).map(|_| answer(stream)).collect::<Option<Vec<_>>>().map(|items| items.join(",")),
        _ => Some(rest.to_owned()),
    }
}

fn start(port: u16, directory: &Path, options: &[String]) -> Process {
    let log = directory.join("redis.log");
    let (port, directory) = (port.to_string(), directory.display().to_string());
    let usual = ["--port", &port, "--bind", "127.0.0.1", "--dir", &directory, "--save", "", "--appendonly", "no"];
    let arguments: Vec<_> = usual.into_iter().chain(options.iter().map(String::as_str)).collect();
    Process::start(&program("redis-server"), &arguments, &log, &log)
}

/// A program of Redis, or a word on how to get it.
pub fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/redis/bin").join(name);
    assert!(program.exists(), "{} is missing: run `make tools`", program.display());
    program
}

/// Sentinels that watch over a primary, and most of which must agree.
#[allow(dead_code, reason = "one suite asks")]
pub struct Sentinels(pub Vec<(u16, Process)>);

#[allow(dead_code, reason = "one suite asks")]
impl Sentinels {
    /// Three of them, which notice within half a second.
    pub fn start(name: &str, called: &str, primary: &Redis) -> Self {
        let one = |number| {
            let (port, directory) = (place::free_port(), place::directory(&format!("{name}-sentinel-{number}")));
            let file = directory.join("sentinel.conf");
            let watched = primary.port;
            let text = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {called} 127.0.0.1 {watched} 2\n\
                 sentinel down-after-milliseconds {called} 500\nsentinel failover-timeout {called} 3000\n",
                directory.display()
            );
            std::fs::write(&file, text).expect("a written file");
            let (log, file) = (directory.join("sentinel.log"), file.display().to_string());
            (port, Process::start(&program("redis-server"), &[&file, "--sentinel"], &log, &log))
        };
        let sentinels = Self((0..3).map(one).collect());
        for (port, _) in &sentinels.0 {
            until("the Sentinels know each other and the replica", START, || {
                let mut stream = TcpStream::connect(("127.0.0.1", *port)).ok()?;
                let known = send(&mut stream, &["SENTINEL", "MASTER", called])?;
                (known.contains("num-other-sentinels,2") && known.contains("num-slaves,1")).then_some(())
            });
        }
        sentinels
    }

    /// Where they are, as a list of YAML.
    pub fn addresses(&self) -> Vec<String> {
        self.0.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect()
    }
}

/// A port for a node of a cluster: nodes speak to each other ten thousand above it, and there it must be free too.
fn node_port() -> u16 {
    loop {
        let port = place::free_port() - 10_000;
        if port < 20_000 && std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A cluster: three that are written to, each with a replica if that is wanted.
pub struct Cluster(pub Vec<Redis>);

impl Cluster {
    pub fn start(name: &str, replicas: usize) -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--repl-diskless-sync-delay", "0"];
        let node = |number| Redis::start_at(node_port(), &format!("{name}-{number}"), &options, None);
        let nodes: Vec<_> = (0..3 * (1 + replicas)).map(node).collect();
        let log = place::directory(name).join("create.log");
        let addresses: Vec<_> = nodes.iter().map(Redis::address).collect();
        let replicas = replicas.to_string();
        let mut arguments = vec!["--cluster", "create"];
        arguments.extend(addresses.iter().map(String::as_str));
        arguments.extend(["--cluster-replicas", &replicas, "--cluster-yes"]);
        let mut create = Process::start(&program("redis-cli"), &arguments, &log, &log);
        assert!(create.wait(START).success(), "{}", log.display());
        let cluster = Self(nodes);
        for node in &cluster.0 {
            until("the cluster is up", START, || {
                node.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok").then_some(())
            });
            until("replicas have what there is", START, || {
                let replication = node.ask(&["INFO", "replication"]);
                (replication.contains("role:master") || replication.contains("master_link_status:up")).then_some(())
            });
        }
        cluster
    }

    /// Begins to move slots, with what is in them, from one node to another.
    #[allow(dead_code, reason = "one suite asks")]
    pub fn move_slots(&self, from: usize, to: usize, slots: usize) -> Process {
        let log = self.0[from].directory.join("move.log");
        let [from_id, to_id] = [from, to].map(|node| self.0[node].ask(&["CLUSTER", "MYID"]));
        let (address, slots) = (self.0[from].address(), slots.to_string());
        let arguments = ["--cluster", "reshard", &address, "--cluster-from", &from_id, "--cluster-to", &to_id];
        let rest = ["--cluster-slots", &slots, "--cluster-yes"];
        let arguments: Vec<_> = arguments.into_iter().chain(rest).collect();
        Process::start(&program("redis-cli"), &arguments, &log, &log)
    }

    /// Where to ask first: as a list of YAML.
    pub fn addresses(&self) -> String {
        self.0.iter().map(Redis::address).collect::<Vec<_>>().join(", ")
    }
}
