//! Listeners: bound, named, served.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::net::TcpListener;

use super::Ended;
use crate::config::{CheckListener, Config, ListenAddress};
use crate::edge::door::Door;
use crate::edge::keeper::{ADMIN, Keeper};
use crate::edge::listen::{Listener, Worker};
use crate::edge::plain::PlainListener;
use crate::edge::revocations::Revocations;
use crate::edge::revocations::admin::{Admin, listener};

/// The TLS of each check listener. One that is to have it and has not must not be served in plain text.
pub(super) fn doors(config: &Config, keeper: &Keeper) -> Result<Vec<Option<Arc<Door>>>, Ended> {
    let door = |listener: &CheckListener| match (&listener.tls, keeper.door(&listener.name)) {
        (Some(_), None) => Err(Ended::NoDoor(listener.name.clone())),
        (_, door) => Ok(door),
    };
    config.listeners.check.iter().map(door).collect()
}

/// Every listener with its real address: what a port 0 became is found nowhere else.
pub(super) fn addresses(
    config: &Config,
    listeners: &[Listener],
    doors: &[Option<Arc<Door>>],
    others: [(&str, Option<&TcpListener>); 4],
) -> String {
    let check = config.listeners.check.iter().zip(listeners).zip(doors).map(|((configured, listener), door)| {
        let tls = if door.is_some() { " (TLS)" } else { "" };
        format!("{} {}{tls}", configured.name, listener.address())
    });
    let others = others.into_iter().filter_map(|(name, listener)| {
        let address = listener?.local_addr().ok()?;
        Some(format!("{name} {address}"))
    });
    check.chain(others).collect::<Vec<_>>().join(", ")
}

pub(super) async fn bind(config: &Config) -> Result<Vec<Listener>, Ended> {
    let mut listeners = Vec::new();
    for CheckListener { name, address, .. } in &config.listeners.check {
        listeners.push(Listener::bind(address).await.map_err(|why| unbound(name, address, why))?);
    }
    Ok(listeners)
}

pub(super) async fn plain(name: &str, address: Option<SocketAddr>) -> Result<Option<TcpListener>, Ended> {
    let Some(address) = address else { return Ok(None) };
    let bound = TcpListener::bind(address).await;
    bound.map(Some).map_err(|why| unbound(name, &ListenAddress::Tcp(address), why))
}

pub(super) fn unbound(name: &str, address: &ListenAddress, why: io::Error) -> Ended {
    let remedy = Listener::remedy(address, &why);
    Ended::Bind { listener: name.to_owned(), address: address.clone(), why, remedy }
}

pub(super) async fn serve_plain(name: &str, listener: Option<TcpListener>, routes: axum::Router) -> io::Result<()> {
    match listener {
        Some(listener) => axum::serve(PlainListener::new(name, listener), routes).await,
        None => std::future::pending().await,
    }
}

/// The listeners beside those that answer Envoy.
pub(super) struct Beside {
    pub probes: Option<TcpListener>,
    pub public: Option<TcpListener>,
    pub admin: AdminListener,
}

pub(super) async fn beside(config: &Config, keeper: &Keeper, revocations: &Arc<Revocations>) -> Result<Beside, Ended> {
    let probes = plain("probes", config.listeners.probes).await?;
    let public = plain("public", config.listeners.public).await?;
    Ok(Beside { probes, public, admin: admin(config, keeper, revocations).await? })
}

/// The admin listener, if there is one.
pub(super) struct AdminListener {
    bound: Option<(TcpListener, Option<Arc<Door>>)>,
    api: Arc<Admin>,
}

pub(super) async fn admin(
    config: &Config,
    keeper: &Keeper,
    revocations: &Arc<Revocations>,
) -> Result<AdminListener, Ended> {
    let api = Arc::new(Admin::new(config, keeper.bearers(), Arc::clone(revocations)));
    let Some(configured) = &config.listeners.admin else { return Ok(AdminListener { bound: None, api }) };
    let door = keeper.door(ADMIN);
    if configured.tls.is_some() && door.is_none() {
        return Err(Ended::NoDoor("admin".to_owned()));
    }
    let listener = plain("admin", Some(configured.address)).await?;
    Ok(AdminListener { bound: listener.map(|listener| (listener, door)), api })
}

impl AdminListener {
    pub(super) fn named(&self) -> (&'static str, Option<&TcpListener>) {
        ("admin", self.bound.as_ref().map(|(listener, _)| listener))
    }

    pub(super) async fn serve(self) {
        match self.bound {
            Some((listener, door)) => listener::serve(listener, door, self.api).await,
            None => std::future::pending().await,
        }
    }
}

/// Accepts connections of every listener, for ever.
pub(super) async fn accept(
    config: &Config,
    listeners: Vec<Listener>,
    doors: Vec<Option<Arc<Door>>>,
    senders: Vec<Vec<Worker>>,
) -> Vec<()> {
    let names = config.listeners.check.iter().map(|listener| listener.name.as_str());
    let all = listeners.into_iter().zip(names).zip(doors).zip(senders);
    let accepts = all.map(|(((listener, name), door), senders)| listener.accept_into(name, door, senders));
    join_all(accepts).await
}

/// Where the file of a Unix socket listener is, to remove it at the end.
#[must_use]
pub fn socket_paths(config: &Config) -> Vec<PathBuf> {
    let path = |listener: &CheckListener| match &listener.address {
        crate::config::ListenAddress::Unix(path) => Some(path.clone()),
        crate::config::ListenAddress::Tcp(_) => None,
    };
    config.listeners.check.iter().filter_map(path).collect()
}
