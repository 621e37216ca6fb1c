//! Requests that were prepared before the clock runs.

use std::sync::{Mutex, PoisonError};

use http::HeaderValue;

/// A request that is sent again and again, but for its proof.
#[derive(Clone)]
pub struct Request {
    pub head: http::Request<()>,
    /// Each goes with one sending; empty where none is needed.
    pub proofs: Vec<HeaderValue>,
}

/// What each connection sends.
pub struct Stock(Vec<Shelf>);

struct Shelf {
    head: http::Request<()>,
    proofs: Option<Mutex<Vec<HeaderValue>>>,
}

impl Stock {
    /// The first for the first connection, and so on.
    pub fn of(requests: Vec<Request>) -> Self {
        let with_proofs = |proofs: Vec<HeaderValue>| (!proofs.is_empty()).then(|| Mutex::new(proofs));
        Self(
            requests
                .into_iter()
                .map(|request| Shelf { head: request.head, proofs: with_proofs(request.proofs) })
                .collect(),
        )
    }

    /// The next one; none if its proofs are used up.
    pub fn take(&self, connection: usize) -> Option<http::Request<()>> {
        let Shelf { head, proofs } = self.0.get(connection)?;
        let mut request = head.clone();
        if let Some(proofs) = proofs {
            let mut proof = proofs.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            // Never seen again: it is not to drive the token out of the connection's table of headers (RFC 7541 §7.1.3).
            proof.set_sensitive(true);
            request.headers_mut().insert("dpop", proof);
        }
        Some(request)
    }
}
