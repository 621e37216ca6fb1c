//! Whom an event is about (RFC 9493, SSF 1.0 §3): from a subject identifier to what is revoked.
//!
//! A name means something only at its issuer, so what does not say whose it is needs config to say so, and is not guessed. In a complex
//! subject, what is not there is a wildcard (SSF 1.0 §9): one that names neither a user nor a session would mean everybody of a tenant or
//! a group, which tokens do not tell.

use super::{EventKind, Refusal, TransmitterRules, identifier};
use crate::decision::jose::{Map, Value};
use crate::decision::revocation::Target;

/// What a subject identifier comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    Target(Target),
    /// Nothing that could be revoked, and why.
    Nothing(&'static str),
}

pub(super) fn named(subject: &Map, kind: EventKind, rules: &TransmitterRules) -> Result<Named, Refusal> {
    if format(subject)? == "complex" { complex(subject, kind, rules) } else { simple(subject, rules) }
}

fn simple(subject: &Map, rules: &TransmitterRules) -> Result<Named, Refusal> {
    let text = |name: &str| identifier(subject, name)?.map(str::to_owned).ok_or(Refusal::Subject);
    Ok(match format(subject)? {
        "iss_sub" => Named::Target(Target::Subject { issuer: allowed(text("iss")?, rules)?, sub: text("sub")? }),
        "jwt_id" => Named::Target(Target::Token { issuer: allowed(text("iss")?, rules)?, jti: text("jti")? }),
        "opaque" => {
            let sub = text("id")?;
            match &rules.opaque_subjects_of {
                Some(issuer) => Named::Target(Target::Subject { issuer: issuer.clone(), sub }),
                None => Named::Nothing("the subject is opaque, and config does not say which issuer knows it"),
            }
        }
        _ => Named::Nothing("the subject is named in a format that no token has"),
    })
}

fn complex(subject: &Map, kind: EventKind, rules: &TransmitterRules) -> Result<Named, Refusal> {
    let (mut user, mut session) = (None, None);
    for (name, value) in subject.iter() {
        // Members that are no subjects are no part of the match.
        let Value::Object(member) = value else { continue };
        match name {
            "user" => user = Some(member),
            "session" => session = Some(member),
            // A user or a session of an issuer is in one tenant: naming it adds nothing.
            "tenant" => {}
            // It narrows the match in a way that we cannot follow.
            _ => return Ok(Named::Nothing("the complex subject has a member that is not understood")),
        }
    }
    match (user, session) {
        (None, None) => Ok(Named::Nothing("the complex subject names neither a user nor a session")),
        // What befalls a user befalls all of the user's sessions.
        (Some(user), session) if session.is_none() || kind != EventKind::SessionRevoked => member(user, rules),
        (user, Some(session)) => of_session(user, session, rules),
        (Some(user), None) => member(user, rules),
    }
}

/// A complex subject holds simple ones (SSF 1.0 §3.2).
fn member(subject: &Map, rules: &TransmitterRules) -> Result<Named, Refusal> {
    if format(subject)? == "complex" { Err(Refusal::Subject) } else { simple(subject, rules) }
}

/// The session that tokens name as `sid`. It belongs to the issuer of its user.
fn of_session(user: Option<&Map>, session: &Map, rules: &TransmitterRules) -> Result<Named, Refusal> {
    if format(session)? != "opaque" {
        return Ok(Named::Nothing("the session is named in a format that no token has"));
    }
    let sid = identifier(session, "id")?.ok_or(Refusal::Subject)?.to_owned();
    let issuer = match user.map(|user| member(user, rules)).transpose()? {
        Some(Named::Target(Target::Subject { issuer, .. })) => Some(issuer),
        Some(_) => None,
        None => rules.opaque_subjects_of.clone(),
    };
    Ok(match issuer {
        Some(issuer) => Named::Target(Target::Session { issuer, sid }),
        None => Named::Nothing("neither the user nor config says whose session it is"),
    })
}

fn format(subject: &Map) -> Result<&str, Refusal> {
    subject.get("format").and_then(Value::as_str).ok_or(Refusal::Subject)
}

fn allowed(issuer: String, rules: &TransmitterRules) -> Result<String, Refusal> {
    if rules.may_revoke_for.contains(&issuer) { Ok(issuer) } else { Err(Refusal::NotAllowed) }
}
