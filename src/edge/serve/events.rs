//! The listener to which transmitters push security events.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::Ended;
use super::listeners::plain;
use crate::config::Config;
use crate::edge::door::Door;
use crate::edge::jwks::Feeds;
use crate::edge::keeper::{EVENTS, Keeper};
use crate::edge::revocations::Revocations;
use crate::edge::revocations::admin::listener;
use crate::edge::revocations::events::Receiver;
use crate::telemetry::metrics::Metrics;

/// The events listener, if there is one.
pub(super) struct EventsListener {
    bound: Option<(TcpListener, Option<Arc<Door>>)>,
    receiver: Arc<Receiver>,
}

impl EventsListener {
    pub async fn bind(
        config: &Config,
        (keeper, feeds): (&Keeper, &Feeds),
        revocations: &Arc<Revocations>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Ended> {
        let (transmitters, revocations) = (keeper.transmitters(), Arc::clone(revocations));
        let receiver = Receiver::new(config, transmitters, revocations, feeds.wanted(), Arc::clone(metrics));
        let receiver = Arc::new(receiver);
        let Some(configured) = &config.listeners.events else { return Ok(Self { bound: None, receiver }) };
        let door = keeper.door(EVENTS);
        if configured.tls.is_some() && door.is_none() {
            return Err(Ended::NoDoor("events".to_owned()));
        }
        let listener = plain("events", Some(configured.address)).await?;
        Ok(Self { bound: listener.map(|listener| (listener, door)), receiver })
    }

    pub fn named(&self) -> (&'static str, Option<&TcpListener>) {
        ("events", self.bound.as_ref().map(|(listener, _)| listener))
    }

    pub async fn serve(self) {
        match self.bound {
            Some((listener, door)) => listener::serve(listener, door, self.receiver).await,
            None => std::future::pending().await,
        }
    }
}
