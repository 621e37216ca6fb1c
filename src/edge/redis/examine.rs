//! What a Redis at the other end of a connection is, before it is trusted to keep anything, and what it answers.
//!
//! A connection leads to one process, so what was shown on it holds as long as it stands. Refused: one that evicts, is a replica, loads
//! or does not say so. An error among answers is an error; its words are Redis' own and not told, only its code.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};

use super::epoch::{Census, Epoch, Unfit};
use super::slots::Slots;
use super::{NoConnection, words};
use crate::config::RedisAddress;
use crate::edge::random;

/// Why a Redis cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// No connection, or none any more.
    #[error(transparent)]
    NoConnection(#[from] NoConnection),
    /// It must not be trusted to keep what it is told.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// It has lost the other nodes, or they have lost slots.
    #[error("its cluster is down")]
    ClusterDown,
    /// Fewer than most of the Sentinels name the same Redis.
    #[error("most of the Sentinels must name the same primary, and {0} of them do")]
    NoPrimary(usize),
    /// What it says is not what was asked for.
    #[error("it does not answer as Redis does")]
    Odd,
}

/// Examines who is at the other end, and begins an epoch at this key if there is none, or not of this process. `now` is Unix seconds.
///
/// # Errors
/// [`Unusable`].
pub async fn examine(
    connection: &MultiplexedConnection,
    epoch_key: &str,
    now: i64,
    at_most: Duration,
) -> Result<Epoch, Unusable> {
    let (census, epoch) = ask(connection, epoch_key, at_most).await?;
    let lasting = epoch.as_deref().and_then(Epoch::parse).filter(|epoch| epoch.identity == census.identity);
    match lasting {
        Some(epoch) => Ok(epoch),
        None => begin(connection, epoch_key, &census, epoch.is_none(), now, at_most).await,
    }
}

/// Whether it is still what it was: the same process, fit, in the same epoch.
///
/// # Errors
/// [`Unusable`].
pub async fn is_unchanged(
    connection: &MultiplexedConnection,
    epoch_key: &str,
    known: &[u8],
    at_most: Duration,
) -> Result<bool, Unusable> {
    let (census, epoch) = ask(connection, epoch_key, at_most).await?;
    let same = epoch.as_ref().is_some_and(|epoch| epoch == known);
    Ok(same && Epoch::parse(known).is_some_and(|epoch| epoch.identity == census.identity))
}

/// What a node of a cluster says of the slots. `address` is its own.
///
/// # Errors
/// [`Unusable`]; it has lost the others.
pub async fn slots(
    connection: &MultiplexedConnection,
    address: &RedisAddress,
    at_most: Duration,
) -> Result<Slots, Unusable> {
    let mut commands = Pipeline::with_capacity(2);
    commands.cmd("CLUSTER").arg("SLOTS").cmd("CLUSTER").arg("INFO");
    let answers = sent(connection, &commands, 2, at_most).await?;
    let [slots, Value::BulkString(info)] = answers.as_slice() else { return Err(Unusable::Odd) };
    // A node that has lost the others tells of slots as they were.
    if !core::str::from_utf8(info).is_ok_and(|info| info.lines().any(|line| line == "cluster_state:ok")) {
        return Err(Unusable::ClusterDown);
    }
    Slots::read(slots, address).ok_or(Unusable::Odd)
}

/// Writes an epoch, unless somebody was faster; the one that is there then.
async fn begin(
    connection: &MultiplexedConnection,
    key: &str,
    census: &Census,
    absent: bool,
    now: i64,
    at_most: Duration,
) -> Result<Epoch, Unusable> {
    let epoch = Epoch::begin(now, census, random::sixteen().ok_or(Unusable::Odd)?);
    let mut commands = Pipeline::with_capacity(2);
    commands.cmd("SET").arg(key).arg(epoch.to_string());
    if absent {
        commands.arg("NX");
    }
    commands.cmd("GET").arg(key);
    let answers = sent(connection, &commands, 2, at_most).await?;
    let there = answers.get(1).and_then(bytes).and_then(|epoch| Epoch::parse(epoch));
    // Somebody may have begun one for the process before: then it is asked again.
    there.filter(|epoch| epoch.identity == census.identity).ok_or(Unusable::Odd)
}

/// What it says of itself, and the epoch.
async fn ask(
    connection: &MultiplexedConnection,
    epoch_key: &str,
    at_most: Duration,
) -> Result<(Census, Option<Vec<u8>>), Unusable> {
    let mut commands = Pipeline::with_capacity(5);
    for section in ["server", "replication", "memory", "persistence"] {
        commands.cmd("INFO").arg(section);
    }
    commands.cmd("GET").arg(epoch_key);
    let answers = sent(connection, &commands, 5, at_most).await?;
    let Some((epoch, sections)) = answers.split_last() else { return Err(Unusable::Odd) };
    let mut info = String::new();
    for section in sections {
        let section = bytes(section).and_then(|bytes| core::str::from_utf8(bytes).ok()).ok_or(Unusable::Odd)?;
        info.push_str(section);
        info.push('\n');
    }
    Ok((Census::read(&info)?, bytes(epoch).cloned()))
}

/// Sends commands; an error among the answers is an error.
///
/// # Errors
/// [`Unusable`].
pub async fn sent(
    connection: &MultiplexedConnection,
    commands: &Pipeline,
    count: usize,
    at_most: Duration,
) -> Result<Vec<Value>, Unusable> {
    let mut connection = connection.clone();
    let sent = connection.send_packed_commands(commands, 0, count);
    let answers = tokio::time::timeout(at_most, sent).await.map_err(|_| NoConnection::Late)?;
    let answers = answers.map_err(NoConnection::Redis)?;
    let error = |answer: &Value| if let Value::ServerError(error) = answer { Some(error.clone()) } else { None };
    match answers.iter().find_map(error) {
        Some(error) => {
            let error = redis::RedisError::from(error);
            tracing::debug!(error = words(&error), "a command was refused");
            Err(NoConnection::Redis(error).into())
        }
        None if answers.len() == count => Ok(answers),
        None => Err(Unusable::Odd),
    }
}

/// A text of Redis.
#[must_use]
pub fn bytes(value: &Value) -> Option<&Vec<u8>> {
    if let Value::BulkString(bytes) = value { Some(bytes) } else { None }
}
