//! An issuer that answers at once whatever a request says that it answers, and a host that serves what it says as status list.

use std::future::ready;
use std::sync::Arc;

use keybound::decision::status_list::ListReader;
use keybound::decision::token::{Ask, Issuer};
use keybound::edge::introspection::{Answering, Introspect};
use keybound::edge::status_lists::{Consult, Consulting};

use super::NOW;
use super::issuers::SERVER;
use super::request::{Listing, Request};

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

/// What it serves as status list.
pub struct ServesThis(Listing);

impl ServesThis {
    /// What is served for a request's token.
    pub fn of(request: &Request) -> Arc<dyn Consult> {
        Arc::new(Self(request.list.clone()))
    }
}

impl Consult for ServesThis {
    fn consult<'a>(&'a self, issuer: &'a Issuer, uri: &'a Arc<str>, now: i64) -> Consulting<'a> {
        let text = match &self.0 {
            Listing::Unasked => panic!("nobody may ask for the list"),
            Listing::Unavailable => return Box::pin(ready(None)),
            Listing::Text(text) => text,
        };
        let list = ListReader::of(issuer, uri).and_then(|reader| reader.read(text, now).ok());
        Box::pin(ready(list.map(Arc::new)))
    }
}
