//! What a drill asks the outside: a token from an authorization server, and entry points, again and again, with that token.
//!
//! It is on the client's side of the house: tokens and proofs are sent and never shown. The places to be asked are named by the
//! operator; redirects are not followed, so the token goes nowhere else. Nothing is judged here but what an answer says of itself.

pub mod entrance;
pub mod grant;
pub mod proof;
#[cfg(test)]
mod tests;

use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity};

use crate::edge::fetch;

/// A connection must be there by then.
const CONNECT: Duration = Duration::from_secs(3);
/// One try is given up by then: who waits so long for an API has seen neither an allow nor a denial.
pub const TRY: Duration = Duration::from_secs(5);

/// How connections are made: all in PEM.
#[derive(Default)]
pub struct Connections {
    /// CAs that are trusted beside the system's.
    pub ca: Option<Vec<u8>>,
    /// A client certificate, its chain and its key.
    pub identity: Option<Vec<u8>>,
}

impl Connections {
    /// What connects so.
    ///
    /// # Errors
    /// What holds no PEM that can be used, without a word of it.
    pub fn builder(&self) -> Result<ClientBuilder, String> {
        let is_any = |pem: &Vec<u8>| Certificate::from_pem_bundle(pem).is_ok_and(|all| !all.is_empty());
        if !self.ca.as_ref().is_none_or(is_any) {
            return Err("the CA file holds no PEM certificates".to_owned());
        }
        let mut builder = fetch::guarded(self.ca.as_deref())?.connect_timeout(CONNECT).timeout(TRY);
        if let Some(pem) = &self.identity {
            // Its words may quote the file.
            let identity = Identity::from_pem(pem);
            let unfit = |_| "the certificate and its key are no PEM, or do not go together".to_owned();
            builder = builder.identity(identity.map_err(unfit)?);
        }
        Ok(builder)
    }

    /// The same, ready to ask.
    ///
    /// # Errors
    /// As above.
    pub fn client(&self) -> Result<Client, String> {
        self.builder()?.build().map_err(|error| fetch::causes(&error))
    }
}
