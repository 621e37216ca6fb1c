//! A worker's way to Redis: what its checks ask, and who keeps it.
//!
//! The one future that keeps a link is the breaker of its circuit: it makes the connections, looks at each node every second, and where a
//! node does not answer any more nobody asks it until this future, which tries alone and in no haste, has had an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::try_join_all;
use tokio::sync::Notify;

use super::node::{Seen, Silence};
use super::{LOOK, State, Store, Topology};
use crate::decision::Remembered;
use crate::decision::binding::{Spend, Spending};
use crate::edge::redis::examine::Unusable;
use crate::edge::redis::{NoConnection, spread};
use crate::edge::spent::Settled;

/// Between two looks at a node that answers: how long a node that was made a replica and back, or a policy that was changed, may go
/// unnoticed.
const EVERY: Duration = Duration::from_secs(1);
/// The same on the links beside the first: what that one finds raises the watermark for all, and a hundred processes of many workers
/// each are not to keep Redis busy with looks.
const SELDOM: Duration = Duration::from_secs(15);
/// Entries stay for so much longer than they must, as those in memory do: our clock and Redis' may go differently.
const KEPT_LONGER_SECONDS: i64 = 32;
/// After this long a link is sound, and the next trouble is not of the last one.
const SOUND: Duration = Duration::from_secs(10);
/// How long Redis must have been there again before a process that is alone returns to it.
const RETURN: Duration = Duration::from_secs(1);
/// The first pause between two tries, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// One worker's.
pub struct Link {
    store: Arc<Store>,
    number: usize,
    topology: ArcSwapOption<Topology>,
    /// A key is another node's than the topology says.
    moved: AtomicBool,
    wake: Notify,
}

impl Link {
    pub(super) fn new(store: Arc<Store>, number: usize) -> Self {
        Self { store, number, topology: ArcSwapOption::empty(), moved: AtomicBool::new(false), wake: Notify::new() }
    }

    /// Remembers a proof, if it is fresh. `now` is Unix seconds.
    pub async fn spend(&self, spend: &Spend, now: i64) -> Settled {
        if self.store.standing.state() == State::Local {
            let spending = self.store.memory.spend(spend, now);
            return Settled { spending, remembered: Remembered::Locally };
        }
        Settled { spending: self.share(spend, now).await, remembered: Remembered::AsConfigured }
    }

    async fn share(&self, spend: &Spend, now: i64) -> Spending {
        let key = self.store.prefix(&format!("spent:{}", URL_SAFE_NO_PAD.encode(spend.key)));
        let topology = self.topology.load_full();
        let node = topology.as_ref().and_then(|topology| topology.node(&key)).filter(|node| !node.is_closed());
        let Some(node) = node else { return Spending::Unavailable };
        // First our own: a proof that it knows needs no asking, and one that it does not now counts to the client's share.
        let memory = &self.store.memory;
        let known = memory.spend(spend, now);
        if known != Spending::Fresh {
            return known;
        }
        let seconds = spend.until.saturating_sub(now).max(0).saturating_add(KEPT_LONGER_SECONDS);
        let milliseconds = u64::try_from(seconds).unwrap_or_default().saturating_mul(1_000);
        let told = match node.spend(&key, milliseconds, self.store.redis().timeout).await {
            Ok(told) => told,
            Err(Silence::Full) => return Spending::Full,
            Err(silence) => {
                self.moved.fetch_or(silence == Silence::Moved, Ordering::AcqRel);
                self.wake.notify_one();
                return Spending::Unavailable;
            }
        };
        match told.epoch {
            Seen::Same => {}
            Seen::Other(since) => self.store.standing.forgot(since),
            Seen::Lost => self.store.standing.forgets(),
        }
        if told.epoch != Seen::Same {
            self.wake.notify_one();
            // It is remembered where others were forgotten: only one that was made since then is surely fresh.
            if told.fresh && spend.made_at <= memory.watermark() {
                return Spending::Predates;
            }
        }
        if told.fresh { Spending::Fresh } else { Spending::Replayed }
    }

    /// Keeps the link, for ever, on the runtime that asks through it.
    pub async fn keep(&self) {
        let mut pause = PAUSES.0;
        loop {
            let before = self.topology.load_full();
            let begun = Instant::now();
            let broken = match self.store.assemble(before.as_deref()).await {
                Ok(topology) => {
                    let gap = topology.gap();
                    self.topology.store(Some(Arc::new(topology)));
                    match gap {
                        Some(why) => Err(why),
                        None => self.watch().await,
                    }
                }
                Err((address, why)) => {
                    self.topology.store(None);
                    Err(format!("{address}: {why}"))
                }
            };
            if let Err(why) = &broken {
                self.store.standing.down(self.number, why);
            }
            if broken.is_ok() || begun.elapsed() > SOUND {
                pause = PAUSES.0;
            }
            tokio::time::sleep(spread(pause)).await;
            pause = pause.saturating_mul(2).min(PAUSES.1);
        }
    }

    /// Looks at every node again and again; returns when something has changed.
    ///
    /// # Errors
    /// A node does not answer, or must not be used any more.
    async fn watch(&self) -> Result<(), String> {
        if self.store.standing.state() == State::Local {
            tokio::time::sleep(RETURN).await;
            self.is_unchanged().await?;
        }
        self.store.standing.up(self.number);
        let every = if self.number == 0 { EVERY } else { SELDOM };
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = self.wake.notified() => {}
                () = self.store.standing.trouble() => {}
            }
            if self.moved.swap(false, Ordering::AcqRel) || !self.is_unchanged().await? {
                return Ok(());
            }
        }
    }

    async fn is_unchanged(&self) -> Result<bool, String> {
        let Some(topology) = self.topology.load_full() else { return Ok(false) };
        let looks = topology.nodes.values().map(async |node| {
            let looked = if node.is_closed() {
                Err(Unusable::NoConnection(NoConnection::Late))
            } else {
                node.is_unchanged(LOOK).await
            };
            looked.map_err(|why| {
                // Nobody asks it until it was examined again.
                node.close();
                format!("{}: {why}", node.address)
            })
        });
        let unchanged = try_join_all(looks).await?;
        for node in topology.nodes.values() {
            // A primary that was replaced may not know it yet.
            let why = match self.store.dialer.is_current(&node.address, LOOK).await {
                Ok(true) => continue,
                Ok(false) => format!("{} is not the primary any more", node.address),
                Err((address, why)) => format!("{address}: {why}"),
            };
            node.close();
            return Err(why);
        }
        Ok(unchanged.into_iter().all(|unchanged| unchanged))
    }
}
