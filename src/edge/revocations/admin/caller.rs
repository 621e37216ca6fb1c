//! Who calls the admin API: a bearer from a file, or a certificate that the listener's CA vouches for.
//!
//! Bearers are compared by their hashes and in constant time, all of them each time. Whoever guesses waits, and many who guess at once
//! are refused at once; who shows the right thing never waits for them.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use http::{HeaderMap, StatusCode, header};
use tokio::sync::Semaphore;

use super::problem::Problem;
use crate::config::{AdminCaller, AdminCredential};
use crate::edge::door;

/// The shortest bearer: 32 random characters cannot be guessed.
const BEARER_BYTES: core::ops::RangeInclusive<usize> = 32..=512;
/// Before somebody unknown is answered.
const HELD_UP: Duration = Duration::from_millis(200);
/// Those who wait for that; more are answered at once, with 429.
const HELD: usize = 32;
/// Lines about the unknown in each second.
const LINES: u32 = 10;

/// The hashes of the bearers that the files hold now, by the names of their callers.
pub type Bearers = Arc<ArcSwap<BTreeMap<String, Digest>>>;

/// What a connection shows of who is at its other end.
#[derive(Default)]
pub struct Peer {
    /// Where it comes from.
    pub address: String,
    /// URI names of its certificate, if it showed one.
    pub uris: Vec<String>,
    /// DNS names of its certificate.
    pub dns_names: Vec<String>,
    /// Whether it has shown who it is.
    pub known: AtomicBool,
}

/// Who may call.
pub struct Callers {
    all: Vec<AdminCaller>,
    bearers: Bearers,
    held: Semaphore,
    told: Mutex<(Option<Instant>, u32, u64)>,
}

/// Why nobody knows who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Nothing was shown.
    Nothing,
    /// A bearer of nobody, or an unreadable one.
    Bearer,
    /// A certificate of nobody who is listed.
    Certificate,
}

/// The hash of the bearer in a file.
///
/// # Errors
/// It is none: what would be right.
pub fn bearer(content: &[u8]) -> Result<Digest, &'static str> {
    let bearer = content.trim_ascii();
    if !BEARER_BYTES.contains(&bearer.len()) || !bearer.iter().all(u8::is_ascii_graphic) {
        return Err("write 32 to 512 visible ASCII characters, random ones, such as `openssl rand -hex 32` prints");
    }
    Ok(digest(&SHA256, bearer))
}

impl Callers {
    /// Those that config names, with their bearers.
    #[must_use]
    pub fn new(all: Vec<AdminCaller>, bearers: Bearers) -> Self {
        Self { all, bearers, held: Semaphore::new(HELD), told: Mutex::new((None, 0, 0)) }
    }

    /// Who calls. A bearer that is shown must be right, whatever certificate comes with it.
    ///
    /// # Errors
    /// Nobody knows.
    pub fn identify(&self, headers: &HeaderMap, peer: &Peer) -> Result<&AdminCaller, Unknown> {
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        match (shown.next(), shown.next()) {
            (None, _) => self.by_certificate(peer),
            (Some(one), None) => self.by_bearer(one.as_bytes()).ok_or(Unknown::Bearer),
            (Some(_), Some(_)) => Err(Unknown::Bearer),
        }
    }

    fn by_bearer(&self, field: &[u8]) -> Option<&AdminCaller> {
        let (scheme, bearer) = field.split_at_checked(7)?;
        if !scheme.eq_ignore_ascii_case(b"bearer ") || !BEARER_BYTES.contains(&bearer.len()) {
            return None;
        }
        let (shown, bearers) = (digest(&SHA256, bearer), self.bearers.load());
        let mut found = None;
        for (name, hash) in bearers.iter() {
            if verify_slices_are_equal(hash.as_ref(), shown.as_ref()).is_ok() {
                found = self.all.iter().find(|caller| caller.name == *name);
            }
        }
        found
    }

    fn by_certificate(&self, peer: &Peer) -> Result<&AdminCaller, Unknown> {
        if peer.uris.is_empty() && peer.dns_names.is_empty() {
            return Err(Unknown::Nothing);
        }
        let listed = |caller: &&AdminCaller| match &caller.credential {
            AdminCredential::Certificate(name) => door::is_named(name, &peer.uris, &peer.dns_names),
            AdminCredential::Bearer(_) => false,
        };
        // Who fits two callers is neither of them.
        let mut fitting = self.all.iter().filter(listed);
        match (fitting.next(), fitting.next()) {
            (Some(caller), None) => Ok(caller),
            _ => Err(Unknown::Certificate),
        }
    }

    /// What somebody unknown is told, after a while.
    pub async fn refuse(&self, unknown: Unknown, peer: &Peer) -> Problem {
        let (why, remedy) = match unknown {
            Unknown::Nothing => ("you did not show who you are", "send a bearer, or show a certificate"),
            Unknown::Bearer => {
                ("this bearer is nobody's", "send `Authorization: Bearer` and what is in your file, once")
            }
            Unknown::Certificate => ("this certificate is nobody's who may call", "ask to be added to `admin.callers`"),
        };
        if let Some(times) = self.due(Instant::now()) {
            tracing::warn!(peer = peer.address, why, times, "an admin call by nobody who is known");
        }
        let Ok(_held) = self.held.try_acquire() else {
            let what = "too many callers do not show who they are";
            return Problem::new(StatusCode::TOO_MANY_REQUESTS, what, "ask again in a second");
        };
        tokio::time::sleep(HELD_UP).await;
        Problem::new(StatusCode::UNAUTHORIZED, why, remedy)
    }

    /// Whether to tell, and how many there were since it was last told.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, lines, untold) = &mut *told;
        *untold = untold.saturating_add(1);
        if since.is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1)) {
            (*since, *lines) = (Some(now), 0);
        }
        if *lines >= LINES {
            return None;
        }
        *lines = lines.saturating_add(1);
        Some(core::mem::take(untold))
    }
}
