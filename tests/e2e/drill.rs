//! `keybound drill revoke` through real Envoys: what it says held is what held, and what did not is found.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

use crate::introspection;
use crate::introspection::authority::Authority;
use crate::lab::redis::Redis;
use crate::lab::{
    Edge, Lab, Plan, Road, Variant, files, must_be_free_of_secrets, place, secrets, serve_in_background, until,
};
use crate::requests::{ITEMS, dpop_at, mtls, opaque_dpop};
use crate::revocation::{BEARER, Desk, bearer_of, token_of};
use crate::send::Direct;
use crate::support::issuers::AUDIENCE;
use crate::support::{Encoding, Leaf, Request, base64url, pki, thumbprint};

const NONCE: &str = "nonce.example.com";
const QUICK: [&str; 4] = ["--hold", "400ms", "--interval", "20ms"];

/// A drill's files, and what it is told of the admin listener and the world.
struct Drill {
    directory: PathBuf,
    arguments: Vec<String>,
}

impl Drill {
    /// For the caller of a desk.
    fn at(admin: u16, directory: &Path) -> Self {
        let mut drill = Self { directory: directory.to_owned(), arguments: Vec::new() };
        let trusted = ["server.crt", "as.crt"].map(|name| std::fs::read(directory.join(name)).unwrap_or_default());
        let ca = drill.file("drill-ca.pem", trusted.join(&b'\n'));
        let admin = format!("http://127.0.0.1:{admin}");
        drill.with(&["--admin", &admin, "--bearer-file", &bearer_of(directory), "--ca-file", &ca]);
        drill.with(&QUICK);
        drill
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        files::replace(&self.directory.join(name), content);
        self.directory.join(name).display().to_string()
    }

    fn with(&mut self, arguments: &[&str]) {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    }

    /// Shows a certificate.
    fn certified(&mut self, leaf: &Leaf) {
        files::keep_leaf(leaf);
        let certificate = self.file("canary.crt", leaf.pem() + &leaf.chain_pem);
        let key = self.file("canary.key", &leaf.key_pem);
        self.with(&["--certificate-file", &certificate, "--certificate-key-file", &key]);
    }

    /// Shows the token of this request.
    fn token_of(&mut self, request: &Request) {
        let token = token_of(request);
        secrets::keep(&token);
        let file = self.file("canary.jwt", token);
        self.with(&["--token-file", &file]);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut keybound = Command::new(env!("CARGO_BIN_EXE_keybound"));
        keybound.args(["drill", "revoke"]).args(arguments).args(&self.arguments);
        keybound
    }

    /// Makes the drill; its exit code and all that it said, which holds no secret.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let begun = Instant::now();
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("keybound");
        let said = String::from_utf8([stdout, stderr].concat()).expect("text");
        must_be_free_of_secrets("the drill's output", said.as_bytes());
        eprintln!("{arguments:?}: {status} after {:?}\n{said}", begun.elapsed());
        (status.code(), said)
    }

    /// The same; the record that it wrote.
    fn recorded(&self, arguments: &[&str]) -> (Option<i32>, String, Value) {
        let path = self.directory.join("record.json");
        let written = ["--record", &path.display().to_string(), "--force"];
        let (code, said) = self.run(&[arguments, &written].concat());
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("no record: {error}\n{said}"));
        must_be_free_of_secrets("the record", &text);
        (code, said, serde_json::from_slice(&text).expect("a record"))
    }
}

fn edge_called(lab: &Lab, name: &'static str) -> Edge {
    lab.edge_as(&Variant::new(name, Road::Tcp(lab.ports.check)))
}

fn way_in(host: &str, edge: &Edge) -> String {
    format!("https://{host}/items/7?secret=of-the-query via 127.0.0.1:{}", edge.port)
}

fn point<'r>(record: &'r Value, name: &str) -> &'r Value {
    let points = record["entry_points"].as_array().expect("entry points");
    points.iter().find(|point| point["name"] == name).unwrap_or_else(|| panic!("no {name} in {record}"))
}

/// What is in force or was.
fn listed(desk: &Desk) -> usize {
    String::from_utf8(desk.revoke(&["list"]).stdout).expect("text").lines().count()
}

#[tokio::test]
async fn canaries_of_a_real_server_are_denied_at_every_way_in_and_the_record_says_so() {
    let directory = place::directory("drill-held");
    let authority = Authority::start(&directory);
    let asks = format!(
        "url: \"{}/token/introspection\", client_id: keybound-basic, auth: {{ client_secret_basic: secret }}",
        authority.issuer
    );
    let mut plan = introspection::plan(&authority.issuer, &asks);
    plan.sections += "jwks: { ca_file: as.crt }\n";
    let desk = Desk::planned("drill-held", plan);
    let (west, east) = (edge_called(&desk.lab, "west"), edge_called(&desk.lab, "east"));
    // The first question to the server takes longer than a check may.
    let (direct, first) = (Direct::tcp(desk.lab.ports.check).await, authority.token("robot").await);
    let begun = Instant::now();
    while direct.check(&opaque_dpop(&first).build(), Encoding::Raw).await.slug != "allowed" {
        assert!(begun.elapsed() < Duration::from_secs(20), "the server cannot be asked");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let mut drill = Drill::at(desk.port, &directory);
    let (target, other) = (way_in("opaque.example.com", &west), way_in("opaque.example.com", &east));
    let endpoint = format!("{}/token", authority.issuer);
    let other = format!("east={other}");
    drill.with(&["--target", &target, "--entry-point", &other, "--issuer", &authority.issuer]);
    drill.with(&["--token-endpoint", &endpoint, "--scope", "items.read", "--resource", AUDIENCE, "--case", "EX-2"]);
    let own = directory.join("own.key").display().to_string();
    let (code, said, record) = drill.recorded(&["--client-id", "jwt-robot", "--client-key-file", &own, "--dpop"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("HELD: denied at every way in within"), "{said}");
    assert_eq!((&record["format"], &record["held"]), (&json!("keybound.drill.v1"), &json!(true)));
    assert_eq!((&record["objective_ms"], &record["hold_ms"]), (&json!(5_000), &json!(400)));
    assert_eq!(record["canary"]["shown_with"], "dpop", "{record}");
    assert_eq!(record["revoked"]["target"]["kind"], "token_hash", "an opaque token has no other name");
    for name in ["opaque.example.com", "east"] {
        let point = point(&record, name);
        assert_eq!((&point["verdict"], &point["allowed_before"]), (&json!("held"), &json!(3)), "{point}");
        let denial = json!([point["denial"]["status"], point["denial"]["error"], point["denial"]["class"]]);
        assert_eq!(denial, json!([401, "invalid_token", "token"]), "{point}");
        assert!(point["denied_tries"].as_u64() >= Some(2) && point["broken_tries"] == 0, "{point}");
        assert!(point["held_denied_ms"].as_u64() <= record["worst_ms"].as_u64(), "{record}");
        assert_eq!(point["url"], "https://opaque.example.com/items/7", "without its query");
    }
    let id = record["revoked"]["id"].as_str().expect("an id");
    let shown = desk.done(&["show", id]);
    assert_eq!((&shown["entry"]["case"], &shown["state"]), (&json!("EX-2"), &json!("in_force")), "{shown}");
    assert_eq!(shown["entry"]["asked_at"], record["asked"], "{record}");

    // Bound to the certificate of the connection; what is revoked hits more, and is taken back.
    drill.certified(&pki().client);
    let secret = directory.join("secret").display().to_string();
    let client = ["--client-id", "mtls-robot", "--client-secret-file", &secret, "--client-secret-in", "post"];
    let wide = ["--revoke", "certificate", "--take-back"];
    let (code, said, record) = drill.recorded(&[&client[..], &wide].concat());
    assert_eq!((code, &record["canary"]["shown_with"]), (Some(0), &json!("certificate")), "{said}");
    assert_eq!(record["revoked"]["taken_back"], json!(true), "{record}");
    let id = record["revoked"]["id"].as_str().expect("an id");
    assert_eq!(desk.done(&["show", id])["state"], "cancelled");

    // Nobody who is refused at the authorization server has a canary.
    let (before, stranger) = (listed(&desk), ["--client-id", "nobody", "--client-secret-file", &secret]);
    let (code, said) = drill.run(&stranger);
    assert!(code == Some(2) && said.contains("no canary: ") && said.contains("invalid_client"), "{said}");
    assert_eq!(listed(&desk), before);
}

/// A replica with a journal and an admin listener of its own, whose caller may take nothing back.
fn replica(name: &str, redis: Option<&Redis>) -> Desk {
    let directory = place::directory(name);
    std::fs::write(directory.join("soc.bearer"), BEARER).expect("a written file");
    std::fs::write(directory.join("fleet.key"), [7; 32]).expect("a written file");
    let port = place::free_port();
    let shared = if redis.is_some() { ", shared: { key_files: [fleet.key] }" } else { "" };
    let at = redis.map_or_else(String::new, |redis| format!("redis: {{ addresses: [\"{}\"] }}\n", redis.address()));
    let plan = Plan {
        listeners: format!("  admin: {{ address: \"127.0.0.1:{port}\" }}\n"),
        sections: format!(
            "revocations: {{ journal: revocations{shared} }}\n{at}\
             admin: {{ callers: [{{ name: soc, bearer_file: soc.bearer, may: [read, revoke] }}] }}\n"
        ),
        ..Plan::default()
    };
    secrets::keep(BEARER);
    Desk { lab: Lab::ready(name, &plan), port }
}

/// One address for several gateways, which take connections by turns; its port.
fn balancer(behind: [u16; 2]) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            for next in behind.into_iter().cycle() {
                let (mut client, _) = listener.accept().await.expect("a connection");
                tokio::spawn(async move {
                    let mut gateway = tokio::net::TcpStream::connect(("127.0.0.1", next)).await.expect("a gateway");
                    // Either may be the one that leaves.
                    tokio::io::copy_bidirectional(&mut client, &mut gateway).await.unwrap_or_default();
                });
            }
        });
    });
    port
}

/// A drill at two replicas, each behind an Envoy, and at a balancer in front of both; the first is told.
fn at_two_replicas(name: &str, redis: Option<&Redis>) -> (Option<i32>, String, Value) {
    let [one, two] = ["one", "two"].map(|which| replica(&format!("drill-{name}-{which}"), redis));
    let (told, untold) = (one.lab.edge(), two.lab.edge());
    // A key of its own, and an API that asks for nonces.
    let own = KeyPair::generate().expect("a key");
    let (x, y) = own.der_bytes()[1..].split_at(32);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y) });
    let mut drill = Drill::at(one.port, &one.lab.directory);
    secrets::keep(own.serialize_pem());
    let key = drill.file("dpop.key", own.serialize_pem());
    drill.token_of(&dpop_at(NONCE).token(|token| token.claims["cnf"]["jkt"] = json!(thumbprint(&jwk))).build());
    let other = format!("untold={}", way_in(NONCE, &untold));
    drill.with(&["--dpop-key-file", &key, "--target", &way_in(NONCE, &told), "--entry-point", &other]);
    let both = format!("both=https://{NONCE}/items/7 via 127.0.0.1:{}", balancer([told.port, untold.port]));
    drill.with(&["--entry-point", &both]);
    let (code, said, record) = drill.recorded(&["--timeout", "2s", "--objective", "2s", "--take-back"]);
    assert!(
        said.contains("NOT TAKEN BACK: status 403") && said.contains("STILL REVOKED: the canary's token"),
        "{said}"
    );
    assert_eq!(record["revoked"]["taken_back"], json!(false), "{record}");
    assert_eq!(point(&record, NONCE)["verdict"], "held", "{said}");
    assert!(record["revoked"]["target"]["jti"].is_string(), "{record}");
    (code, said, record)
}

#[test]
fn a_fleet_whose_replicas_tell_each_other_holds() {
    let redis = Redis::start("drill-redis", &[]);
    let (code, said, record) = at_two_replicas("fleet", Some(&redis));
    let verdicts = ["untold", "both"].map(|name| point(&record, name)["verdict"].clone());
    assert_eq!(verdicts, ["held", "held"].map(Value::from), "{said}");
    assert_eq!(code, Some(3), "what was to be taken back is revoked still: {said}");
}

#[test]
fn a_replica_that_is_not_told_is_found() {
    let (code, said, record) = at_two_replicas("alone", None);
    let both = point(&record, "both");
    assert!(both["verdict"] == "flapped" && both["flaps"].as_u64() > Some(2), "{both}");
    let untold = point(&record, "untold");
    assert_eq!((code, &untold["verdict"]), (Some(1), &json!("never")), "{said}");
    assert!(
        said.contains("NOT HELD: untold (never denied), both (not denied for good); the objective is 2000 ms"),
        "{said}"
    );
    assert_eq!((&untold["denied_tries"], &untold["held_denied_ms"]), (&json!(0), &Value::Null), "{untold}");
    assert_eq!((&record["held"], record.get("worst_ms")), (&json!(false), None));
}

#[tokio::test]
async fn without_an_allow_or_an_admin_there_is_no_drill_and_what_is_broken_has_not_held() {
    let desk = Desk::open("drill-none");
    let edge = desk.lab.edge();
    let mut drill = Drill::at(desk.port, &desk.lab.directory);
    let target = way_in(ITEMS, &edge);
    let short = "--objective=2s";
    drill.token_of(&mtls().build());
    // Without its certificate the token is good for nothing.
    let (code, said) = drill.run(&["--target", &target, short]);
    let told = said.contains("rs.example.com (https://rs.example.com/items/7): 401 invalid_token (binding); the log");
    assert!(code == Some(2) && told && said.contains("nothing was revoked"), "{said}");
    drill.certified(&pki().client);
    // One that would end meanwhile proves nothing.
    let (code, said) = drill.run(&["--target", &target, "--timeout", "60m"]);
    assert!(code == Some(2) && said.contains("it would end by itself"), "{said}");
    // A record that is there stays.
    let kept = drill.file("kept.json", "kept");
    let (code, said) = drill.run(&["--target", &target, short, "--record", &kept]);
    assert!(code == Some(2) && said.contains("is there already"), "{said}");
    assert_eq!(std::fs::read_to_string(&kept).expect("a file"), "kept");
    assert_eq!(listed(&desk), 0);

    // Whom the admin listener does not know revokes nothing.
    let mut stranger = Drill::at(desk.port, &desk.lab.directory);
    stranger.arguments = drill.arguments.clone();
    let bearer = drill.file("other.bearer", "other-0123456789abcdef0123456789abcdef");
    let own = bearer_of(&desk.lab.directory);
    stranger
        .arguments
        .iter_mut()
        .filter(|argument| **argument == own)
        .for_each(|argument| argument.clone_from(&bearer));
    let fresh = desk.lab.directory.join("fresh.json").display().to_string();
    let (code, said) = stranger.run(&["--target", &target, short, "--record", &fresh]);
    assert!(code == Some(2) && said.contains("NOT REVOKED (status 401)"), "{said}");
    assert!(listed(&desk) == 0 && !Path::new(&fresh).exists(), "no drill leaves no record");

    // A way in that breaks has not denied, and the other one is measured all the same.
    let tries = Arc::new(AtomicUsize::new(0));
    let answer = move || async move {
        if tries.fetch_add(1, Ordering::Relaxed) < 3 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    };
    let port = serve_in_background(Router::new().fallback(answer), 0);
    let broken = format!("broken=http://127.0.0.1:{port}/items/7");
    let (code, said) =
        drill.run(&["--target", &target, "--entry-point", &broken, short, "--timeout", "2s", "--format", "json"]);
    let record: Value = serde_json::from_str(&said).expect("the record and nothing else");
    assert_eq!((code, &record["held"]), (Some(1), &json!(false)), "{said}");
    let points = [ITEMS, "broken"].map(|name| point(&record, name)["verdict"].clone());
    assert_eq!(points, ["held", "broken"], "{said}");
    assert_eq!(point(&record, "broken")["broken"], "503");
    assert_eq!(listed(&desk), 1);
}

#[tokio::test]
async fn whoever_ends_a_drill_is_told_what_is_revoked() {
    let desk = Desk::open("drill-ended");
    let edge = desk.lab.edge();
    let mut drill = Drill::at(desk.port, &desk.lab.directory);
    drill.token_of(&mtls().build());
    drill.certified(&pki().client);
    let (target, record) = (way_in(ITEMS, &edge), desk.lab.directory.join("ended.json").display().to_string());
    // An argument that is given twice would be refused.
    drill.arguments.iter_mut().filter(|argument| **argument == "400ms").for_each(|hold| "30s".clone_into(hold));
    let mut command = drill.command(&["--target", &target, "--revoke", "client", "--record", &record]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = command.spawn().expect("keybound");
    until("it has revoked", Duration::from_secs(10), || (listed(&desk) == 1).then_some(()));
    let id = running.id().to_string();
    let sent = Command::new("sh").args(["-c", "kill -s INT \"$0\"", &id]).status().expect("a shell");
    assert!(sent.success());
    let output = running.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("interrupted: EVERY token of the canary's client is revoked by entry "), "{said}");
    assert!(said.contains("keybound revoke cancel "), "{said}");
    let left = std::fs::read_dir(&desk.lab.directory).expect("a directory").flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().contains("ended.json"));
    assert_eq!(left.count(), 0, "no half of a record stays");
}
