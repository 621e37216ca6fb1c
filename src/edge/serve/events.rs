//! Security events: the listener to which transmitters push them, and the polls that fetch those of others.

use std::sync::Arc;

use reqwest::Client;
use tokio::net::TcpListener;

use super::Ended;
use super::listeners::plain;
use crate::config::{Config, Transmitter};
use crate::edge::door::Door;
use crate::edge::jwks::Feeds;
use crate::edge::keeper::{EVENTS, Keeper};
use crate::edge::revocations::Revocations;
use crate::edge::revocations::admin::listener;
use crate::edge::revocations::events::{Receiver, poll};
use crate::telemetry::metrics::Metrics;

/// The events listener, if there is one.
pub(super) struct EventsListener {
    bound: Option<(TcpListener, Option<Arc<Door>>)>,
    receiver: Arc<Receiver>,
    transmitters: Vec<Transmitter>,
    client: Client,
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
        let (polled, client) = (config.transmitters.clone(), feeds.client());
        let Some(configured) = &config.listeners.events else {
            return Ok(Self { bound: None, receiver, transmitters: polled, client });
        };
        let door = keeper.door(EVENTS);
        if configured.tls.is_some() && door.is_none() {
            return Err(Ended::NoDoor("events".to_owned()));
        }
        let listener = plain("events", Some(configured.address)).await?;
        let bound = listener.map(|listener| (listener, door));
        Ok(Self { bound, receiver, transmitters: polled, client })
    }

    pub fn named(&self) -> (&'static str, Option<&TcpListener>) {
        ("events", self.bound.as_ref().map(|(listener, _)| listener))
    }

    pub async fn serve(self) {
        let Self { bound, receiver, transmitters, client } = self;
        let listens = async {
            match bound {
                Some((listener, door)) => listener::serve(listener, door, Arc::clone(&receiver)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = listens => {}
            () = poll::follow(&transmitters, &receiver, &client) => {}
        }
    }
}
