//! Who may ask: a Unix socket, TLS both ways, a list of callers; and what a listener does when there are too many.

mod crowd;
mod rotation;

use std::time::Duration;

use tokio::net::TcpStream;

use crate::lab::place::free_port;
use crate::lab::process::Signal;
use crate::lab::{Lab, Plan, Road, Variant, told};
use crate::requests::{dpop, mtls};
use crate::send::{Direct, http1};
use crate::support::Encoding;
use crate::support::pki;
use crate::support::pki::GATEWAY;

#[tokio::test]
async fn a_unix_socket_serves_and_survives_a_crash() {
    // A short path: the name of a socket may have 107 bytes.
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("check.sock");
    let plan = Plan {
        listeners: format!("    - {{ name: socket, address: \"unix:{}\" }}\n", socket.display()),
        ..Plan::default()
    };
    let lab = Lab::ready("unix", &plan);
    let edge = lab.edge_as(&Variant::new("socket", Road::Unix(socket.clone())));
    for request in [dpop().build(), mtls().build()] {
        let answer = edge.send(&request).await;
        answer.allowed();
        assert_eq!(answer.log_line()["point"], "socket");
    }
    let request = dpop().build();
    Direct::unix(&socket).await.check(&request, Encoding::Raw).await.allowed();
    // Another enforcement point remembers for itself.
    Direct::tcp(lab.ports.check).await.check(&request, Encoding::Raw).await.allowed();
    Direct::unix(&socket).await.check(&request, Encoding::Raw).await.denied("proof_replayed", 401);

    // What a killed process leaves is replaced; what an ended one leaves is removed.
    lab.keybound().kill();
    assert!(socket.exists());
    lab.start_again();
    lab.wait_until_ready();
    edge.send(&mtls().build()).await.allowed();
    lab.keybound().signal(Signal::Terminate);
    assert!(lab.keybound().wait(Duration::from_secs(8)).success());
    assert!(!socket.exists());
}

#[tokio::test]
async fn only_listed_callers_get_an_answer() {
    let port = free_port();
    let plan = Plan {
        listeners: format!(
            "    - {{ name: tls, address: \"127.0.0.1:{port}\", tls: {{ certificate: server.crt, key: server.key, \
             client_ca: clients-ca.crt, callers: [\"{GATEWAY}\"] }} }}\n"
        ),
        ..Plan::default()
    };
    let lab = Lab::ready("tls", &plan);
    let listed = lab.edge_as(&Variant::new("listed", Road::Tls(port, "caller")));
    for request in [dpop().build(), mtls().build()] {
        let answer = listed.send(&request).await;
        answer.allowed();
        assert_eq!(answer.log_line()["point"], "tls");
    }
    // A certificate of the same CA that is not on the list gets nothing, not even a no; so does no certificate, and plain text.
    let unlisted = lab.edge_as(&Variant::new("unlisted", Road::Tls(port, "other")));
    let answer = unlisted.send(&dpop().build()).await;
    assert_eq!((answer.response.status, answer.code()), (503, "(no decision)"), "{answer:?}");
    assert!(answer.reached.is_none());
    let said = async |leaf| http1::first_words(port, "keybound.test", leaf, PREFACE).await;
    assert!(!said(Some(&pki().gateway)).await.is_empty(), "the listed caller is greeted");
    for leaf in [Some(&pki().other), Some(&pki().rogue), Some(&pki().expired), None] {
        assert_eq!(said(leaf).await, b"");
    }
    assert!(refuses_plain(TcpStream::connect(("127.0.0.1", port)).await.unwrap()).await);
    let turned_away = "a caller that is not listed was turned away from a check listener";
    told::line("a line in the log", lab.log(), |line| line["message"] == turned_away);
    listed.send(&dpop().build()).await.allowed();
}

/// How HTTP/2 begins, with empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Whether a caller without TLS gets nothing but an alert.
async fn refuses_plain(mut stream: TcpStream) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    stream.write_all(PREFACE).await.unwrap();
    let mut said = Vec::new();
    let ended = stream.read_to_end(&mut said).await;
    // 21: a TLS alert.
    ended.is_err() || said.is_empty() || said[0] == 21
}
