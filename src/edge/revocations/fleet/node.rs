//! The one Redis that holds the fleet's revocations, over two connections: one waits for news, the other asks and tells.
//!
//! Four keys in one slot: a hash with all that counts, a stream with what is new in it, an epoch that says since when nothing was
//! lost, and a hash of who is telling what was. Nothing here trusts a value; what is trusted is told by [`super::sealed`].

use std::time::Duration;

use futures_util::future::select_ok;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};

use crate::config::{Layout, RedisAddress};
use crate::edge::random;
use crate::edge::redis::epoch::{Census, Epoch};
use crate::edge::redis::examine::{Unusable, bytes, examine, is_unchanged, sent, slots};
use crate::edge::redis::slots::slot_of;
use crate::edge::redis::{Dialer, NoConnection};

/// How long a connect, or an answer that need not wait, may take.
const LOOK: Duration = Duration::from_secs(2);
/// Records that are read at once. At their longest this is 16 MB.
pub const PAGE: usize = 256;
/// News that Redis keeps, about: who is further behind reads everything. A record takes about 700 bytes, so 15 MB.
const NEWS: usize = 20_000;
/// Pages of marks that are read; there is a mark for each replica that tells, and no more unless somebody makes them.
const MARKS: usize = 16;

/// A place and what stands there.
pub type Sealed = (Vec<u8>, Vec<u8>);

/// Where something stands in the stream: milliseconds and a number.
pub type Position = (u64, u64);

/// The names of the keys.
#[derive(Clone, Debug)]
pub struct Names {
    slot: u16,
    all: String,
    news: String,
    epoch: String,
    telling: String,
}

/// What a wait for news came to.
pub struct News {
    /// What is new, in order.
    pub records: Vec<Sealed>,
    /// The position of the last of it, or where it was asked from.
    pub last: Position,
    /// Whether something may be missing before it.
    pub has_gap: bool,
    /// Whether there may be more.
    pub is_full: bool,
}

/// Why something was not written, though Redis answers.
#[derive(Debug)]
pub enum Unwritten {
    /// It is as good as away.
    Unusable(Unusable),
    /// It does not want to.
    Refused(String),
}

/// The Redis.
pub struct Node {
    /// Where it is.
    pub address: RedisAddress,
    /// The epoch, as it stands there.
    pub epoch: Epoch,
    waits: MultiplexedConnection,
    asks: MultiplexedConnection,
    names: Names,
}

impl Names {
    /// Those under a prefix. The braces keep them in one slot of a cluster.
    #[must_use]
    pub fn under(prefix: &str) -> Self {
        let tag = format!("{prefix}:revocations");
        let name = |rest: &str| format!("{{{tag}}}:{rest}");
        let [all, news, epoch, telling] = ["all", "news", "epoch", "telling"].map(name);
        Self { slot: slot_of(tag.as_bytes()), all, news, epoch, telling }
    }
}

impl Node {
    /// Finds it, and examines who is at the other end of both connections. `now` is Unix seconds.
    ///
    /// # Errors
    /// Where, and why not.
    pub async fn find(dialer: &Dialer, names: &Names, now: i64) -> Result<Self, (String, Unusable)> {
        let addresses = dialer.first_addresses(LOOK).await.map_err(|(address, why)| (address.to_string(), why))?;
        let asked = addresses.iter().map(|address| {
            Box::pin(async move {
                let told = |why| (address.to_string(), why);
                let asks = dialer.connect(address, LOOK).await.map_err(|why| told(why.into()))?;
                let owner = match dialer.redis().layout {
                    Layout::Single | Layout::Sentinel => address.clone(),
                    Layout::Cluster => {
                        let slots = slots(&asks, address, LOOK).await.map_err(told)?;
                        slots.owner(names.slot).cloned().ok_or_else(|| told(Unusable::ClusterDown))?
                    }
                };
                Ok((owner, (address.clone(), asks)))
            })
        });
        let ((owner, (address, asks)), _) = select_ok(asked).await?;
        let found = async {
            let asks = if address == owner { asks } else { dialer.connect(&owner, LOOK).await? };
            clear(&asks, names).await?;
            let epoch = examine(&asks, &names.epoch, now, LOOK).await?;
            let waits = dialer.connect(&owner, LOOK).await?;
            // The name may lead to another one by now.
            if !is_unchanged(&waits, &names.epoch, epoch.to_string().as_bytes(), LOOK).await? {
                return Err(Unusable::Odd);
            }
            Ok(Self { address: owner.clone(), epoch, waits, asks, names: names.clone() })
        };
        found.await.map_err(|why| (owner.to_string(), why))
    }

    /// Whether it is still what it was.
    ///
    /// # Errors
    /// [`Unusable`].
    pub async fn is_unchanged(&self) -> Result<bool, Unusable> {
        is_unchanged(&self.asks, &self.names.epoch, self.epoch.to_string().as_bytes(), LOOK).await
    }

    /// Where the stream ends; it begins if there is none.
    ///
    /// # Errors
    /// [`Unusable`].
    pub async fn end(&self) -> Result<Position, Unusable> {
        let mut commands = Pipeline::with_capacity(1);
        commands.cmd("XREVRANGE").arg(&self.names.news).arg("+").arg("-").arg("COUNT").arg(1);
        let answers = sent(&self.asks, &commands, 1, LOOK).await?;
        if let Some((last, _)) = items(answers.first()).and_then(|items| entry(items.first()?)) {
            return Ok(last);
        }
        // So that there always is a first one: where it is behind us, nothing was dropped that we have not seen.
        let mut commands = Pipeline::with_capacity(1);
        commands.cmd("XADD").arg(&self.names.news).arg("*").arg("epoch").arg(self.epoch.to_string());
        let answers = sent(&self.asks, &commands, 1, LOOK).await?;
        answers.first().and_then(position).ok_or(Unusable::Odd)
    }

    /// Some of all that there is, and the cursor to go on with, which is 0 at the end. Large texts come too.
    ///
    /// # Errors
    /// [`Unusable`].
    pub async fn scan(&self, cursor: u64) -> Result<(u64, Vec<Sealed>), Unusable> {
        self.scan_of(&self.names.all, cursor).await
    }

    async fn scan_of(&self, hash: &str, cursor: u64) -> Result<(u64, Vec<Sealed>), Unusable> {
        let mut commands = Pipeline::with_capacity(1);
        commands.cmd("HSCAN").arg(hash).arg(cursor).arg("COUNT").arg(PAGE);
        let answers = sent(&self.asks, &commands, 1, LOOK).await?;
        let Some([cursor, found]) = items(answers.first()) else { return Err(Unusable::Odd) };
        let cursor = bytes(cursor).and_then(|cursor| core::str::from_utf8(cursor).ok()?.parse().ok());
        let found = items(Some(found)).ok_or(Unusable::Odd)?;
        let pairs = found.chunks_exact(2).filter_map(|pair| {
            let [place, sealed] = pair else { return None };
            Some((bytes(place)?.clone(), bytes(sealed)?.clone()))
        });
        Ok((cursor.ok_or(Unusable::Odd)?, pairs.collect()))
    }

    /// The marks of those who are telling.
    ///
    /// # Errors
    /// [`Unusable`].
    pub async fn marks(&self) -> Result<Vec<Sealed>, Unusable> {
        let (mut cursor, mut marks) = (0, Vec::new());
        for _ in 0..MARKS {
            let (next, found) = self.scan_of(&self.names.telling, cursor).await?;
            marks.extend(found);
            if next == 0 {
                break;
            }
            cursor = next;
        }
        Ok(marks)
    }

    /// Writes the mark of a replica.
    ///
    /// # Errors
    /// [`Unwritten`].
    pub async fn mark(&self, replica: &str, sealed: &[u8]) -> Result<(), Unwritten> {
        let mut commands = Pipeline::with_capacity(1);
        commands.cmd("HSET").arg(&self.names.telling).arg(replica).arg(sealed);
        sent(&self.asks, &commands, 1, LOOK).await.map(drop).map_err(Unwritten::of)
    }

    /// Removes the marks of replicas.
    ///
    /// # Errors
    /// [`Unusable`].
    pub async fn unmark(&self, replicas: &[String]) -> Result<(), Unusable> {
        self.remove_of(&self.names.telling, replicas).await
    }

    /// What stands at these places.
    ///
    /// # Errors
    /// [`Unusable`].
    pub async fn at(&self, places: &[String]) -> Result<Vec<Option<Vec<u8>>>, Unusable> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = Pipeline::with_capacity(1);
        commands.cmd("HMGET").arg(&self.names.all).arg(places);
        let answers = sent(&self.asks, &commands, 1, LOOK).await?;
        let found = items(answers.first()).ok_or(Unusable::Odd)?;
        if found.len() != places.len() {
            return Err(Unusable::Odd);
        }
        Ok(found.iter().map(|found| bytes(found).cloned()).collect())
    }

    /// Removes what is no longer needed.
    ///
    /// # Errors
    /// [`Unusable`].
    pub async fn remove(&self, places: &[String]) -> Result<(), Unusable> {
        self.remove_of(&self.names.all, places).await
    }

    async fn remove_of(&self, hash: &str, places: &[String]) -> Result<(), Unusable> {
        let mut commands = Pipeline::with_capacity(1);
        commands.cmd("HDEL").arg(hash).arg(places);
        sent(&self.asks, &commands, 1, LOOK).await.map(drop)
    }

    /// Writes records, and the news of them, in one step. Whatever stood in their places is overwritten.
    ///
    /// # Errors
    /// [`Unwritten`].
    pub async fn put(&self, records: &[(String, Vec<u8>)]) -> Result<(), Unwritten> {
        if records.is_empty() {
            return Ok(());
        }
        let mut commands = Pipeline::with_capacity(records.len().saturating_add(3));
        commands.cmd("MULTI").cmd("HSET").arg(&self.names.all);
        for (place, sealed) in records {
            commands.arg(place).arg(sealed.as_slice());
        }
        for (place, sealed) in records {
            commands.cmd("XADD").arg(&self.names.news).arg("MAXLEN").arg("~").arg(NEWS).arg("*");
            commands.arg(place).arg(sealed.as_slice());
        }
        commands.cmd("EXEC");
        let answers = sent(&self.asks, &commands, records.len().saturating_add(3), LOOK).await;
        let answers = answers.map_err(Unwritten::of)?;
        let Some(done) = items(answers.last()) else { return Err(Unwritten::Unusable(Unusable::Odd)) };
        if !done.iter().any(|answer| matches!(answer, Value::ServerError(_))) {
            return Ok(());
        }
        // The hash has them; no stream takes them: somebody has written its last possible position, say.
        self.begin_anew().await.map_err(Unwritten::Unusable)?;
        Err(Unwritten::Unusable(Unusable::Odd))
    }

    /// Drops a stream that takes nothing, and says so to all who follow it.
    async fn begin_anew(&self) -> Result<(), Unusable> {
        let random = random::sixteen().ok_or(Unusable::Odd)?;
        let census = Census { identity: self.epoch.identity.clone() };
        let epoch = Epoch::begin(self.epoch.since, &census, random);
        let mut commands = Pipeline::with_capacity(2);
        commands.cmd("DEL").arg(&self.names.news);
        commands.cmd("SET").arg(&self.names.epoch).arg(epoch.to_string());
        tracing::warn!("the stream of revocations took nothing any more, and begins anew");
        sent(&self.asks, &commands, 2, LOOK).await.map(drop)
    }

    /// Waits so long for what comes after a position.
    ///
    /// # Errors
    /// [`Unusable`]; nothing if the epoch is another one.
    pub async fn news(&self, after: Position, at_most: Duration) -> Result<Option<News>, Unusable> {
        let Names { news, epoch, .. } = &self.names;
        let mut commands = Pipeline::with_capacity(3);
        let millis = u64::try_from(at_most.as_millis()).unwrap_or_default().max(1);
        commands.cmd("XREAD").arg("COUNT").arg(PAGE).arg("BLOCK").arg(millis);
        commands.arg("STREAMS").arg(news).arg(format!("{}-{}", after.0, after.1));
        // Behind what was read: whether something was dropped before it could be, and whether it is what it was all the time.
        commands.cmd("XRANGE").arg(news).arg("-").arg("+").arg("COUNT").arg(1);
        commands.cmd("GET").arg(epoch);
        let answers = sent(&self.waits, &commands, 3, at_most.saturating_add(LOOK)).await?;
        let [read, first, epoch] = answers.as_slice() else { return Err(Unusable::Odd) };
        if bytes(epoch).map(Vec::as_slice) != Some(self.epoch.to_string().as_bytes()) {
            return Ok(None);
        }
        let read = if *read == Value::Nil { &[][..] } else { stream(read).ok_or(Unusable::Odd)? };
        let first = items(Some(first)).and_then(|items| entry(items.first()?));
        let mut found = News {
            records: Vec::new(),
            last: after,
            has_gap: first.is_none_or(|(first, _)| first > after),
            is_full: read.len() >= PAGE,
        };
        for item in read {
            let (at, fields) = entry(item).ok_or(Unusable::Odd)?;
            found.last = at;
            for pair in fields.chunks_exact(2) {
                if let [place, sealed] = pair
                    && let (Some(place), Some(sealed)) = (bytes(place), bytes(sealed))
                    && place != b"epoch"
                {
                    found.records.push((place.clone(), sealed.clone()));
                }
            }
        }
        Ok(Some(found))
    }
}

impl Unwritten {
    fn of(why: Unusable) -> Self {
        let Unusable::NoConnection(NoConnection::Redis(error)) = &why else { return Self::Unusable(why) };
        match error.code() {
            // Somebody else is to be asked, or it is to be looked at again.
            None | Some("MOVED" | "ASK" | "READONLY" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "WRONGTYPE") => {
                Self::Unusable(why)
            }
            Some(_) => Self::Refused(why.to_string()),
        }
    }
}

/// Removes what stands under our names and is of another kind: nothing could be kept there.
async fn clear(connection: &MultiplexedConnection, names: &Names) -> Result<(), Unusable> {
    let kinds = [(&names.all, "hash"), (&names.news, "stream"), (&names.epoch, "string"), (&names.telling, "hash")];
    let mut commands = Pipeline::with_capacity(kinds.len());
    for (name, _) in kinds {
        commands.cmd("TYPE").arg(name);
    }
    let answers = sent(connection, &commands, kinds.len(), LOOK).await?;
    for ((name, kind), found) in kinds.into_iter().zip(answers) {
        let Value::SimpleString(found) = found else { return Err(Unusable::Odd) };
        if found != "none" && found != kind {
            tracing::warn!(name, found, "something else stood where revocations are kept, and is removed");
            let mut commands = Pipeline::with_capacity(1);
            // With it goes the epoch, so that everybody notices.
            commands.cmd("DEL").arg(name).arg(&names.epoch);
            sent(connection, &commands, 1, LOOK).await?;
        }
    }
    Ok(())
}

fn items(value: Option<&Value>) -> Option<&[Value]> {
    if let Some(Value::Array(items)) = value { Some(items) } else { None }
}

/// What was read of the only stream that was asked for.
fn stream(answer: &Value) -> Option<&[Value]> {
    let [stream] = items(Some(answer))? else { return None };
    let [_, read] = items(Some(stream))? else { return None };
    items(Some(read))
}

/// The position and the fields of an entry of the stream.
fn entry(value: &Value) -> Option<(Position, &[Value])> {
    let [at, fields] = items(Some(value))? else { return None };
    Some((position(at)?, items(Some(fields))?))
}

fn position(value: &Value) -> Option<Position> {
    let (millis, number) = core::str::from_utf8(bytes(value)?).ok()?.split_once('-')?;
    Some((millis.parse().ok()?, number.parse().ok()?))
}
