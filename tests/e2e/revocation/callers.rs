//! Who may not call the admin listener: strangers with a bearer, a certificate, nothing, or ten thousand guesses.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::{BEARER, Desk, bearer_of, keybound};
use crate::lab::files::server_certificate;
use crate::lab::place::{directory, free_port};
use crate::lab::{Lab, Plan, secrets, told};
use crate::requests::{ISSUER, mtls};
use crate::support::pki::GATEWAY;
use crate::support::{Leaf, pki};

const OTHER: &str = "spiffe://example.org/ns/a/sa/client-2";
const ASK: [&str; 7] = ["client", "--issuer", ISSUER, "--client-id", "robot", "--reason", "an exercise"];

fn said(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn certificates_let_in_who_is_listed_and_no_further_than_it_may() {
    let port = free_port();
    let place = directory("admin-tls");
    secrets::keep(BEARER);
    std::fs::write(place.join("soc.bearer"), BEARER).unwrap();
    let plan = Plan {
        listeners: format!(
            "  admin: {{ address: \"127.0.0.1:{port}\", tls: {{ certificate: server.crt, key: server.key, \
             client_ca: clients-ca.crt }} }}\n"
        ),
        sections: format!(
            "admin:\n  callers:\n    - {{ name: gateway, certificate: \"{GATEWAY}\", may: [revoke] }}\n    \
             - {{ name: reader, certificate: \"{OTHER}\", may: [read] }}\n    \
             - {{ name: soc, bearer_file: soc.bearer, may: [read, revoke, cancel] }}\n"
        ),
        ..Plan::default()
    };
    let lab = Lab::ready("admin-tls", &plan);
    let edge = lab.edge();
    let file = |name: &str| lab.directory.join(name).display().to_string();
    // The certificate is for this name; nobody resolves it, so the address stands in the URL.
    let admin = format!("https://127.0.0.1:{port}");
    let leaf = |name: &str, leaf: &Leaf| {
        std::fs::write(file(&format!("{name}.crt")), format!("{}{}", leaf.pem(), leaf.chain_pem)).unwrap();
        std::fs::write(file(&format!("{name}.key")), &leaf.key_pem).unwrap();
    };
    leaf("rogue", &pki().rogue);
    leaf("stranger", &pki().client);
    let ca = [server_certificate().pem.as_str()];
    let client = |name: Option<&str>| {
        let roots = ca.map(|pem| reqwest::Certificate::from_pem(pem.as_bytes()).unwrap());
        let builder = Client::builder().no_proxy().tls_certs_only(roots);
        let builder = builder.resolve("keybound.test", ([127, 0, 0, 1], port).into());
        let Some(name) = name else { return builder.build().unwrap() };
        let pem = std::fs::read_to_string(file(&format!("{name}.crt"))).unwrap();
        let key = std::fs::read_to_string(file(&format!("{name}.key"))).unwrap();
        builder.identity(reqwest::Identity::from_pem(format!("{pem}{key}").as_bytes()).unwrap()).build().unwrap()
    };
    let url = format!("https://keybound.test:{port}/v1/revocations");
    let body = json!({ "target": { "kind": "client", "issuer": ISSUER, "client_id": "robot" }, "reason": "x" });
    let ask = async |name: Option<&str>| {
        let sent = client(name).post(&url).body(body.to_string()).send().await;
        sent.map(|answer| (answer.status().as_u16(), answer.version())).map_err(|_| ())
    };
    assert_eq!(ask(Some("rogue")).await, Err(()), "of another CA: no handshake");
    assert_eq!(ask(None).await, Ok((401, reqwest::Version::HTTP_2)));
    assert_eq!(ask(Some("stranger")).await.unwrap().0, 401, "of the CA, and nobody who is listed");
    assert_eq!(ask(Some("other")).await.unwrap().0, 403, "listed, and may only read");
    edge.send(&mtls().build()).await.allowed();
    assert_eq!(ask(Some("caller")).await.unwrap().0, 201);
    edge.send(&mtls().build()).await.denied("token_revoked", 401);
    let list = async |name: &str| client(Some(name)).get(&url).send().await.unwrap().status().as_u16();
    assert_eq!((list("caller").await, list("other").await), (403, 200));
    // Its own client: a name that is not in the certificate, and no CA that it knows.
    let (certificate, key, authority) = (file("caller.crt"), file("caller.key"), file("server.crt"));
    let asked = [&ASK[..], &["--admin", &admin, "--cert", &certificate, "--key", &key]].concat();
    for trusted in [&["--ca", &authority][..], &[]] {
        let output = keybound(&[&asked[..], trusted].concat());
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(
            said(&output).contains("certificate") && said(&output).contains("ask again with --id"),
            "{}",
            said(&output)
        );
    }
    let audited = told::line("the audit", lab.log(), |line| line["message"] == "admin call" && line["status"] == 201);
    assert_eq!(
        (&audited["caller"], &audited["call"], &audited["outcome"]),
        (&json!("gateway"), &json!("revoke"), &json!("new"))
    );
    assert!(audited["revocation"].is_string(), "{audited}");
}

#[tokio::test]
async fn a_bearer_that_changes_counts_from_then_on() {
    let desk = Desk::open("bearers");
    let new = "soc-00112233445566778899aabbccddeeff";
    secrets::keep(new);
    let path = bearer_of(&desk.lab.directory);
    let ours = desk.lab.directory.join("ours.bearer");
    let ask = |bearer: &str| {
        std::fs::write(&ours, bearer).unwrap();
        let admin = format!("http://127.0.0.1:{}", desk.port);
        keybound(&[&ASK[..], &["--admin", &admin, "--bearer-file", &ours.display().to_string()]].concat())
    };
    assert!(ask(BEARER).status.success());
    let refused = ask(new);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("NOT REVOKED (status 401"), "{}", said(&refused));
    assert!(!said(&refused).contains(new), "{}", said(&refused));
    // Too short a one changes nothing.
    std::fs::write(&path, "short").unwrap();
    told::line("a bearer that is refused", desk.lab.log(), |line| {
        line["what"] == "admin bearers" && line["level"] == "ERROR"
    });
    assert!(ask(BEARER).status.success());
    std::fs::write(&path, new).unwrap();
    told::line("the new bearer", desk.lab.log(), |line| {
        line["caller"] == "soc" && line["message"] == "new files are served"
    });
    assert!(ask(new).status.success());
    assert_eq!(ask(BEARER).status.code(), Some(1));
    // Nobody is sent to another machine in plain text.
    let output = keybound(&[&ASK[..], &["--admin", "http://192.0.2.1:1", "--bearer-file", &path]].concat());
    assert!(said(&output).contains("is not https"), "{}", said(&output));
}

#[tokio::test]
async fn ten_thousand_guesses_cost_little_and_hold_up_nobody() {
    let desk = Desk::open("guesses");
    let edge = desk.lab.edge();
    let url = format!("http://127.0.0.1:{}/v1/revocations", desk.port);
    let guess = |client: Client, from: u32| {
        let url = url.clone();
        async move {
            let mut seen = [0_u32; 3];
            for number in from..from + 125 {
                let sent = client.post(&url).bearer_auth(format!("guess-{number:040}")).body("{}").send().await;
                // Nobody's connections end after a while, also while they ask.
                match sent.map(|answer| answer.status().as_u16()) {
                    Ok(401) => seen[0] += 1,
                    Ok(429) => seen[1] += 1,
                    Ok(other) => panic!("status {other}"),
                    Err(_) => seen[2] += 1,
                }
            }
            seen
        }
    };
    let guesses: Vec<_> = (0..80)
        .map(|number| tokio::spawn(guess(Client::builder().no_proxy().build().unwrap(), number * 125)))
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    let told = tokio::task::spawn_blocking({
        let (directory, port) = (desk.lab.directory.clone(), desk.port);
        move || {
            keybound(
                &[&ASK[..], &["--admin", &format!("http://127.0.0.1:{port}"), "--bearer-file", &bearer_of(&directory)]]
                    .concat(),
            )
        }
    });
    let told = told.await.unwrap();
    assert!(told.status.success(), "{}", said(&told));
    eprintln!("a revocation among guesses took {:?}", begun.elapsed());
    edge.send(&mtls().build()).await.denied("token_revoked", 401);
    let mut seen = [0; 3];
    for guess in guesses {
        let more = guess.await.unwrap();
        seen.iter_mut().zip(more).for_each(|(seen, more)| *seen += more);
    }
    assert_eq!(seen.iter().sum::<u32>(), 10_000);
    assert!(seen[1] > 5_000 && seen[2] < 2_000, "held up, refused, cut off: {seen:?}");
    let lines = std::fs::read_to_string(desk.lab.log()).unwrap();
    let audited: Vec<Value> = lines
        .lines()
        .filter(|line| line.contains("an admin call by nobody"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!((1..=400).contains(&audited.len()), "{} lines", audited.len());
}

#[tokio::test]
async fn what_is_absurd_is_refused_and_harms_nothing() {
    let desk = Desk::open("absurd");
    let url = format!("http://127.0.0.1:{}/v1/revocations", desk.port);
    // A connection that was cut off is not used again.
    let client = Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let post = async |body: String| {
        let sent = client.post(&url).bearer_auth(BEARER).body(body).send().await;
        sent.map_or(0, |answer| answer.status().as_u16())
    };
    let good = json!({ "target": { "kind": "issuer", "issuer": ISSUER }, "reason": "x" }).to_string();
    let statuses = [
        post(format!("\"{}\"", "x".repeat(70_000))).await,
        post(format!("[{}]", "1,".repeat(1_000_000))).await,
        post(good.replacen("\"reason\"", "\"reason\":\"y\",\"reason\"", 1)).await,
        post("\0\u{1}".to_owned()).await,
    ];
    // Whoever sends on while it is refused may find the connection gone.
    assert!(statuses[0] == 413 && [413, 0].contains(&statuses[1]) && statuses[2..] == [422, 400], "{statuses:?}");
    let long = client.get(&url).bearer_auth("x".repeat(20_000)).send().await;
    assert!(long.map_or(0, |answer| answer.status().as_u16()) != 200);
    assert_eq!(post(good).await, 201);
    let (_, _, ready) = told::get(desk.lab.ports.probes, "probes", "/readyz").unwrap();
    assert!(ready.starts_with("ok\nrevocations: 1 in force"), "{ready}");
}

#[tokio::test]
async fn silent_connections_hold_up_a_revocation_for_some_seconds_at_most() {
    let desk = Desk::open("silent");
    let edge = desk.lab.edge();
    let mut silent = Vec::new();
    for number in 0..128 {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", desk.port)).await.unwrap();
        if number % 2 == 0 {
            // HTTP/2, and then nothing.
            stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        }
        silent.push(stream);
    }
    let begun = Instant::now();
    desk.done(&ASK);
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    edge.send(&mtls().build()).await.denied("token_revoked", 401);
    drop(silent);
}
