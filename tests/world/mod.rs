//! One small world: an issuer, a client with a key and a certificate, three APIs, and the walk of a request through it.
#![allow(dead_code, reason = "each suite uses its part of this module")]

use std::str::FromStr as _;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use cedar_policy::{Entities, EntityUid, Policy, PolicyId};
use keybound::decision::binding::nonce::NonceKeys;
use keybound::decision::binding::{ProofRules, Spending};
use keybound::decision::certificate::{CertificateRules, CertificateSource, ChainTrust};
use keybound::decision::client::{ClientId, Registration, Registry};
use keybound::decision::denial::Class;
use keybound::decision::facts::{RawRequest, RequestFacts};
use keybound::decision::jose::algorithm::AlgorithmSet;
use keybound::decision::jose::base64url_of;
use keybound::decision::leniency::Leniency;
use keybound::decision::policy::{AuthoredPolicy, PolicyIndex};
use keybound::decision::route::{Api, Inventory, Operation, PathTemplate, ProofDemand, Sensitivity};
use keybound::decision::snapshot::{Bundle, Snapshot};
use keybound::decision::target::Origin;
use keybound::decision::token::{ClaimSpec, ClaimType, Issuer, IssuerRules, Issuers, Keyring, TokenType};
use keybound::decision::{Decision, Examined, examine};
use rcgen::{CertificateParams, KeyPair, SanType};
use serde_json::{Value, json};

/// The time in this world: 2027-01-15T08:00:00Z.
pub const NOW: i64 = 1_800_000_000;
/// The issuer and its audience.
pub const ISSUER: &str = "https://as.test";
pub const AUDIENCE: &str = "https://api.test";
/// An API that demands a proof.
pub const ENFORCED: &str = "api.test";
/// The same in observe mode, as to credentials and what follows from them.
pub const OBSERVED: &str = "observed.test";
/// The same, with nonces.
pub const NONCED: &str = "nonced.test";

/// A P-256 key pair.
pub struct Key(EcdsaKeyPair);

impl Key {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub fn jwk(&self) -> Value {
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "x": base64url_of(x), "y": base64url_of(y)})
    }

    /// RFC 7638 §3: the members in lexicographic order.
    pub fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        sha256(format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]).as_bytes())
    }

    pub fn jws(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| base64url_of(value.to_string().as_bytes());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", base64url_of(signature.as_ref()))
    }
}

fn sha256(bytes: &[u8]) -> String {
    base64url_of(digest(&SHA256, bytes).as_ref())
}

/// Everybody in it, and what decisions read.
pub struct World {
    pub snapshot: Snapshot,
    pub server: Key,
    pub client: Key,
    /// The client's certificate in DER.
    certificate: Vec<u8>,
}

/// A request as it is sent.
pub struct Sent {
    pub host: &'static str,
    pub path: &'static str,
    pub headers: Vec<(&'static str, String)>,
    /// `source.certificate`.
    pub certificate: String,
}

impl Sent {
    pub fn raw(&self) -> RawRequest<'_> {
        RawRequest {
            method: b"GET",
            host: self.host.as_bytes(),
            path: self.path.as_bytes(),
            headers: self.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect(),
            peer_address: b"192.0.2.7",
            peer_certificate: self.certificate.as_bytes(),
            ..RawRequest::default()
        }
    }
}

impl World {
    pub fn new() -> Self {
        let (server, client) = (Key::new(), Key::new());
        let ring = Keyring::parse(json!({"keys": [server.jwk()]}).to_string().as_bytes()).unwrap();
        let snapshot = Snapshot {
            metadata: false,
            issuers: Issuers::new([Issuer { rules: Arc::new(issuer_rules()), keys: Some(Arc::new(ring)) }]),
            certificates: Arc::new(CertificateRules {
                source: CertificateSource::EnvoyPeerCertificate,
                chain: ChainTrust::Envoy,
            }),
            trust: None,
            proofs: Arc::new(ProofRules {
                algorithms: AlgorithmSet::new(&AlgorithmSet::PROOFS),
                max_age_seconds: 60,
                future_skew_seconds: 10,
                nonce_lifetime_seconds: 300,
            }),
            nonces: Arc::new(NonceKeys::new(&[7; 32], &[])),
            bundle: Some(Arc::new(bundle())),
        };
        Self { snapshot, server, client, certificate: certificate() }
    }

    /// A good token with this `cnf`, if it is an object.
    pub fn token(&self, cnf: &Value) -> String {
        let mut claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "robot", "client_id": "robot 1", "jti": "t", "iat": NOW - 10,
            "exp": NOW + 290, "scope": "payments.read", "level": 3, "groups": ["a", "b"], "since": NOW - 500,
            "trusted": true, "where": {"site": "x"},
        });
        if cnf.is_object() {
            claims["cnf"] = cnf.clone();
        }
        self.server.jws(&json!({"alg": "ES256", "typ": "at+jwt"}), &claims)
    }

    /// A token that names the client's key and its certificate.
    pub fn token_bound_twice(&self) -> String {
        self.token(&json!({"jkt": self.client.thumbprint(), "x5t#S256": sha256(&self.certificate)}))
    }

    /// A good proof for this token.
    pub fn proof(&self, token: &str, host: &str, nonce: Option<&str>) -> String {
        let mut claims = json!({
            "jti": "p", "htm": "GET", "htu": format!("https://{host}/payments/p%20%7b1"), "iat": NOW - 1,
            "ath": sha256(token.as_bytes()),
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        self.client.jws(&json!({"alg": "ES256", "typ": "dpop+jwt", "jwk": self.client.jwk()}), &claims)
    }

    /// A nonce for the API with nonces.
    pub fn nonce(&self, minted: i64) -> String {
        self.snapshot.nonces.mint(NONCED, minted)
    }

    /// A good request with everything that a request can have.
    pub fn good(&self, host: &'static str, nonce: Option<&str>) -> Sent {
        let token = self.token_bound_twice();
        let proof = self.proof(&token, host, nonce);
        let headers = vec![("authorization", format!("DPoP {token}")), ("dpop", proof)];
        Sent { host, path: "/payments/p%20%7B1", headers, certificate: envoy_form(&self.certificate) }
    }

    /// Without credential and certificate.
    pub fn bare(host: &'static str, path: &'static str) -> Sent {
        Sent { host, path, headers: Vec::new(), certificate: String::new() }
    }

    /// The whole walk; the memory of spent proofs says `spending`.
    pub fn decide(&self, sent: &Sent, spending: Spending) -> Decision {
        let raw = sent.raw();
        let facts = match RequestFacts::new("edge", &raw) {
            Ok(facts) => facts,
            Err(denial) => return Decision::refuse(denial),
        };
        let mut examined = examine(&self.snapshot, &facts, NOW);
        if let Examined::Needs(unsettled) = examined {
            examined = unsettled.settle(spending);
        }
        match examined {
            Examined::Ended(decision) => *decision,
            Examined::Proven(proven) => proven.conclude(),
            Examined::Needs(_) => panic!("a settled proof is not asked for again"),
        }
    }

    pub fn bundle(&self) -> &Bundle {
        self.snapshot.bundle.as_ref().unwrap()
    }
}

fn issuer_rules() -> IssuerRules {
    IssuerRules {
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: AlgorithmSet::new(&AlgorithmSet::TOKENS),
        expiry_skew_seconds: 0,
        future_skew_seconds: 10,
        max_lifetime_seconds: Some(600),
        client_claim: "client_id".to_owned(),
        scope_claim: "scope".to_owned(),
        token_type: TokenType::AtJwt,
    }
}

fn bundle() -> Bundle {
    let observed = vec![Class::Credential, Class::Token, Class::Client, Class::Binding, Class::Policy];
    let apis = vec![
        api(ENFORCED, false, Leniency::default()),
        api(OBSERVED, false, Leniency { relaxed: observed, exceptions: Vec::new() }),
        api(NONCED, true, Leniency::default()),
    ];
    bundle_of(apis)
}

/// The bundle with these APIs.
pub fn bundle_of(apis: Vec<Api>) -> Bundle {
    let robot = ClientId { issuer: ISSUER.to_owned(), id: "robot 1".to_owned() };
    let registration = Registration {
        owner: "team".to_owned(),
        kind: "service".to_owned(),
        purposes: vec!["tests".to_owned()],
        ends_at: None,
    };
    Bundle {
        revision: "r".to_owned(),
        inventory: Inventory::new(apis).unwrap(),
        clients: Registry::new([(robot, registration)]),
        policies: policies(),
    }
}

/// An API at a host, which is also its id.
pub fn api(host: &str, nonces: bool, leniency: Leniency) -> Api {
    let operation = |path: &str, action: &str, scopes: &[&str], public: bool| Operation {
        methods: vec!["GET".to_owned()],
        path: PathTemplate::parse(path).unwrap(),
        action: action.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        public,
    };
    Api {
        id: host.to_owned(),
        owner: "team".to_owned(),
        sensitivity: Sensitivity::High,
        hosts: vec![(host.to_owned(), Origin::parse(&format!("https://{host}")).unwrap())],
        issuers: vec![ISSUER.to_owned()],
        audiences: None,
        proof: ProofDemand::Required,
        nonces,
        max_token_lifetime_seconds: None,
        registered_clients: true,
        leniency,
        allow_method_override: false,
        operations: vec![
            operation("/payments/{payment_id}", "payments.read", &["payments.read"], false),
            operation("/health", "payments.health", &[], true),
        ],
    }
}

fn policies() -> PolicyIndex {
    let permit = AuthoredPolicy {
        policy: Policy::parse(Some(PolicyId::new("permit-all")), "permit (principal, action, resource);").unwrap(),
        guardrail: false,
        reason: "a rule of the tests".to_owned(),
    };
    let action = |name: &str| (EntityUid::from_str(&format!("Action::\"{name}\"")).unwrap(), Vec::new());
    let actions = [action("payments.read"), action("payments.health")];
    let site = ClaimSpec { attribute: "site".to_owned(), claim: "site".to_owned(), kind: ClaimType::Text };
    let claims = [
        ("level", ClaimType::Long),
        ("groups", ClaimType::Set(Box::new(ClaimType::Text))),
        ("since", ClaimType::Date),
        ("trusted", ClaimType::Bool),
        ("where", ClaimType::Record(vec![site])),
    ];
    let claims = claims.map(|(name, kind)| ClaimSpec { attribute: name.to_owned(), claim: name.to_owned(), kind });
    PolicyIndex::new(&[permit], &actions, &Entities::empty(), claims.to_vec()).unwrap()
}

fn certificate() -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![
        SanType::URI("spiffe://example.test/ns/a/sa/robot".try_into().unwrap()),
        SanType::DnsName("robot.example.test".try_into().unwrap()),
    ];
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

/// URL-encoded PEM, as Envoy writes it.
fn envoy_form(der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    [(" ", "%20"), ("\n", "%0A"), ("+", "%2B"), ("/", "%2F"), ("=", "%3D")]
        .into_iter()
        .fold(pem, |text, (from, to)| text.replace(from, to))
}
