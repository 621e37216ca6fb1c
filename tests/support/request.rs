//! Good requests, and one change to them. What is signed is signed after the change; the result is plain data.

mod issuers;
mod listed;
mod opaque;

pub use issuers::{good_key_set, good_legacy, good_narrow, good_second, good_second_at};
pub use listed::{LIST, Listing, STATUS_HOST, good_listed, good_listed_by_signer, good_listed_mtls, status_list};
pub use opaque::{good_asked, good_opaque, good_opaque_at, good_opaque_bearer, good_opaque_mtls, good_opaque_nonce};

use std::sync::Arc;

use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use serde_json::json;

use super::inventory::{host, origin_of};
use super::issuers::token;
use super::jws::HASH_OF_TOKEN;
use super::keys::{SigningKey, keys};
use super::pki::{Leaf, pki};
use super::setting::{Setting, nonce};
use super::{Jws, NOW, fresh_id, sha256};

/// A request as a client sends it, and what its connection shows.
#[derive(Clone)]
pub struct Request {
    /// What the operator has configured.
    pub setting: Setting,
    /// The listener that is asked.
    pub point: &'static str,
    pub method: String,
    pub authority: String,
    pub path: String,
    /// Names and values in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The client certificate of the connection.
    pub certificate: Option<&'static Leaf>,
    /// The identity of the direct peer, if it is not the certificate's.
    pub peer: Option<String>,
    /// The route's `context_extensions.api`.
    pub api_hint: Option<String>,
    /// What the issuer answers when it is asked about the token, if it does.
    pub answer: Option<Vec<u8>>,
    /// What is served as the token's status list.
    pub list: Listing,
    /// What no client can do: a change to Envoy's message, or to its bytes.
    pub edit_message: Option<EditMessage>,
    pub edit_bytes: Option<EditBytes>,
}

pub type EditMessage = Arc<dyn Fn(&mut CheckRequest) + Send + Sync>;
pub type EditBytes = Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;
type Change = Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;
type Make = Arc<dyn Fn() -> Good + Send + Sync>;

/// A request that is allowed, unless it is changed.
#[derive(Clone)]
pub struct Good {
    request: Request,
    scheme: &'static str,
    token: Jws,
    opaque: Option<opaque::Text>,
    list: Option<Jws>,
    proof: Option<Jws>,
    edits: Vec<(String, Edit)>,
    base: String,
    twin: Option<Make>,
}

#[derive(Clone)]
enum Edit {
    Set(Vec<u8>),
    Add(Vec<u8>),
    Remove,
    Change(Change),
}

/// `GET https://rs.example.com/items/7` with an ES256 proof.
pub fn good() -> Good {
    good_at(host::ITEMS)
}

/// The same at another API.
pub fn good_at(host: &'static str) -> Good {
    base(format!("DPoP at {host}"), move || dpop(host, token(), &keys().client, "ES256"))
}

/// The same with another kind of key.
pub fn good_with(key: &'static SigningKey, algorithm: &'static str) -> Good {
    base(format!("DPoP with {algorithm}"), move || dpop(host::ITEMS, token(), key, algorithm))
}

/// The same with a nonce, at the API that wants one.
pub fn good_nonce() -> Good {
    base("DPoP with a nonce".to_owned(), || {
        dpop(host::NONCE, token(), &keys().client, "ES256")
            .proof(|proof| proof.claims["nonce"] = json!(nonce("nonce", NOW - 10)))
    })
}

/// `GET https://rs.example.com/items/7` with a certificate-bound token and its certificate.
pub fn good_mtls() -> Good {
    good_mtls_with(&pki().client)
}

/// The same with another certificate.
pub fn good_mtls_with(leaf: &'static Leaf) -> Good {
    base(format!("mTLS with {}", leaf.thumbprint()), move || mtls(host::ITEMS, leaf))
}

/// The same at another API.
pub fn good_mtls_at(host: &'static str) -> Good {
    base(format!("mTLS at {host}"), move || mtls(host, &pki().client))
}

/// The same, where the certificate comes in headers.
pub fn good_mtls_by_header(setting: Setting, name: &'static str, value: String) -> Good {
    base(format!("mTLS by {name} ({}) under {setting:?}", sha256(&value)), move || {
        mtls(host::ITEMS, &pki().client).without_certificate().header(name, value.as_bytes()).moved_under(setting)
    })
}

/// Bound to the key and to the certificate.
pub fn good_both() -> Good {
    base("DPoP and mTLS".to_owned(), || {
        dpop(host::ITEMS, token(), &keys().client, "ES256")
            .token(|token| token.claims["cnf"]["x5t#S256"] = json!(pki().client.thumbprint()))
            .certificate(&pki().client)
    })
}

/// `GET https://open.example.com/items/7` with a token that is bound to nothing, where no proof is demanded.
pub fn good_bearer() -> Good {
    good_bearer_at(host::OPEN)
}

/// The same at another API.
pub fn good_bearer_at(host: &'static str) -> Good {
    base(format!("Bearer at {host}"), move || bearer(host, token()))
}

fn base(name: String, make: impl Fn() -> Good + Send + Sync + 'static) -> Good {
    let mut good = make();
    good.base = name;
    good.twin = Some(Arc::new(make));
    good
}

fn dpop(host: &'static str, mut token: Jws, key: &'static SigningKey, algorithm: &'static str) -> Good {
    token.claims["cnf"] = json!({"jkt": key.thumbprint()});
    let claims = json!({
        "jti": fresh_id(),
        "htm": "GET",
        "htu": format!("{}/items/7", origin_of(host)),
        "iat": NOW - 1,
        "ath": HASH_OF_TOKEN,
    });
    let mut proof = Jws::new("dpop+jwt", algorithm, key, claims);
    proof.header["jwk"] = key.jwk();
    Good { scheme: "DPoP", proof: Some(proof), ..bearer(host, token) }
}

fn mtls(host: &'static str, leaf: &'static Leaf) -> Good {
    let mut token = token();
    token.claims["cnf"] = json!({"x5t#S256": leaf.thumbprint()});
    bearer(host, token).certificate(leaf)
}

fn bearer(host: &'static str, token: Jws) -> Good {
    let request = Request {
        setting: Setting::Standard,
        point: "edge",
        method: "GET".to_owned(),
        authority: host.to_owned(),
        path: "/items/7".to_owned(),
        headers: Vec::new(),
        certificate: None,
        peer: None,
        api_hint: None,
        answer: None,
        list: Listing::Unasked,
        edit_message: None,
        edit_bytes: None,
    };
    Good {
        request,
        scheme: "Bearer",
        token,
        opaque: None,
        list: None,
        proof: None,
        edits: Vec::new(),
        base: String::new(),
        twin: None,
    }
}

impl Good {
    /// Changes the access token.
    pub fn token(mut self, change: impl FnOnce(&mut Jws)) -> Self {
        change(&mut self.token);
        self
    }

    /// Changes the proof.
    pub fn proof(mut self, change: impl FnOnce(&mut Jws)) -> Self {
        change(self.proof.as_mut().expect("a request with a proof"));
        self
    }

    /// Another `Authorization` scheme, as spelled.
    pub fn scheme(mut self, scheme: &'static str) -> Self {
        self.scheme = scheme;
        self
    }

    /// This header with this value, once.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref().to_vec();
        self.edit(name, Edit::Set(value))
    }

    /// One more header field.
    pub fn and_header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref().to_vec();
        self.edit(name, Edit::Add(value))
    }

    /// No such header.
    pub fn without(self, name: &str) -> Self {
        self.edit(name, Edit::Remove)
    }

    /// Changes the value of a header that is there.
    pub fn edit_header(self, name: &str, change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Self {
        self.edit(name, Edit::Change(Arc::new(change)))
    }

    fn edit(mut self, name: &str, edit: Edit) -> Self {
        self.edits.push((name.to_owned(), edit));
        self
    }

    /// Another method, which the proof names too.
    pub fn method(mut self, method: &str) -> Self {
        if let Some(proof) = &mut self.proof {
            proof.claims["htm"] = json!(method);
        }
        self.raw_method(method)
    }

    /// Another method of the request alone.
    pub fn raw_method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.request.method);
        self
    }

    /// Another path, which the proof names too, without its query.
    pub fn path(mut self, path: &str) -> Self {
        if let Some(proof) = &mut self.proof {
            let (path, _) = path.split_once('?').unwrap_or((path, ""));
            proof.claims["htu"] = json!(format!("{}{path}", origin_of(&self.request.authority)));
        }
        self.raw_path(path)
    }

    /// Another path of the request alone.
    pub fn raw_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.request.path);
        self
    }

    /// Another authority of the request alone.
    pub fn host(mut self, authority: &str) -> Self {
        authority.clone_into(&mut self.request.authority);
        self
    }

    /// Another client certificate on the connection.
    pub fn certificate(mut self, leaf: &'static Leaf) -> Self {
        self.request.certificate = Some(leaf);
        self
    }

    /// No client certificate on the connection.
    pub fn without_certificate(mut self) -> Self {
        self.request.certificate = None;
        self
    }

    /// The identity of the direct peer.
    pub fn peer(mut self, identity: &str) -> Self {
        self.request.peer = Some(identity.to_owned());
        self
    }

    /// The API that the route says it is for.
    pub fn api_hint(mut self, api: &str) -> Self {
        self.request.api_hint = Some(api.to_owned());
        self
    }

    /// The listener that is asked.
    pub fn point(mut self, point: &'static str) -> Self {
        self.request.point = point;
        self
    }

    /// Judged under this setting, and so is its twin.
    pub fn under(mut self, setting: Setting) -> Self {
        self.base = format!("{} under {setting:?}", self.base);
        self.with_base(move |good| good.moved_under(setting))
    }

    /// Part of the unchanged request: its twin has it too.
    pub fn with_base(mut self, change: impl Fn(Self) -> Self + Send + Sync + 'static) -> Self {
        let twin = self.twin.take().expect("a base");
        let mut good = change(self);
        good.twin = Some(Arc::new(move || change(twin())));
        good
    }

    /// Judged under this setting; that is the change.
    pub fn moved_under(mut self, setting: Setting) -> Self {
        self.request.setting = setting;
        self
    }

    /// A change to Envoy's message that no client can cause.
    pub fn message(mut self, edit: impl Fn(&mut CheckRequest) + Send + Sync + 'static) -> Self {
        self.request.edit_message = Some(Arc::new(edit));
        self
    }

    /// A change to the bytes of Envoy's message.
    pub fn bytes(mut self, edit: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Self {
        self.request.edit_bytes = Some(Arc::new(edit));
        self
    }

    /// The name of the unchanged request.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The unchanged request, made anew.
    pub fn twin(&self) -> Self {
        let make = self.twin.as_ref().expect("a base");
        make()
    }

    /// Signs, and puts the request together.
    pub fn build(&self) -> Request {
        let mut request = self.request.clone();
        let token = self.presented(&mut request);
        self.serve_list(&mut request);
        let mut headers = vec![
            ("accept".to_owned(), b"*/*".to_vec()),
            ("authorization".to_owned(), format!("{} {token}", self.scheme).into_bytes()),
        ];
        headers.extend(self.proof.iter().map(|proof| ("dpop".to_owned(), proof.compact_for(&token).into_bytes())));
        for (name, edit) in &self.edits {
            let is_it = |field: &(String, Vec<u8>)| field.0.eq_ignore_ascii_case(name);
            match edit {
                Edit::Set(value) => {
                    headers.retain(|field| !is_it(field));
                    headers.push((name.clone(), value.clone()));
                }
                Edit::Add(value) => headers.push((name.clone(), value.clone())),
                Edit::Remove => headers.retain(|field| !is_it(field)),
                Edit::Change(change) => {
                    let field = headers.iter_mut().find(|field| is_it(field)).expect("a header to change");
                    field.0.clone_from(name);
                    field.1 = change(core::mem::take(&mut field.1));
                }
            }
        }
        request.headers = headers;
        request
    }
}
