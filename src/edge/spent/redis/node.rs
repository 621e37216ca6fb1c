//! One Redis that has shown that it remembers, over one connection.
//!
//! A connection leads to one process, so what was shown on it holds as long as it stands; and each spend brings the epoch along, asked
//! after the proof was written: if the epoch is still there, so is all that was written since it began.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};

use crate::config::RedisAddress;
use crate::edge::redis::epoch::Epoch;
use crate::edge::redis::examine::{Unusable, bytes, examine, is_unchanged};

/// Answers that are late one after the other, until the node is not asked any more.
const LATE: u32 = 3;

/// A node.
pub struct Node {
    /// Where it is.
    pub address: RedisAddress,
    connection: MultiplexedConnection,
    epoch_key: String,
    epoch: Vec<u8>,
    late: AtomicU32,
    closed: AtomicBool,
}

/// What a node answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether the proof was not there.
    pub fresh: bool,
    /// What became of the epoch.
    pub epoch: Seen,
}

/// What became of the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is the one that is known.
    Same,
    /// Another one began then.
    Other(i64),
    /// It is gone, or nobody can read it.
    Lost,
}

/// Why a node did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It has no room.
    Full,
    /// The key is another node's.
    Moved,
    /// Whatever else; the proof may or may not be remembered.
    Unsettled,
}

impl Node {
    /// Examines who is at the other end, and begins an epoch if there is none, or not of this process. `now` is Unix seconds.
    ///
    /// # Errors
    /// [`Unusable`].
    pub async fn examine(
        address: RedisAddress,
        connection: MultiplexedConnection,
        epoch_key: String,
        now: i64,
        at_most: Duration,
    ) -> Result<(Self, Epoch), Unusable> {
        let epoch = examine(&connection, &epoch_key, now, at_most).await?;
        let node = Self {
            address,
            connection,
            epoch_key,
            epoch: epoch.to_string().into_bytes(),
            late: AtomicU32::new(0),
            closed: AtomicBool::new(false),
        };
        Ok((node, epoch))
    }

    /// Whether it is still what it was: the same process, fit, in the same epoch.
    ///
    /// # Errors
    /// [`Unusable`].
    pub async fn is_unchanged(&self, at_most: Duration) -> Result<bool, Unusable> {
        is_unchanged(&self.connection, &self.epoch_key, &self.epoch, at_most).await
    }

    /// The connection, for whoever examines it again.
    #[must_use]
    pub fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// Whether it is not asked any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// From now on it is not asked any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Writes a key for so many milliseconds, if it is not there: one atomic step, and the epoch after it.
    ///
    /// # Errors
    /// [`Silence`].
    pub async fn spend(&self, key: &str, milliseconds: u64, at_most: Duration) -> Result<Told, Silence> {
        if self.is_closed() {
            return Err(Silence::Unsettled);
        }
        let mut commands = Pipeline::with_capacity(2);
        commands.cmd("SET").arg(key).arg(1).arg("NX").arg("PX").arg(milliseconds);
        commands.cmd("GET").arg(&self.epoch_key);
        let mut connection = self.connection.clone();
        let sent = connection.send_packed_commands(&commands, 0, 2);
        let answers = match tokio::time::timeout(at_most, sent).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(_)) => {
                self.close();
                return Err(Silence::Unsettled);
            }
            Err(_) => {
                if self.late.fetch_add(1, Ordering::AcqRel).saturating_add(1) >= LATE {
                    self.close();
                }
                return Err(Silence::Unsettled);
            }
        };
        self.late.store(0, Ordering::Release);
        self.read(&answers)
    }

    fn read(&self, answers: &[Value]) -> Result<Told, Silence> {
        let [set, epoch] = answers else { return Err(Silence::Unsettled) };
        if !matches!(set, Value::Okay | Value::Nil) {
            return Err(self.silence(set));
        }
        let epoch = match bytes(epoch) {
            Some(epoch) if *epoch == self.epoch => Seen::Same,
            Some(epoch) => Epoch::parse(epoch).map_or(Seen::Lost, |epoch| Seen::Other(epoch.since)),
            None if *epoch == Value::Nil => Seen::Lost,
            None => return Err(self.silence(epoch)),
        };
        Ok(Told { fresh: *set == Value::Okay, epoch })
    }

    fn silence(&self, answer: &Value) -> Silence {
        let code = if let Value::ServerError(error) = answer { error.code() } else { "" };
        match code {
            "OOM" => Silence::Full,
            "MOVED" | "ASK" => Silence::Moved,
            // It is asked again when it has shown that it can be.
            _ => {
                self.close();
                Silence::Unsettled
            }
        }
    }
}
