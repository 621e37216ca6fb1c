//! No file descriptors are left: what stands is answered, the listeners go on, and say so now and then.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::PREFACE;
use crate::lab::place::free_port;
use crate::lab::{Lab, Plan, told, until};
use crate::requests::dpop;
use crate::send::{Direct, http1};
use crate::support::{Encoding, pki};

/// Connections that are opened at once, far more than descriptors are left.
const CROWD: usize = 40;
/// How long they are left waiting.
const WAIT: Duration = Duration::from_secs(3);

/// Where the system tells of the lab's keybound.
fn process(lab: &Lab) -> PathBuf {
    let config = lab.directory.join("keybound.yaml").display().to_string();
    let is_it = |path: &PathBuf| {
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == config.as_bytes())
    };
    std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).find(is_it).expect("a process")
}

/// How long it has been computing so far, in hundredths of a second.
fn computed(process: &std::path::Path) -> u64 {
    let text = std::fs::read_to_string(process.join("stat")).unwrap();
    // After the name, which may hold anything: fields 3 and on; 14 and 15 are user and system time.
    let fields: Vec<_> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test]
async fn without_descriptors_what_stands_is_answered_and_nothing_spins() {
    let lab = Lab::ready("crowd", &Plan::default());
    let process = process(&lab);
    let standing = Direct::tcp(lab.ports.check).await;
    standing.check(&dpop().build(), Encoding::Raw).await.allowed();
    let open = std::fs::read_dir(process.join("fd")).unwrap().count();
    let limited = |most: usize| {
        let id = process.file_name().unwrap().to_str().unwrap();
        let limit = Command::new("prlimit").args(["--pid", id, &format!("--nofile={most}:")]).status();
        assert!(limit.expect("prlimit (Debian: util-linux)").success());
    };
    limited(open);
    let seen = told::length(lab.log());
    let crowd: Vec<_> = [lab.ports.check, lab.ports.probes, lab.ports.public]
        .into_iter()
        .flat_map(|port| (0..CROWD).map(move |_| TcpStream::connect(("127.0.0.1", port)).unwrap()))
        .collect();
    let before = computed(&process);
    let begun = std::time::Instant::now();
    while begun.elapsed() < WAIT {
        standing.check(&dpop().build(), Encoding::Raw).await.allowed();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // A loop that spins computes all the time.
    assert!(computed(&process) - before < 150, "{} of 300", computed(&process) - before);
    let told = told::rest_of(lab.log(), seen);
    let told = String::from_utf8(told).unwrap();
    for listener in ["edge", "probes", "public"] {
        let line = |line: &&str| {
            line.contains("connections cannot be accepted") && line.contains(&format!("\"listener\":\"{listener}\""))
        };
        assert_eq!(told.lines().filter(line).count(), 1, "{listener}: {told}");
    }
    limited(1024);
    drop(crowd);
    until("probes are answered again", Duration::from_secs(20), || lab.is_ready().then_some(()));
    Direct::tcp(lab.ports.check).await.check(&dpop().build(), Encoding::Raw).await.allowed();
}

#[tokio::test]
async fn silent_callers_of_a_tls_listener_take_few_descriptors_and_go() {
    let port = free_port();
    let plan = Plan {
        listeners: format!(
            "    - {{ name: tls, address: \"127.0.0.1:{port}\", tls: {{ certificate: server.crt, key: server.key, \
             client_ca: clients-ca.crt }} }}\n"
        ),
        ..Plan::default()
    };
    let lab = Lab::ready("silent-tls", &plan);
    let process = process(&lab);
    let descriptors = || std::fs::read_dir(process.join("fd")).unwrap().count();
    let before = descriptors();
    let (mut silent, mut most) = (Vec::new(), 0);
    for _ in 0..6 {
        // The system's own queue is short, and what does not fit comes again a second later.
        silent.extend((0..50).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()));
        std::thread::sleep(Duration::from_millis(150));
        most = most.max(descriptors().saturating_sub(before));
    }
    assert!((50..=260).contains(&most), "{most} descriptors");
    // Other listeners are not concerned, and whoever waits is served when the silent ones have had their time.
    assert!(lab.is_ready());
    Direct::tcp(lab.ports.check).await.check(&dpop().build(), Encoding::Raw).await.allowed();
    assert!(!http1::first_words(port, "keybound.test", Some(&pki().gateway), PREFACE).await.is_empty());
    let failed =
        told::line("a line in the log", lab.log(), |line| line["message"] == "a TLS handshake on a listener failed");
    assert_eq!(failed["why"], "not over after 5 seconds");
    drop(silent);
}
