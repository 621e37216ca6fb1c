//! `keybound revoke`: the client of the admin API, for people in a hurry.
//!
//! It makes the entry's id itself, so that it can ask again until there is an answer and nothing is revoked twice. Tokens and
//! private keys stay on this machine.

mod arguments;
pub(super) mod named;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Value, json};

pub use arguments::{Arguments, Server};
use arguments::{Ask, Command, What};

use crate::decision::revocation::{EntryId, Target};
use crate::edge::revocations::admin::ask;
use crate::edge::revocations::admin::client::{self, Answered, Api, Unasked, Way};
use crate::edge::revocations::when;

/// In force, and a restart would forget it.
const NOT_STORED: u8 = 3;
/// In force and stored at the replica that was asked, and at no other yet.
const NOT_SHARED: u8 = 4;

/// Asks the admin listener.
///
/// # Errors
/// When the output cannot be written.
pub fn run(arguments: Arguments, out: &mut impl Write, err: &mut impl Write) -> io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        match arguments.command {
            Command::List { kind, issuer, server } => list(&server, kind, issuer, out).await,
            Command::Show { id, server } => show(&server, &id, out).await,
            Command::Cancel { id, reason, case, server } => cancel(&server, &id, &reason, case, out).await,
            Command::Revoke(what) => match target(what) {
                Ok((target, ask)) => revoke(target, ask, out).await,
                Err(refused) => Ok(Err(refused)),
            },
        }
    })?;
    match ended {
        Ok(code) => Ok(code),
        Err(Unasked(why)) => {
            writeln!(err, "{why}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// These words.
pub(super) fn unasked(text: &str) -> Unasked {
    Unasked(text.to_owned())
}

/// The way to the admin listener.
pub(super) fn way(server: &Server) -> Way {
    let certificate = server.cert.clone().zip(server.key.clone());
    Way { admin: server.admin.clone(), bearer_file: server.bearer_file.clone(), certificate, ca: server.ca.clone() }
}

type Ended = io::Result<Result<ExitCode, Unasked>>;

/// What is to be revoked.
fn target(what: What) -> Result<(Target, Ask), Unasked> {
    Ok(match what {
        What::Token { token_file: Some(path), issuer, ask, .. } => (named::token(&path, issuer)?, ask),
        What::Token { jti, issuer, ask, .. } => {
            let (Some(jti), Some(issuer)) = (jti, issuer) else {
                return Err(unasked("error: which token?\n  help: write --token-file, or --issuer and --jti"));
            };
            (Target::Token { issuer, jti }, ask)
        }
        What::TokenHash { issuer, sha256, ask } => {
            (Target::TokenHash { issuer, sha256: named::thumbprint(&sha256)? }, ask)
        }
        What::Subject { issuer, sub, ask } => (Target::Subject { issuer, sub }, ask),
        What::Client { issuer, client_id, ask } => (Target::Client { issuer, client_id }, ask),
        What::Session { issuer, sid, ask } => (Target::Session { issuer, sid }, ask),
        What::Key { issuer, kid, ask } => (Target::Key { issuer, kid }, ask),
        What::Issuer { issuer, ask } => (Target::Issuer { issuer }, ask),
        What::ProofKey { jkt, ask } => (Target::ProofKey { jkt: named::thumbprint(&jkt)? }, ask),
        What::Certificate { certificate_file: Some(path), ask, .. } => (named::certificate(&path)?, ask),
        What::Certificate { thumbprint, ask, .. } => {
            (Target::Certificate { thumbprint: named::thumbprint(&thumbprint.unwrap_or_default())? }, ask)
        }
        What::CertificateSerial { certificate_issuer: issuer, serial, ask } => {
            (Target::CertificateSerial { issuer, serial }, ask)
        }
    })
}

fn time(name: &str, text: Option<&str>) -> Result<Option<i64>, Unasked> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || {
        let remedy = "write RFC 3339 with an offset, such as 2026-01-31T12:00:00Z";
        Unasked(format!("error: `{text}` of --{name} is no time\n  help: {remedy}"))
    };
    when::millis_of(text).map(Some).ok_or_else(wrong)
}

fn id_of(text: &str) -> Result<EntryId, Unasked> {
    let wrong = || Unasked(format!("error: `{text}` is no id\n  help: write 32 lower-case hexadecimal digits"));
    EntryId::parse(text).ok_or_else(wrong)
}

/// An id that no entry has.
pub(super) fn fresh_id() -> Result<EntryId, Unasked> {
    let mut id = [0; 16];
    aws_lc_rs::rand::fill(&mut id).map(|()| EntryId(id)).map_err(|_| unasked("error: no random bytes for an id"))
}

fn body(target: Target, ask: &Ask) -> Result<(EntryId, Vec<u8>), Unasked> {
    let id = ask.id.as_deref().map_or_else(fresh_id, id_of)?;
    let seconds = |millis: i64| millis.div_euclid(1_000);
    let body = ask::Ask {
        target,
        id: Some(id),
        not_issued_after: time("not-issued-after", ask.not_issued_after.as_deref())?.map(seconds),
        expires_at: time("expires-at", ask.expires_at.as_deref())?.map(seconds),
        reported_at: time("reported-at", ask.reported_at.as_deref())?,
        reason: ask.reason.clone(),
        case: ask.case.clone(),
    };
    Ok((id, serde_json::to_vec(&body).map_err(|_| unasked("error: the ask cannot be written"))?))
}

async fn revoke(target: Target, ask: Ask, out: &mut impl Write) -> Ended {
    let prepared = body(target, &ask).and_then(|body| Ok((body, Api::of(&way(&ask.server))?)));
    let ((id, body), api) = match prepared {
        Ok(prepared) => prepared,
        Err(refused) => return Ok(Err(refused)),
    };
    let begun = Instant::now();
    let Answered { status, document, tries } = match api.post(&body).await {
        Ok(answered) => answered,
        Err(Unasked(why)) => {
            let again = format!("{why}\n  help: nobody knows whether it is revoked; ask again with --id {id}");
            return Ok(Err(Unasked(again)));
        }
    };
    let took = begun.elapsed().as_millis();
    let tries = if tries == 1 { String::new() } else { format!(", {tries} tries") };
    match status {
        200 | 201 => {
            writeln!(out, "{document:#}")?;
            let how = if status == 201 { "revoked" } else { "was revoked before" };
            writeln!(out, "{how}: {id} ({took} ms{tries})")?;
            Ok(Ok(tell_fleet(&document, out)?))
        }
        503 if document.get("in_force").is_some() => {
            writeln!(
                out,
                "IN FORCE, NOT STORED: {id} ({took} ms{tries}). Ask again with --id {id} until it is stored."
            )?;
            writeln!(out, "{}", client::told(&document))?;
            Ok(Ok(ExitCode::from(NOT_STORED)))
        }
        _ => {
            let why = client::told(&document);
            Ok(Err(Unasked(format!("NOT REVOKED (status {status}, {took} ms{tries})\n{why}"))))
        }
    }
}

/// Says whether the other replicas know, where there are others.
fn tell_fleet(document: &Value, out: &mut impl Write) -> io::Result<ExitCode> {
    match document.get("shared").and_then(Value::as_bool) {
        None => Ok(ExitCode::SUCCESS),
        Some(true) => {
            writeln!(out, "Redis has it for the other replicas")?;
            Ok(ExitCode::SUCCESS)
        }
        Some(false) => {
            writeln!(
                out,
                "THIS REPLICA ALONE SO FAR: the others are told when Redis takes it. If that cannot wait, ask each of them, without --id"
            )?;
            Ok(ExitCode::from(NOT_SHARED))
        }
    }
}

async fn show(server: &Server, id: &str, out: &mut impl Write) -> Ended {
    let asked = async { Api::of(&way(server))?.get(&format!("/{}", id_of(id)?), &[]).await };
    tell(asked.await, out)
}

async fn cancel(server: &Server, id: &str, reason: &str, case: Option<String>, out: &mut impl Write) -> Ended {
    let body = json!({ "reason": reason, "case": case }).to_string();
    let asked = async { Api::of(&way(server))?.delete(&format!("/{}", id_of(id)?), body.as_bytes()).await };
    let asked = asked.await;
    let document =
        asked.as_ref().ok().filter(|answered| answered.status == 200).map(|answered| answered.document.clone());
    match (tell(asked, out)?, document) {
        (Ok(_), Some(document)) => Ok(Ok(tell_fleet(&document, out)?)),
        (ended, _) => Ok(ended),
    }
}

/// What is left of a list is asked for until there is no more.
async fn list(server: &Server, kind: Option<String>, issuer: Option<String>, out: &mut impl Write) -> Ended {
    let api = match Api::of(&way(server)) {
        Ok(api) => api,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut after = None;
    loop {
        let query =
            [("kind", kind.clone()), ("issuer", issuer.clone()), ("after", after), ("limit", Some("1000".to_owned()))];
        let document = match api.get("", &query).await {
            Ok(Answered { status: 200, document, .. }) => document,
            other => return tell(other, out),
        };
        for entry in document.get("entries").and_then(Value::as_array).into_iter().flatten() {
            writeln!(out, "{entry}")?;
        }
        after = document.get("next").and_then(Value::as_str).map(str::to_owned);
        if after.is_none() {
            return Ok(Ok(ExitCode::SUCCESS));
        }
    }
}

fn tell(answered: Result<Answered, Unasked>, out: &mut impl Write) -> Ended {
    let Answered { status, document, .. } = match answered {
        Ok(answered) => answered,
        Err(refused) => return Ok(Err(refused)),
    };
    if status != 200 {
        return Ok(Err(Unasked(format!("not done (status {status})\n{}", client::told(&document)))));
    }
    writeln!(out, "{document:#}")?;
    Ok(Ok(ExitCode::SUCCESS))
}
