//! An issuer that answers at once whatever a request says that it answers.

use std::future::ready;
use std::sync::Arc;

use keybound::decision::token::Ask;
use keybound::edge::introspection::{Answering, Introspect};

use super::NOW;
use super::issuers::SERVER;
use super::request::Request;

/// What it says of every token; nothing if it cannot be asked.
pub struct SaysThis(Option<Vec<u8>>);

impl SaysThis {
    /// What the issuer of a request's token says.
    pub fn of(request: &Request) -> Arc<dyn Introspect> {
        Arc::new(Self(request.answer.clone()))
    }
}

impl Introspect for SaysThis {
    fn introspect<'a>(&'a self, ask: &'a Ask<'_>, _: i64) -> Answering<'a> {
        assert_eq!(ask.issuer(), SERVER, "a token is shown to its own issuer alone");
        let answer = self.0.as_deref().and_then(|text| ask.reader().read(text, NOW).ok());
        Box::pin(ready(answer))
    }
}
