//! The APIs that requests are for, and the clients that may ask.

use keybound::decision::client::{ClientId, Registration, Registry};
use keybound::decision::denial::Class;
use keybound::decision::leniency::{Exception, Leniency, Waiver};
use keybound::decision::route::{Api, Introspects, Inventory, Operation, PathTemplate, ProofDemand, Sensitivity};
use keybound::decision::target::Origin;

use super::NOW;
use super::issuers::{KEYLESS, LEGACY, NARROW_AUDIENCE, SECOND, SERVER, key_sets, with_key_set};

/// Each API at a host of its own. All have the operations of [`operations`].
pub mod host {
    /// Demands a proof of either kind.
    pub const ITEMS: &str = "rs.example.com";
    /// Demands DPoP.
    pub const DPOP: &str = "dpop.example.com";
    /// Demands a certificate.
    pub const MTLS: &str = "mtls.example.com";
    /// Demands no proof.
    pub const OPEN: &str = "open.example.com";
    /// Demands a proof of either kind, a DPoP proof with a nonce.
    pub const NONCE: &str = "nonce.example.com";
    /// The same as another API.
    pub const OTHER_NONCE: &str = "other-nonce.example.com";
    /// Accepts the legacy issuer alone, and demands no proof.
    pub const LEGACY: &str = "legacy-rs.example.com";
    /// Accepts the second issuer alone.
    pub const SECOND: &str = "second-rs.example.com";
    /// Accepts the issuers with odd key sets, and one without keys.
    pub const KEYS: &str = "keys-rs.example.com";
    /// Accepts tokens of at most 300 s.
    pub const SHORT: &str = "short.example.com";
    /// Lets method override headers through.
    pub const OVERRIDE: &str = "override.example.com";
    /// Wants clients to be registered.
    pub const REGISTERED: &str = "registered.example.com";
    /// Wants an audience of its own.
    pub const NARROW: &str = "narrow.example.com";
    /// Wants a workload identity in a certificate whose chain is vouched for.
    pub const WORKLOAD: &str = "workload.example.com";
    /// Observes where the sender is not proven.
    pub const OBSERVE: &str = "observe.example.com";
    /// Observes whatever may be observed.
    pub const LENIENT: &str = "lenient.example.com";
    /// Accepts two issuers, and excepts a client of the first.
    pub const EXCEPTION: &str = "exception.example.com";
    /// Has opaque tokens read by their issuer.
    pub const OPAQUE: &str = "opaque.example.com";
    /// The same, and demands no proof.
    pub const OPAQUE_OPEN: &str = "opaque-open.example.com";
    /// The same as the first, with nonces.
    pub const OPAQUE_NONCE: &str = "opaque-nonce.example.com";
    /// The same as the first, and observes where the sender is not proven.
    pub const OPAQUE_OBSERVE: &str = "opaque-observe.example.com";
    /// Has the issuer asked about JWTs too.
    pub const ASKED: &str = "asked.example.com";
    /// Its public origin has a port.
    pub const PORT: &str = "port.example.com";
    /// An IPv6 address.
    pub const IPV6: &str = "[2001:db8::1]";
    /// An internationalised name in its ASCII form.
    pub const IDN: &str = "xn--mnchen-3ya.example.com";
}

/// The client whose exception ends a minute after [`NOW`].
pub const EXCEPTED: &str = "excepted-robot";

/// The public origin of the API at a host.
pub fn origin_of(host: &str) -> String {
    if host == host::PORT { "https://port.example.com:8443".to_owned() } else { format!("https://{host}") }
}

/// The inventory with these APIs.
pub fn inventory(apis: Vec<Api>) -> Inventory {
    Inventory::new(apis).expect("an inventory without ambiguity")
}

/// The APIs of every setting.
pub fn apis() -> Vec<Api> {
    let api_for = |id: &str, host: &str, change: &dyn Fn(&mut Api)| {
        let mut api = api(id, host);
        change(&mut api);
        api
    };
    let key_set_issuers: Vec<_> =
        key_sets().iter().map(|(name, _)| with_key_set(name)).chain([KEYLESS.to_owned()]).collect();
    vec![
        api_for("items", host::ITEMS, &|api| api.leniency.exceptions = vec![exception(Waiver::Proof)]),
        api_for("dpop", host::DPOP, &|api| api.proof = ProofDemand::Dpop),
        api_for("mtls", host::MTLS, &|api| api.proof = ProofDemand::Mtls),
        api_for("open", host::OPEN, &|api| api.proof = ProofDemand::None),
        api_for("nonce", host::NONCE, &|api| api.nonces = true),
        api_for("other-nonce", host::OTHER_NONCE, &|api| api.nonces = true),
        api_for("legacy", host::LEGACY, &|api| {
            (api.proof, api.issuers) = (ProofDemand::None, vec![LEGACY.to_owned()]);
        }),
        api_for("second", host::SECOND, &|api| api.issuers = vec![SECOND.to_owned()]),
        api_for("keys", host::KEYS, &|api| api.issuers.clone_from(&key_set_issuers)),
        api_for("short", host::SHORT, &|api| {
            api.max_token_lifetime_seconds = Some(300);
            api.leniency.exceptions = vec![exception(Waiver::TokenLifetime)];
        }),
        api_for("observe", host::OBSERVE, &|api| api.leniency.relaxed = vec![Class::Binding]),
        api_for("lenient", host::LENIENT, &|api| {
            api.registered_clients = true;
            api.leniency.relaxed = vec![Class::Credential, Class::Token, Class::Client, Class::Binding, Class::Policy];
        }),
        api_for("exception", host::EXCEPTION, &|api| {
            api.issuers = vec![SERVER.to_owned(), SECOND.to_owned()];
            api.leniency.exceptions = vec![exception(Waiver::Proof)];
        }),
        api_for("override", host::OVERRIDE, &|api| api.allow_method_override = true),
        api_for("registered", host::REGISTERED, &|api| api.registered_clients = true),
        api_for("narrow", host::NARROW, &|api| api.audiences = Some(vec![NARROW_AUDIENCE.to_owned()])),
        api_for("workload", host::WORKLOAD, &|_| {}),
        api_for("opaque", host::OPAQUE, &|api| api.introspection = Some(introspects(false))),
        api_for("opaque-open", host::OPAQUE_OPEN, &|api| {
            (api.proof, api.introspection) = (ProofDemand::None, Some(introspects(false)));
        }),
        api_for("opaque-nonce", host::OPAQUE_NONCE, &|api| {
            (api.nonces, api.introspection) = (true, Some(introspects(false)));
        }),
        api_for("opaque-observe", host::OPAQUE_OBSERVE, &|api| {
            (api.leniency.relaxed, api.introspection) = (vec![Class::Binding], Some(introspects(false)));
        }),
        api_for("asked", host::ASKED, &|api| api.introspection = Some(introspects(true))),
        api_for("port", host::PORT, &|_| {}),
        api_for("ipv6", host::IPV6, &|_| {}),
        api_for("idn", host::IDN, &|_| {}),
    ]
}

fn introspects(jwts_too: bool) -> Introspects {
    Introspects { issuer: SERVER.to_owned(), jwts_too }
}

fn api(id: &str, host: &str) -> Api {
    Api {
        id: id.to_owned(),
        owner: "items-team".to_owned(),
        sensitivity: Sensitivity::Medium,
        hosts: vec![(host.to_owned(), origin(&origin_of(host)))],
        issuers: vec![SERVER.to_owned()],
        audiences: None,
        proof: ProofDemand::Required,
        nonces: false,
        max_token_lifetime_seconds: None,
        introspection: None,
        registered_clients: false,
        leniency: Leniency::default(),
        allow_method_override: false,
        operations: operations(),
    }
}

fn origin(text: &str) -> Origin {
    Origin::parse(text).expect("an origin")
}

fn exception(waives: Waiver) -> Exception {
    Exception {
        client: ClientId { issuer: SERVER.to_owned(), id: EXCEPTED.to_owned() },
        waives,
        reason: "the vendor ships DPoP next month".to_owned(),
        owner: "items-team".to_owned(),
        ends_at: NOW + 60,
    }
}

fn operations() -> Vec<Operation> {
    let operation = |method: &str, path: &str, action: &str, scopes: &[&str]| Operation {
        methods: vec![method.to_owned()],
        path: PathTemplate::parse(path).expect("a path template"),
        action: action.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        public: false,
    };
    let mut operations = vec![
        operation("GET", "/", "root.read", &[]),
        operation("GET", "/items", "items.list", &["items.read", "items.list"]),
        operation("POST", "/items", "items.create", &["items.read"]),
        operation("GET", "/items/{item_id}", "items.read", &["items.read"]),
        operation("PUT", "/items/{item_id}", "items.replace", &["items.read", "items.write"]),
        operation("DELETE", "/items/{item_id}", "items.delete", &["items.read"]),
        operation("GET", "/items/{item_id}/parts", "items.read", &["items.read"]),
        operation("GET", "/items/{item_id}/history", "items.history", &["items.read"]),
        operation("GET", "/items/{item_id}/audit", "items.audit", &["items.read"]),
        operation("GET", "/items/@all", "items.list", &["items.list"]),
        operation("GET", "/health", "health.read", &[]),
        operation("DELETE", "/health", "health.delete", &[]),
    ];
    for operation in operations.iter_mut().filter(|operation| operation.action.starts_with("health.")) {
        operation.public = true;
    }
    operations
}

/// The registered clients.
pub fn registry() -> Registry {
    let client = |issuer: &str, id: &str, ends_at: Option<i64>| {
        let registration = Registration {
            owner: "items-team".to_owned(),
            kind: "service".to_owned(),
            purposes: vec!["reading".to_owned()],
            ends_at,
        };
        (ClientId { issuer: issuer.to_owned(), id: id.to_owned() }, registration)
    };
    Registry::new([
        client(SERVER, "robot", None),
        client(SERVER, "retired-robot", Some(NOW)),
        client(SECOND, "second-robot", None),
    ])
}
