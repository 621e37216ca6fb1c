//! Requests whose token names a status list, and the list that is served.

use keybound::decision::jose::base64url_of;
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::{Value, json};

use super::super::issuers::{KID, SERVER, SIGNER};
use super::{Good, Jws, NOW, Request, Setting, base, dpop, host, keys, mtls, pki, token};

/// Where lists may be.
pub const STATUS_HOST: &str = "status.example.com";
/// The list that tokens name, of which they are the sixth entry.
pub const LIST: &str = "https://status.example.com/lists/1";

/// What becomes of the question for a list.
#[derive(Clone, Debug)]
pub enum Listing {
    /// Nobody may ask.
    Unasked,
    /// It cannot be had.
    Unavailable,
    /// This is served.
    Text(Vec<u8>),
}

/// A good DPoP request whose token names a list that says that it is valid.
pub fn good_listed() -> Good {
    base("DPoP with a status list".to_owned(), || {
        dpop(host::ITEMS, token(), &keys().client, "ES256").moved_under(Setting::Listed).listed()
    })
}

/// The same with a certificate-bound token.
pub fn good_listed_mtls() -> Good {
    base("mTLS with a status list".to_owned(), || {
        mtls(host::ITEMS, &pki().client).moved_under(Setting::Listed).listed()
    })
}

/// The same, where somebody else signs the lists.
pub fn good_listed_by_signer() -> Good {
    base("DPoP with a status list of another signer".to_owned(), || {
        let good = dpop(host::ITEMS, token(), &keys().client, "ES256").moved_under(Setting::ListedBySigner).listed();
        good.list(|list| {
            list.signed_by(&keys().stranger, "ES256");
            list.header["kid"] = json!("signer");
            list.claims["iss"] = json!(SIGNER);
        })
    })
}

/// `status_list` with these values, each of so many bits, made by hand: bit by bit, the lowest first.
pub fn status_list(bits: usize, values: &[u8]) -> Value {
    let mut bytes = vec![0_u8; (values.len() * bits).div_ceil(8)];
    for (index, value) in values.iter().enumerate() {
        for bit in (0..bits).filter(|bit| value >> bit & 1 == 1) {
            let place = index * bits + bit;
            bytes[place / 8] |= 1 << (place % 8);
        }
    }
    json!({"bits": bits, "lst": base64url_of(&compress_to_vec_zlib(&bytes, 9))})
}

/// A good list: two bits for each of sixteen tokens, all of them valid.
fn list() -> Jws {
    let claims = json!({
        "iss": SERVER, "sub": LIST, "iat": NOW - 100, "exp": NOW + 3_600, "ttl": 300, "status_list": status_list(2, &[0; 16]),
    });
    let mut list = Jws::new("statuslist+jwt", "ES256", &keys().server, claims);
    list.header["kid"] = json!(KID);
    list
}

impl Good {
    /// The token names a list, which is served.
    fn listed(mut self) -> Self {
        self.token.claims["status"] = json!({"status_list": {"idx": 5, "uri": LIST}});
        self.list = Some(list());
        self
    }

    /// Changes the list that is served.
    pub fn list(mut self, change: impl FnOnce(&mut Jws)) -> Self {
        change(self.list.as_mut().expect("a request with a list"));
        self
    }

    /// The list has these values, each of so many bits.
    pub fn entries(self, bits: usize, values: &[u8]) -> Self {
        let entries = status_list(bits, values);
        self.list(|list| list.claims["status_list"] = entries)
    }

    /// The list cannot be had.
    pub fn list_unavailable(self) -> Self {
        self.list_asked(Listing::Unavailable)
    }

    /// Nobody may ask for the list.
    pub fn list_unasked(self) -> Self {
        self.list_asked(Listing::Unasked)
    }

    /// This text is served.
    pub fn list_text(self, text: impl Into<Vec<u8>>) -> Self {
        self.list_asked(Listing::Text(text.into()))
    }

    fn list_asked(mut self, listing: Listing) -> Self {
        (self.list, self.request.list) = (None, listing);
        self
    }

    /// The list as it is served is put into the request.
    pub(super) fn serve_list(&self, request: &mut Request) {
        if let Some(list) = &self.list {
            request.list = Listing::Text(list.compact().into_bytes());
        }
    }
}
