//! Spent proofs in Redis, for every replica of a fleet: one atomic `SET … NX PX` a proof, on one connection per worker and node.
//!
//! Redis is trusted to keep what it was told until it expires, and each answer shows that it still does: the epoch is read behind every
//! write. What may have been lost raises the watermark of the process. A store that evicts, is a replica or does not say so is refused;
//! one that does not answer is not asked until it was looked at again. The process's own memory stands in front: it knows a client's
//! share, what this process has spent already, and the watermark.

mod link;
mod node;
mod standing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, select_ok};

use crate::config::{Layout, OnUnavailable, Redis, RedisAddress};
use crate::edge::redis::epoch::Unfit;
use crate::edge::redis::examine::{self, Unusable};
use crate::edge::redis::slots::{Slots, slot_of};
use crate::edge::redis::{Dialer, NoConnection};
use crate::edge::spent::memory::Memory;
use crate::telemetry::metrics::Metrics;
pub use link::Link;
use node::Node;
pub use standing::{Standing, State};

/// How long a look at Redis may take, the connect too: it is not a check that waits for it.
const LOOK: Duration = Duration::from_secs(1);

/// The shared memory of one process.
pub struct Store {
    dialer: Dialer,
    memory: Arc<Memory>,
    standing: Arc<Standing>,
    clock: fn() -> i64,
}

/// What a process must not start with.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Redis must not remember proofs.
    #[error("Redis at {0} must not remember spent proofs: {1}")]
    Unfit(RedisAddress, Unfit),
}

/// The nodes that remember, and which of them remembers what.
struct Topology {
    /// None: a single node has them all.
    slots: Option<Slots>,
    nodes: BTreeMap<RedisAddress, Arc<Node>>,
    /// Nodes that cannot be used, and why.
    missing: Vec<(RedisAddress, Unusable)>,
}

impl Topology {
    fn node(&self, key: &str) -> Option<&Arc<Node>> {
        match &self.slots {
            None => self.nodes.values().next(),
            Some(slots) => self.nodes.get(slots.owner(slot_of(key.as_bytes()))?),
        }
    }

    /// Why it is not whole, if it is not.
    fn gap(&self) -> Option<String> {
        if let Some((address, why)) = self.missing.first() {
            return Some(format!("{address}: {why}"));
        }
        let whole = self.slots.as_ref().is_none_or(Slots::are_whole);
        (!whole).then(|| "some slots of the cluster are nobody's".to_owned())
    }
}

impl Store {
    /// A memory in this Redis. `memory` is the process's own, without a watermark; `future_skew_seconds` is how far proofs may be ahead.
    #[must_use]
    pub fn new(
        redis: Redis,
        on_unavailable: OnUnavailable,
        memory: Arc<Memory>,
        future_skew_seconds: i64,
        clock: fn() -> i64,
        metrics: Arc<Metrics>,
    ) -> Self {
        let standing = Standing::new(on_unavailable, Arc::clone(&memory), future_skew_seconds, clock, metrics);
        Self { dialer: Dialer::new(redis), memory, standing: Arc::new(standing), clock }
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing)
    }

    /// A link for one runtime, which must keep it ([`Link::keep`]). All are made before any is kept.
    #[must_use]
    pub fn link(self: &Arc<Self>) -> Arc<Link> {
        Arc::new(Link::new(Arc::clone(self), self.standing.join()))
    }

    /// Whether the process may start with this Redis. One that cannot be used now may be later, and is looked at then.
    ///
    /// # Errors
    /// [`Refused`]: Redis evicts, which does not pass.
    pub async fn first_look(&self) -> Result<(), Refused> {
        let missing = match self.assemble(None).await {
            Ok(topology) => topology.missing,
            Err(missing) => vec![missing],
        };
        for (address, why) in missing {
            if let Unusable::Unfit(unfit @ Unfit::Evicts(_)) = why {
                return Err(Refused::Unfit(address, unfit));
            }
            tracing::warn!(redis = %address, %why, "Redis cannot be used yet");
        }
        Ok(())
    }

    fn redis(&self) -> &Redis {
        self.dialer.redis()
    }

    fn prefix(&self, rest: &str) -> String {
        format!("{}:{rest}", self.redis().key_prefix)
    }

    /// Connects to every node and examines it; connections of `before` that stand are used again.
    async fn assemble(&self, before: Option<&Topology>) -> Result<Topology, (RedisAddress, Unusable)> {
        let (slots, owners) = match self.redis().layout {
            Layout::Single | Layout::Sentinel => (None, self.dialer.first_addresses(LOOK).await?),
            Layout::Cluster => {
                let slots = self.slots(before).await?;
                let owners = slots.owners();
                (Some(slots), owners)
            }
        };
        let nodes = owners.into_iter().map(|owner| self.node(owner, slots.as_ref(), before));
        let mut topology = Topology { nodes: BTreeMap::new(), missing: Vec::new(), slots: None };
        for node in join_all(nodes).await {
            match node {
                Ok(node) => drop(topology.nodes.insert(node.address.clone(), Arc::new(node))),
                Err(missing) => topology.missing.push(missing),
            }
        }
        topology.slots = slots;
        match topology.missing.pop() {
            Some(missing) if topology.nodes.is_empty() => Err(missing),
            missing => {
                topology.missing.extend(missing);
                Ok(topology)
            }
        }
    }

    /// What the first node that answers says of the slots.
    async fn slots(&self, before: Option<&Topology>) -> Result<Slots, (RedisAddress, Unusable)> {
        let known = before.iter().flat_map(|before| before.nodes.keys());
        let mut asked: Vec<_> = self.redis().addresses.iter().chain(known).cloned().collect();
        asked.sort_unstable();
        asked.dedup();
        let answers = asked.into_iter().map(|address| {
            Box::pin(async move {
                let slots = self.slots_by(&address, before).await;
                slots.map_err(|why| (address, why))
            })
        });
        select_ok(answers).await.map(|(slots, _)| slots)
    }

    async fn slots_by(&self, address: &RedisAddress, before: Option<&Topology>) -> Result<Slots, Unusable> {
        let connection = self.connection(address, before).await?;
        examine::slots(&connection, address, LOOK).await
    }

    async fn node(
        &self,
        address: RedisAddress,
        slots: Option<&Slots>,
        before: Option<&Topology>,
    ) -> Result<Node, (RedisAddress, Unusable)> {
        let epoch_key = match slots {
            None => Some(self.prefix("epoch")),
            Some(slots) => slots.key_at(&address, &self.prefix("epoch:")),
        };
        let Some(epoch_key) = epoch_key else { return Err((address, Unusable::Odd)) };
        let examined = async {
            let connection = self.connection(&address, before).await?;
            Node::examine(address.clone(), connection, epoch_key, (self.clock)(), LOOK).await
        };
        match examined.await {
            Ok((node, epoch)) => {
                self.standing.forgot(epoch.since);
                Ok(node)
            }
            Err(why) => Err((address, why)),
        }
    }

    async fn connection(
        &self,
        address: &RedisAddress,
        before: Option<&Topology>,
    ) -> Result<redis::aio::MultiplexedConnection, NoConnection> {
        match before.and_then(|before| before.nodes.get(address)).filter(|node| !node.is_closed()) {
            Some(node) => Ok(node.connection()),
            None => self.dialer.connect(address, LOOK).await,
        }
    }
}
