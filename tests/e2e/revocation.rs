//! Revocations asked with `keybound revoke`: what is revoked is denied at the next request through Envoy, what is taken back passes.

mod callers;
mod gone;
mod storm;

use std::path::Path;
use std::process::{Command, ExitStatus, Output};

use keybound::decision::certificate::names_of;
use keybound::edge::clock;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::lab::place::free_port;
use crate::lab::{Edge, Lab, Plan, secrets, told};
use crate::requests::{ISSUER, dpop, excepted, mtls};
use crate::support::issuers::KID;
use crate::support::{Request, keys, pki};

/// Of the one caller that may do everything.
pub const BEARER: &str = "soc-5b0d7c1e9f3a4d62b8e1c7f00a9d4e36";

/// A lab with an admin listener in plain text on loopback, and a journal.
pub struct Desk {
    pub lab: Lab,
    pub port: u16,
}

impl Desk {
    pub fn open(name: &str) -> Self {
        Self::planned(name, Plan::default())
    }

    pub fn planned(name: &str, plan: Plan) -> Self {
        let desk = Self::started(name, plan);
        desk.lab.wait_until_ready();
        desk
    }

    /// One that may not be ready yet.
    pub fn started(name: &str, plan: Plan) -> Self {
        let port = free_port();
        secrets::keep(BEARER);
        let kept = plan.is_kept.then_some("journal: revocations");
        let shared = Some(plan.revocations.as_str()).filter(|shared| !shared.is_empty());
        let revocations = kept.into_iter().chain(shared).collect::<Vec<_>>().join(", ");
        let plan = Plan {
            listeners: format!("{}  admin: {{ address: \"127.0.0.1:{port}\" }}\n", plan.listeners),
            sections: format!(
                "{}revocations: {{ {} }}\n\
                 admin: {{ callers: [{{ name: soc, bearer_file: soc.bearer, may: [read, revoke, cancel] }}] }}\n",
                plan.sections, revocations
            ),
            ..plan
        };
        let directory = crate::lab::place::directory(name);
        std::fs::write(directory.join("soc.bearer"), format!("{BEARER}\n")).expect("a written file");
        Self { lab: Lab::started(name, &plan), port }
    }

    /// Runs `keybound revoke` as the caller.
    pub fn revoke(&self, arguments: &[&str]) -> Output {
        let (admin, bearer) = (format!("http://127.0.0.1:{}", self.port), self.lab.directory.join("soc.bearer"));
        keybound(&[arguments, &["--admin", &admin, "--bearer-file", &bearer.display().to_string()]].concat())
    }

    /// The same; how it ended, and all that it says.
    pub fn says(&self, arguments: &[&str]) -> (ExitStatus, String) {
        let output = self.revoke(arguments);
        let text = [output.stdout, output.stderr].concat();
        (output.status, String::from_utf8(text).expect("text"))
    }

    /// The same; it works. What it prints as JSON.
    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> Value {
        let (status, text) = self.says(arguments);
        assert!(status.success(), "{arguments:?}: {text}");
        document(&text)
    }

    /// The same; it works here, whether Redis has it for the others or not.
    #[track_caller]
    pub fn told(&self, arguments: &[&str]) -> Value {
        let (status, text) = self.says(arguments);
        let document = document(&text);
        let (code, words) = if document["shared"] == true {
            (0, "Redis has it for the other replicas")
        } else {
            (4, "THIS REPLICA ALONE SO FAR: the others are told when Redis takes it")
        };
        assert!(status.code() == Some(code) && text.contains(words), "{arguments:?}: {status} {text}");
        document
    }
}

fn document(text: &str) -> Value {
    let end = text.rfind('}').expect("a document") + 1;
    serde_json::from_str(&text[..end]).expect("a document")
}

/// Runs `keybound revoke`.
pub fn keybound(arguments: &[&str]) -> Output {
    let mut keybound = Command::new(env!("CARGO_BIN_EXE_keybound"));
    keybound.arg("revoke").args(arguments).output().expect("keybound")
}

fn time_of(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap().format(&Rfc3339).unwrap()
}

/// The token of a request.
pub fn token_of(request: &Request) -> String {
    let (_, value) = request.headers.iter().find(|(name, _)| name == "authorization").expect("a credential");
    String::from_utf8_lossy(value).split_once(' ').expect("a scheme").1.to_owned()
}

/// Revokes, sees it denied with this code and the entry told everywhere, takes it back, sees it pass.
async fn revoked_and_back(desk: &Desk, edge: &Edge, request: impl Fn() -> Request, code: &str, arguments: &[&str]) {
    edge.send(&request()).await.allowed();
    let reason = ["--reason", "an exercise", "--case", "EX-1", "--reported-at", "2026-01-31T12:00:00Z"];
    let told = desk.done(&[arguments, &reason].concat());
    let id = told["entry"]["id"].as_str().expect("an id").to_owned();
    assert_eq!((&told["state"], &told["stored"]), (&json!("in_force"), &json!(true)), "{told}");
    let answer = edge.send(&request()).await;
    answer.denied(code, 401);
    assert_eq!(answer.decision["revocation"], id.as_str(), "{answer:?}");
    assert_eq!(answer.log_line()["revocation"], id.as_str());
    // The proof that it works.
    let first = told::line("the first refused use", desk.lab.log(), |line| {
        line["message"] == "first refused use of what was revoked" && line["revocation"] == id.as_str()
    });
    assert_eq!(first["case"], "EX-1");
    let shown = desk.done(&["show", &id]);
    assert!(shown["first_refused_at"].is_string() && shown["applied_at"].is_string(), "{shown}");
    let told = desk.done(&["cancel", &id, "--reason", "the exercise is over"]);
    assert_eq!(told["state"], "cancelled", "{told}");
    edge.send(&request()).await.allowed();
}

#[tokio::test]
async fn each_kind_is_denied_at_once_and_passes_when_it_is_taken_back() {
    let desk = Desk::open("revocation");
    let edge = desk.lab.edge();
    let file = |name: &str, content: &str| {
        let path = desk.lab.directory.join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let with_session = || mtls().token(|token| token.claims["sid"] = json!("session-1"));
    let (bound, session, bearer) = (mtls().build(), with_session().build(), excepted().build());
    let hash = crate::support::sha256(token_of(&bound));
    let by_file = file("token.txt", &token_of(&bearer));
    let certificate = file("client.crt", &pki().client.pem());
    let leaf = names_of(&pki().client.der).unwrap();
    let revoked = "token_revoked";
    let issuer = ["--issuer", ISSUER];
    let of =
        |kind: &'static str, name: &'static str, value: &'static str| [&[kind], &issuer[..], &[name, value]].concat();
    // The file's claims say which token: its id is what is sent.
    revoked_and_back(&desk, &edge, || bearer.clone(), revoked, &["token", "--token-file", &by_file]).await;
    revoked_and_back(
        &desk,
        &edge,
        || bound.clone(),
        revoked,
        &[&["token-hash"], &issuer[..], &["--sha256", &hash]].concat(),
    )
    .await;
    revoked_and_back(&desk, &edge, || bound.clone(), revoked, &of("subject", "--sub", "robot")).await;
    revoked_and_back(&desk, &edge, || bound.clone(), revoked, &of("client", "--client-id", "robot")).await;
    revoked_and_back(&desk, &edge, || session.clone(), revoked, &of("session", "--sid", "session-1")).await;
    revoked_and_back(&desk, &edge, || bound.clone(), revoked, &of("key", "--kid", KID)).await;
    revoked_and_back(&desk, &edge, || bound.clone(), revoked, &[&["issuer"], &issuer[..]].concat()).await;
    let jkt = keys().client.thumbprint();
    revoked_and_back(&desk, &edge, || dpop().build(), revoked, &["proof-key", "--jkt", &jkt]).await;
    revoked_and_back(&desk, &edge, || bound.clone(), revoked, &["certificate", "--certificate-file", &certificate])
        .await;
    // A certificate that a token does not name is refused too: here the token is bound to nothing.
    let beside = || excepted().certificate(&pki().client).build();
    let thumbprint = pki().client.thumbprint();
    revoked_and_back(&desk, &edge, beside, "certificate_revoked", &["certificate", "--thumbprint", &thumbprint]).await;
    let serial = ["certificate-serial", "--certificate-issuer", &leaf.issuer, "--serial", &leaf.serial];
    revoked_and_back(&desk, &edge, || bound.clone(), "certificate_revoked", &serial).await;

    let listed = String::from_utf8(desk.revoke(&["list"]).stdout).unwrap();
    assert_eq!(listed.lines().count(), 11, "{listed}");
    assert_eq!(String::from_utf8(desk.revoke(&["list", "--kind", "key"]).stdout).unwrap().lines().count(), 1);
    let metrics = desk.lab.metrics();
    let metric = |name: &str, labels: &[(&str, &str)]| told::metric(&metrics, name, labels);
    assert!((metric("keybound_revocation_propagation_seconds_count", &[]) - 11.0).abs() < 0.1, "{metrics}");
    assert!((metric("keybound_time_to_revoke_seconds_count", &[]) - 11.0).abs() < 0.1);
    assert!(
        (metric("keybound_revocation_records_total", &[("source", "admin"), ("outcome", "new")]) - 22.0).abs() < 0.1
    );
    assert!(metrics.contains("keybound_revocations{kind=\"client\"} 0"), "{metrics}");
}

#[tokio::test]
async fn what_was_issued_later_passes_and_what_is_revoked_outlives_a_kill() {
    let desk = Desk::open("later");
    let edge = desk.lab.edge();
    let issued = |at: i64| mtls().token(move |token| token.claims["iat"] = json!(at)).build();
    let now = clock::now();
    let (old, new) = (issued(now - 200), issued(now - 5));
    let until = time_of(now - 100);
    let subject = ["subject", "--issuer", ISSUER, "--sub", "robot", "--reason", "a laptop is gone"];
    let told = desk.done(&[&subject[..], &["--not-issued-after", &until]].concat());
    edge.send(&old).await.denied("token_revoked", 401);
    edge.send(&new).await.allowed();
    // Asked again with its id: once.
    let id = told["entry"]["id"].as_str().unwrap();
    desk.done(&[&subject[..], &["--not-issued-after", &until, "--id", id]].concat());
    let (_, _, ready) = told::get(desk.lab.ports.probes, "probes", "/readyz").unwrap();
    assert!(ready.contains("revocations: 1 in force; journal: stored"), "{ready}");

    desk.lab.keybound().kill();
    desk.lab.start_again();
    desk.lab.wait_until_ready();
    // Envoy finds it again a moment later.
    crate::lab::until("Envoy asks keybound again", std::time::Duration::from_secs(10), || {
        std::net::TcpStream::connect(("127.0.0.1", desk.lab.ports.check)).ok()
    });
    let mut answer = edge.send(&old).await;
    for _ in 0..50 {
        if answer.code() != "(no decision)" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        answer = edge.send(&old).await;
    }
    answer.denied("token_revoked", 401);
    edge.send(&new).await.allowed();
    let shown = desk.done(&["show", id]);
    assert_eq!(shown["applied_at"], told["applied_at"], "when it was applied first");
    desk.done(&["cancel", id, "--reason", "found"]);
    desk.lab.keybound().kill();
    desk.lab.start_again();
    desk.lab.wait_until_ready();
    assert_eq!(desk.done(&["show", id])["state"], "cancelled");
}

/// The bearer of the lab is nowhere but in its file.
pub fn bearer_of(directory: &Path) -> String {
    directory.join("soc.bearer").display().to_string()
}
