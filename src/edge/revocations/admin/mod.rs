//! The admin API: `POST`, `GET` and `DELETE` of revocations, for callers who show who they are and may do what they ask.
//!
//! Every call is authenticated before anything else is looked at, is bounded in size, time and number, and leaves a line in the log:
//! who, what, which entry, how it ended. Never a bearer, never a token: tokens are named by id or hash.

pub mod ask;
mod caller;
pub mod client;
pub mod listener;
mod problem;
mod query;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Bytes};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

pub use caller::{Bearers, Callers, Peer, bearer};

use crate::config::{Config, Permission};
use crate::decision::revocation::EntryId;
use crate::edge::clock;
use crate::edge::revocations::book::{Applied, Standing};
use crate::edge::revocations::entry::{ADMIN, Cancel, Entry, Record};
use crate::edge::revocations::journal::store::NotStored;
use crate::edge::revocations::{Revocations, Told, when};
use ask::{Ask, Asked};
use problem::Problem;
use query::Query;

/// The body of a call about one entry; an entry at its limits stays below it.
pub const BODY_BYTES: usize = 64 * 1024;
/// The body of a call about many, an array.
pub const MANY_BYTES: usize = 512 * 1024;
/// Entries of one call: they are stored together.
pub const MANY: usize = 1_000;
/// Calls at once; one more is answered 503.
const CALLS: usize = 64;
/// A call's body must be here by then.
const BODY_TIME: Duration = Duration::from_secs(10);
/// The disk must have answered by then; the answer says that nobody knows.
const DISK_TIME: Duration = Duration::from_secs(10);

/// Redis has it by then, or the answer says that it has not.
const FLEET_TIME: Duration = Duration::from_millis(500);

const PATH: &str = "/v1/revocations";

/// The API.
pub struct Admin {
    callers: Callers,
    revocations: Arc<Revocations>,
    /// Whose tokens are judged, and how long they may live.
    issuers: BTreeMap<String, Option<i64>>,
    calls: Semaphore,
}

/// A line of the audit: which entry, and how it ended.
type Lines = Vec<(Option<EntryId>, &'static str)>;

/// What is answered, and what is told of it.
struct Answer {
    status: StatusCode,
    body: Value,
    lines: Lines,
}

/// Why something is taken back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Withdrawal {
    reason: String,
    #[serde(default)]
    case: Option<String>,
}

impl Admin {
    /// The API for the callers that config names.
    #[must_use]
    pub fn new(config: &Config, bearers: Bearers, revocations: Arc<Revocations>) -> Self {
        let rules = config.issuers.iter().map(|issuer| &issuer.rules);
        Self {
            callers: Callers::new(config.admin.clone(), bearers),
            revocations,
            issuers: rules.map(|rules| (rules.issuer.clone(), rules.max_lifetime_seconds)).collect(),
            calls: Semaphore::new(CALLS),
        }
    }

    /// Answers one call.
    pub async fn answer<B>(&self, peer: &Peer, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let caller = match self.callers.identify(request.headers(), peer) {
            Ok(caller) => {
                peer.known.store(true, Ordering::Release);
                caller
            }
            Err(unknown) => return self.callers.refuse(unknown, peer).await.response(),
        };
        let what = name_of(request.method());
        let answered = match self.calls.try_acquire() {
            Ok(_permit) => self.permitted(caller, request).await,
            Err(_) => {
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many calls at once", "ask again in a second"))
            }
        };
        let (status, lines) = match &answered {
            Ok(answer) => (answer.status, answer.lines.clone()),
            Err(problem) => (problem.status, problem.lines()),
        };
        for (entry, outcome) in lines {
            let entry = entry.map(|entry| entry.to_string());
            tracing::info!(
                caller = caller.name,
                call = what,
                revocation = entry,
                outcome,
                status = status.as_u16(),
                "admin call"
            );
        }
        match answered {
            Ok(answer) => problem::json_response(answer.status, "application/json", &answer.body),
            Err(problem) => problem.response(),
        }
    }

    async fn permitted<B>(&self, caller: &crate::config::AdminCaller, request: Request<B>) -> Result<Answer, Problem>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let id = match path.strip_prefix(PATH) {
            Some("") => None,
            Some(rest) => Some(rest.strip_prefix('/').and_then(EntryId::parse).ok_or_else(Problem::no_such_entry)?),
            None => {
                let remedy = format!("ask for {PATH}");
                return Err(Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path", remedy));
            }
        };
        let must = |permission: Permission| {
            let may = caller.may.contains(&permission);
            if may { Ok(()) } else { Err(Problem::forbidden(permission)) }
        };
        match (&head.method, id) {
            (&Method::GET, None) => {
                must(Permission::Read)?;
                self.list(head.uri.query().unwrap_or_default()).await
            }
            (&Method::GET, Some(id)) => {
                must(Permission::Read)?;
                self.show(id).await
            }
            (&Method::POST, None) => {
                must(Permission::Revoke)?;
                self.revoke(&caller.name, &read(body).await?).await
            }
            (&Method::DELETE, Some(id)) => {
                must(Permission::Cancel)?;
                self.cancel(&caller.name, id, &read(body).await?).await
            }
            _ => {
                let remedy = format!("POST or GET {PATH}, GET or DELETE {PATH}/<id>");
                Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this method does nothing here", remedy))
            }
        }
    }

    async fn revoke(&self, caller: &str, body: &[u8]) -> Result<Answer, Problem> {
        let (asks, is_many) = ask::read(body)?;
        let now = clock::millis();
        let mut entries: Vec<Arc<Entry>> = Vec::new();
        for (index, ask) in asks.into_iter().enumerate() {
            let place = is_many.then_some(index);
            let asked = Asked { by: caller, at: now, issuers: &self.issuers };
            let entry = self.entry(ask, &asked).await.map_err(|problem| problem.at(place))?;
            if entries.iter().any(|other| other.id == entry.id) {
                return Err(Problem::unprocessable("this id is in the call twice", "give each entry its own").at(place));
            }
            entries.push(entry);
        }
        let take = self.revocations.take(&entries, now);
        let (applied, stored) = match tokio::time::timeout(DISK_TIME, take).await {
            Ok(taken) => taken,
            // Each has bitten before the disk was asked.
            Err(_) => {
                (entries.iter().map(|_| Applied::New).collect(), Err(NotStored("the disk does not answer".to_owned())))
            }
        };
        let outcomes = entries.iter().zip(&applied).map(|(entry, applied)| (Some(entry.id), applied.name()));
        let lines: Lines = outcomes.collect();
        let ids: Vec<_> = entries.iter().map(|entry| entry.id.to_string()).collect();
        if let Some((index, applied)) = applied.iter().enumerate().find(|(_, applied)| refused(**applied)) {
            return Err(Problem::not_taken(*applied).at(is_many.then_some(index)).with_lines(lines));
        }
        if let Err(NotStored(why)) = stored {
            tracing::error!(why, "a revocation is in force and not stored");
            return Err(Problem::not_stored(&ids).with_lines(lines));
        }
        let shared = self.shared(entries.iter().map(|entry| Record::Entry(entry.as_ref().clone())).collect()).await;
        let mut shown = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            // It is in force, whatever can be read.
            let told = self.find(entry.id).await.map_err(|_| Problem::not_stored(&ids).with_lines(lines.clone()))?;
            shown.extend(told.map(|told| shown_after(&told, shared.as_ref().and_then(|shared| shared.get(place)))));
        }
        let is_news = applied.contains(&Applied::New);
        let status = if is_news { StatusCode::CREATED } else { StatusCode::OK };
        let body = if is_many { Value::Array(shown) } else { shown.pop().unwrap_or_default() };
        Ok(Answer { status, body, lines })
    }

    /// The entry that is asked for: the one that was asked for before, if it is the same.
    async fn entry(&self, ask: Ask, asked: &Asked<'_>) -> Result<Arc<Entry>, Problem> {
        let id = match ask.id {
            Some(id) => id,
            None => crate::edge::random::sixteen().map(EntryId).ok_or_else(Problem::no_random)?,
        };
        let known = if ask.id.is_some() { self.find(id).await } else { Ok(None) };
        let Ok(known) = known else { return self.unread(ask.entry(id, asked)?) };
        if let Some(known) = known {
            let again = ask.entry(id, &Asked { at: known.stored.entry.asked_at, ..*asked });
            if again.is_ok_and(|again| again == *known.stored.entry) && known.stored.entry.source == ADMIN {
                return if known.standing == Standing::InForce {
                    Ok(known.stored.entry)
                } else {
                    Err(Problem::not_taken(Applied::Cancelled))
                };
            }
            return Err(Problem::not_taken(Applied::Conflict));
        }
        Ok(Arc::new(ask.entry(id, asked)?))
    }

    /// An entry that may have been asked for before, when nobody can read whether it was: it bites all the same.
    fn unread(&self, entry: Entry) -> Result<Arc<Entry>, Problem> {
        let book = self.revocations.book();
        match book.standing(entry.id) {
            Standing::Gone => Ok(Arc::new(entry)),
            Standing::Cancelled => Err(Problem::not_taken(Applied::Cancelled)),
            Standing::InForce if book.names(entry.id, &entry.target) => {
                Err(Problem::not_stored(&[entry.id.to_string()]))
            }
            Standing::InForce => Err(Problem::not_taken(Applied::Conflict)),
        }
    }

    async fn cancel(&self, caller: &str, id: EntryId, body: &[u8]) -> Result<Answer, Problem> {
        let Withdrawal { reason, case } = ask::parse(body)?;
        let told = self.find(id).await?.ok_or_else(Problem::no_such_entry)?;
        let source = &told.stored.entry.source;
        if source != ADMIN {
            let what = format!("this entry is one of the source `{source}`");
            return Err(Problem::new(StatusCode::CONFLICT, what, "take it back where it was asked"));
        }
        let cancel = Cancel {
            entry: id,
            source: ADMIN.to_owned(),
            asked_at: clock::millis(),
            asked_by: caller.to_owned(),
            reason,
            case,
            entry_expires_at: told.stored.entry.expires_at,
        };
        cancel.check()?;
        let record = Record::Cancel(cancel.clone());
        let outcome = if told.standing == Standing::InForce {
            let cancelled = tokio::time::timeout(DISK_TIME, self.revocations.cancel(cancel)).await;
            let unknown = |_| Err(NotStored("the disk does not answer".to_owned()));
            if let Err(NotStored(why)) = cancelled.unwrap_or_else(unknown) {
                tracing::error!(why, "a cancel of a revocation is not stored");
                return Err(Problem::not_cancelled());
            }
            "cancelled"
        } else {
            "known"
        };
        let shared = self.shared(vec![record]).await;
        let told = self.find(id).await?.ok_or_else(Problem::no_such_entry)?;
        let body = shown_after(&told, shared.as_ref().and_then(|shared| shared.first()));
        Ok(Answer { status: StatusCode::OK, body, lines: vec![(Some(id), outcome)] })
    }

    /// Whether the other replicas can know each of these by now, where there are others. It is waited for a little, not for long: a
    /// revocation is in force here whatever becomes of it.
    async fn shared(&self, records: Vec<Record>) -> Option<Vec<bool>> {
        let fleet = self.revocations.publisher()?;
        Some(fleet.has(&records, FLEET_TIME).await)
    }

    async fn show(&self, id: EntryId) -> Result<Answer, Problem> {
        let told = self.find(id).await?.ok_or_else(Problem::no_such_entry)?;
        Ok(Answer { status: StatusCode::OK, body: shown_as(&told), lines: vec![(Some(id), "read")] })
    }

    async fn list(&self, query: &str) -> Result<Answer, Problem> {
        let Query { kind, issuer, after, limit } = Query::of(query)?;
        let page = self.revocations.page(after, limit, kind, issuer).await;
        let (page, next) = page.map_err(|NotStored(why)| Problem::unreadable(&why))?;
        let entries: Vec<_> = page.iter().map(shown_as).collect();
        let body = json!({ "entries": entries, "next": next });
        Ok(Answer { status: StatusCode::OK, body, lines: vec![(None, "read")] })
    }

    async fn find(&self, id: EntryId) -> Result<Option<Told>, Problem> {
        self.revocations.find(id).await.map_err(|NotStored(why)| Problem::unreadable(&why))
    }
}

fn refused(applied: Applied) -> bool {
    !matches!(applied, Applied::New | Applied::Known)
}

fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "read",
        Method::POST => "revoke",
        Method::DELETE => "cancel",
        _ => "other",
    }
}

async fn read<B>(body: B) -> Result<Bytes, Problem>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let whole = tokio::time::timeout(BODY_TIME, Limited::new(body, MANY_BYTES).collect()).await;
    let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time", "send it at once");
    let whole = whole.map_err(late)?.map_err(|_| Problem::too_large())?.to_bytes();
    // Many entries are an array; one is small.
    let is_many = whole.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if whole.len() > BODY_BYTES && !is_many { Err(Problem::too_large()) } else { Ok(whole) }
}

/// An entry as it is told.
fn shown_as(told: &Told) -> Value {
    let time = |millis: Option<i64>| millis.map(when::text_of_millis);
    let state = match told.standing {
        Standing::InForce => "in_force",
        Standing::Cancelled => "cancelled",
        Standing::Gone => "ended",
    };
    let mut shown = json!({
        "entry": *told.stored.entry,
        "state": state,
        "stored": told.is_stored,
        "applied_at": time(told.stored.applied_at),
        "first_refused_at": time(told.stored.first_refused_at),
    });
    if let (Some(cancel), Some(members)) = (&told.stored.cancel, shown.as_object_mut()) {
        members.insert("cancel".to_owned(), json!(cancel));
    }
    shown
}

/// An entry as it is told to who has just asked for something, and whether others can know of that.
fn shown_after(told: &Told, shared: Option<&bool>) -> Value {
    let mut shown = shown_as(told);
    if let (Some(shared), Some(members)) = (shared, shown.as_object_mut()) {
        members.insert("shared".to_owned(), json!(shared));
    }
    shown
}

#[cfg(test)]
mod tests;
