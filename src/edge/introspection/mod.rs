//! Asking issuers about tokens (RFC 7662).

use std::future::{Future, ready};
use std::pin::Pin;

use crate::decision::token::{Ask, Introspection};

/// An answer that may have to be waited for.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Option<Introspection>> + Send + 'a>>;

/// Asks issuers about tokens.
pub trait Introspect: Send + Sync {
    /// What the issuer says, at `now`, Unix seconds; `None` if it cannot be had.
    fn introspect<'a>(&'a self, ask: &'a Ask<'_>, now: i64) -> Answering<'a>;
}

/// Asks nobody.
pub struct Nobody;

impl Introspect for Nobody {
    fn introspect<'a>(&'a self, _: &'a Ask<'_>, _: i64) -> Answering<'a> {
        Box::pin(ready(None))
    }
}
