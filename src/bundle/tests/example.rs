//! The shipped bundle: what each of its clients is meant to be allowed and denied, through the whole decision, with signed
//! tokens, proofs and certificates.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{NOW, forgetful::Forgetful, issuer, surroundings};
use crate::bundle::{Files, Remembered, load_again};
use crate::decision::binding::nonce::NonceKeys;
use crate::decision::binding::{ProofRules, Spending};
use crate::decision::certificate::{CertificateRules, CertificateSource, ChainTrust};
use crate::decision::facts::{RawRequest, RequestFacts};
use crate::decision::jose::algorithm::AlgorithmSet;
use crate::decision::snapshot::Snapshot;
use crate::decision::token::{Issuer, Issuers, Keyring};
use crate::decision::{Examined, Verdict, examine};
use crate::problem::Problem;

const AS: &str = "https://as.example.com";
const PARTNER_AS: &str = "https://partner-as.example.net";
/// 2026-12-01, 12:00 UTC.
const NOON: i64 = NOW + 12 * 3_600;

pub(super) fn shipped_texts() -> Vec<(String, Vec<u8>)> {
    let entries =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/policies")).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())).collect()
}

/// The two issuers, the shipped bundle, and a key for whoever signs: issuers and clients.
struct Estate {
    snapshot: Snapshot,
    key: Ed25519KeyPair,
}

/// How a token is bound.
#[derive(Clone, Copy)]
enum Bound {
    Dpop,
    /// To the certificate of the workload of this SPIFFE id.
    Certificate(&'static str),
    Bearer,
}

use Bound::{Bearer, Certificate, Dpop};

/// A token, a request and the moment.
struct Call {
    client: &'static str,
    bound: Bound,
    scope: &'static str,
    request: &'static str,
    claims: Value,
    age_seconds: i64,
    now: i64,
}

fn call(client: &'static str, bound: Bound, scope: &'static str, request: &'static str) -> Call {
    Call { client, bound, scope, request, claims: json!({}), age_seconds: 10, now: NOON }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Estate {
    fn new() -> Self {
        let (estate, warnings) = Self::of(&Files::new(shipped_texts()).unwrap());
        assert_eq!(warnings, []);
        estate
    }

    fn of(files: &Files) -> (Self, Vec<Problem>) {
        let key = Ed25519KeyPair::generate().unwrap();
        let rules = [issuer(AS, "https://api.example.com"), issuer(PARTNER_AS, "https://partner-api.example.com")];
        let surroundings = surroundings(&rules);
        let mut remembered = Remembered::default();
        let [_, again] = [(); 2].map(|()| load_again(files, &surroundings, &mut remembered));
        let (bundle, warnings) = again.unwrap_or_else(|problems| panic!("{problems:#?}"));
        let keys = json!({"keys": [jwk(&key)]}).to_string();
        let keyring = Keyring::parse(keys.as_bytes()).ok().map(Arc::new);
        let issuers = rules.map(|rules| Issuer { rules: Arc::new(rules), keys: keyring.clone(), signer_keys: None });
        let snapshot = Snapshot {
            tokens: Arc::new(Forgetful),
            leaves: Arc::new(Forgetful),
            status_lists: Arc::new(Forgetful),
            trust: None,
            metadata: true,
            issuers: Issuers::new(issuers),
            revocations: Arc::new(Forgetful),
            certificates: Arc::new(CertificateRules {
                source: CertificateSource::EnvoyPeerCertificate,
                chain: ChainTrust::Envoy,
            }),
            proofs: Arc::new(ProofRules {
                algorithms: AlgorithmSet::new(&AlgorithmSet::PROOFS),
                max_age_seconds: 60,
                future_skew_seconds: 10,
                nonce_lifetime_seconds: 300,
            }),
            nonces: Arc::new(NonceKeys::new(&[7; 32], &[])),
            bundle: Some(Arc::new(bundle)),
        };
        (Self { snapshot, key }, warnings)
    }

    fn signed(&self, header: &Value, payload: &Value) -> String {
        let input = format!("{}.{}", encode(header.to_string()), encode(payload.to_string()));
        format!("{input}.{}", encode(self.key.sign(input.as_bytes())))
    }

    fn token(&self, call: &Call, certificate: &[u8]) -> String {
        let partner = call.client == "partner-shop";
        let mut payload = json!({
            "iss": if partner { PARTNER_AS } else { AS },
            "aud": if partner { "https://partner-api.example.com" } else { "https://api.example.com" },
            "sub": call.client, "client_id": call.client, "jti": "t-1", "scope": call.scope,
            "iat": call.now - call.age_seconds, "exp": call.now - call.age_seconds + 300,
        });
        match call.bound {
            Dpop => payload["cnf"] = json!({"jkt": thumbprint(&self.key)}),
            Certificate(_) => payload["cnf"] = json!({"x5t#S256": encode(digest(&SHA256, certificate))}),
            Bearer => {}
        }
        for (name, value) in call.claims.as_object().unwrap() {
            payload[name] = value.clone();
        }
        self.signed(&json!({"alg": "EdDSA", "typ": "at+jwt"}), &payload)
    }

    fn proof(&self, token: &str, request: &str, now: i64, nonce: Option<&str>) -> String {
        let (method, target) = request.split_once(' ').unwrap();
        let mut payload = json!({
            "jti": "p-1", "htm": method, "htu": format!("https://{target}"), "iat": now,
            "ath": encode(digest(&SHA256, token.as_bytes())),
        });
        if let Some(nonce) = nonce {
            payload["nonce"] = json!(nonce);
        }
        self.signed(&json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": jwk(&self.key)}), &payload)
    }

    /// The code of the answer and the policies behind it; an API that wants a nonce is asked again with it.
    fn ask(&self, call: &Call) -> String {
        let first = self.ask_once(call, None);
        match first {
            (code, Some(nonce)) if code == "proof_nonce_required" => self.ask_once(call, Some(&nonce)).0,
            (code, _) => code,
        }
    }

    fn ask_once(&self, call: &Call, nonce: Option<&str>) -> (String, Option<String>) {
        let (method, target) = call.request.split_once(' ').unwrap();
        let (host, path) = target.split_at(target.find('/').unwrap());
        let certificate = if let Certificate(id) = call.bound { workload(id) } else { Vec::new() };
        let token = self.token(call, &certificate);
        let scheme = if matches!(call.bound, Dpop) { "DPoP" } else { "Bearer" };
        let authorization = format!("{scheme} {token}");
        let proof = self.proof(&token, call.request, call.now, nonce);
        let presented = if certificate.is_empty() { String::new() } else { percent_encoded_pem(&certificate) };
        let mut headers: Vec<(&[u8], &[u8])> = Vec::new();
        headers.extend((!call.client.is_empty()).then_some((&b"authorization"[..], authorization.as_bytes())));
        headers.extend(matches!(call.bound, Dpop).then_some((&b"dpop"[..], proof.as_bytes())));
        let raw = RawRequest {
            method: method.as_bytes(),
            host: host.as_bytes(),
            path: path.as_bytes(),
            headers,
            peer_certificate: presented.as_bytes(),
            ..RawRequest::default()
        };
        let facts = RequestFacts::new("edge", &raw).unwrap();
        let mut examined = examine(&self.snapshot, &facts, call.now);
        let decision = loop {
            examined = match examined {
                Examined::Ended(decision) => break *decision,
                Examined::Asks(asking) => asking.answered(None),
                Examined::Looks(looking) => looking.found(None),
                Examined::Needs(unsettled) => unsettled.settle(Spending::Fresh),
                Examined::Proven(proven) => break proven.conclude(),
            };
        };
        let policies = decision.findings.policies.iter().map(|policy| policy.id.as_str()).collect::<Vec<_>>().join(" ");
        assert!(decision.findings.policies.iter().all(|policy| !policy.reason.is_empty()));
        match decision.verdict {
            Verdict::Allowed { .. } => (format!("allowed {policies}"), None),
            Verdict::Public => ("public".to_owned(), None),
            Verdict::Answer(_) => ("answered".to_owned(), None),
            Verdict::Observed { would_be } => (format!("observed {}", would_be.slug()), None),
            Verdict::Denied(refusal) => {
                (format!("{} {policies}", refusal.denial.slug()).trim_end().to_owned(), refusal.nonce)
            }
        }
    }
}

fn jwk(key: &Ed25519KeyPair) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key())})
}

/// RFC 7638 §3.
fn thumbprint(key: &Ed25519KeyPair) -> String {
    let json = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(key.public_key()));
    encode(digest(&SHA256, json.as_bytes()))
}

/// The certificate of a workload; the same key would do as well for the same id.
fn workload(id: &str) -> Vec<u8> {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.subject_alt_names = vec![rcgen::SanType::URI(id.try_into().unwrap())];
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn percent_encoded_pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines = body.as_bytes().chunks(64).map(|line| String::from_utf8(line.to_vec()).unwrap());
    let pem =
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.collect::<Vec<_>>().join("\n"));
    [("%", "%25"), (" ", "%20"), ("\n", "%0A"), ("+", "%2B"), ("/", "%2F"), ("=", "%3D")]
        .into_iter()
        .fold(pem, |text, (from, to)| text.replace(from, to))
}

/// Client, how its token is bound, its scope, the request: the code, and the policies behind it.
const TABLE: &str = "
  Payments: by purpose, with either proof, never without.
invoice-robot    | dpop         | payments.read   | GET pay.example.com/payments/42       | allowed payments-read-by-purpose
invoice-robot    | dpop         | payments.read   | GET pay.example.com/payments          | allowed payments-read-by-purpose
batch-settlement | mtls finance | payments.read   | GET pay.example.com/payments/42       | allowed payments-read-by-purpose
legacy-batch     | dpop         | payments.read   | GET pay.example.com/payments/42       | policy_not_permitted
invoice-robot    | dpop         |                 | GET pay.example.com/payments/42       | scope_insufficient
invoice-robot    | bearer       | payments.read   | GET pay.example.com/payments/42       | binding_missing
legacy-batch     | bearer       | payments.read   | GET pay.example.com/payments/42       | binding_missing
payment-agent    | dpop         | payments.write  | POST pay.example.com/payments         | allowed payments-create-by-purpose
invoice-robot    | dpop         | payments.write  | POST pay.example.com/payments         | policy_not_permitted
batch-settlement | mtls finance | payments.read   | POST pay.example.com/payments         | scope_insufficient
nobody           | dpop         | payments.read   | GET pay.example.com/payments/42       | client_unknown
partner-shop     | dpop         | payments.read   | GET pay.example.com/payments/42       | token_issuer_unknown
  Payouts: services for settlement; an agent never.
batch-settlement | dpop         | payouts.write   | POST pay.example.com/payouts          | allowed payouts-create-for-settlement
batch-settlement | mtls finance | payouts.write   | POST pay.example.com/payouts          | allowed payouts-create-for-settlement
payment-agent    | dpop         | payouts.read    | GET pay.example.com/payouts/7         | allowed payouts-read-by-purpose
payment-agent    | dpop         | payouts.write   | POST pay.example.com/payouts          | policy_guardrail agents-create-no-payouts
payment-agent    | dpop         |                 | POST pay.example.com/payouts          | policy_guardrail agents-create-no-payouts
invoice-robot    | dpop         | payouts.read    | GET pay.example.com/payouts/7         | policy_not_permitted
  Accounts: workloads of the finance namespace, by certificate alone.
invoice-robot    | mtls finance | accounts.read   | GET accounts.example.com/accounts/7            | allowed accounts-read-by-finance-workloads
invoice-robot    | mtls finance | accounts.read   | GET accounts.example.com/accounts/7/statements | allowed accounts-read-by-finance-workloads
payment-agent    | mtls finance | accounts.read   | GET accounts.example.com/accounts/7/statements | policy_forbidden statements-for-invoicing-and-settlement
invoice-robot    | mtls shop    | accounts.read   | GET accounts.example.com/accounts/7            | policy_not_permitted
invoice-robot    | mtls foreign | accounts.read   | GET accounts.example.com/accounts/7            | policy_not_permitted
invoice-robot    | dpop         | accounts.read   | GET accounts.example.com/accounts/7            | binding_missing
  The catalogue: all who are registered read; one may still come without proof, to read.
invoice-robot    | dpop         | catalogue.read  | GET catalogue.example.com/products        | allowed catalogue-read
invoice-robot    | dpop         | catalogue.read  | HEAD catalogue.example.com/products/3     | allowed catalogue-read
legacy-batch     | bearer       | catalogue.read  | GET catalogue.example.com/products/3      | allowed catalogue-read
legacy-batch     | bearer       | catalogue.write | PUT catalogue.example.com/products/3      | policy_guardrail writes-need-proof
invoice-robot    | bearer       | catalogue.read  | GET catalogue.example.com/products/3      | binding_missing
partner-shop     | dpop         | catalogue.write | PUT catalogue.example.com/products/shop-3 | allowed catalogue-update-own-products
partner-shop     | dpop         | catalogue.write | PUT catalogue.example.com/products/3      | policy_not_permitted
partner-shop     | dpop         | catalogue.read  | GET catalogue.example.com/products/3      | policy_forbidden partners-read-in-their-tenant
  Nobody in particular.
                 |              |                 | GET catalogue.example.com/health      | public
                 |              |                 | GET pay.example.com/health            | public
                 |              |                 | GET accounts.example.com/health       | operation_unknown
                 |              |                 | GET catalogue.example.com/products    | credential_missing
nobody           | bearer       |                 | GET catalogue.example.com/health      | client_unknown
";

#[test]
fn each_client_may_do_what_it_is_for_and_no_more() {
    let estate = Estate::new();
    let mut judged = 0;
    for line in TABLE.lines().filter(|line| line.contains('|')) {
        let [client, bound, scope, request, expected] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let bound = match bound {
            "dpop" => Dpop,
            "bearer" | "" => Bearer,
            "mtls finance" => Certificate("spiffe://example.org/ns/finance/sa/ledger"),
            "mtls shop" => Certificate("spiffe://example.org/ns/shop/sa/web"),
            "mtls foreign" => Certificate("spiffe://example.com/ns/finance/sa/ledger"),
            other => panic!("{other}"),
        };
        assert_eq!(estate.ask(&call(client, bound, scope, request)), expected, "{line}");
        judged += 1;
    }
    assert_eq!(judged, 37);
}

#[test]
fn time_age_and_claims_decide_too() {
    let estate = Estate::new();
    let pay = |now| Call { now, ..call("payment-agent", Dpop, "payments.write", "POST pay.example.com/payments") };
    for (now, expected) in [
        (NOW + 6 * 3_600, "allowed payments-create-by-purpose"),
        (NOW + 6 * 3_600 - 1, "policy_forbidden agents-pay-in-office-hours"),
        (NOW + 20 * 3_600 - 1, "allowed payments-create-by-purpose"),
        (NOW + 20 * 3_600, "policy_forbidden agents-pay-in-office-hours"),
        // 2027-06-30, 12:00 UTC: the agent's registration has ended.
        (1_814_356_800, "client_expired"),
    ] {
        assert_eq!(estate.ask(&pay(now)), expected, "{now}");
    }
    let payout = |age_seconds| {
        let fresh = call("batch-settlement", Dpop, "payouts.write", "POST pay.example.com/payouts");
        estate.ask(&Call { age_seconds, ..fresh })
    };
    assert_eq!(payout(120), "allowed payouts-create-for-settlement");
    assert_eq!(payout(121), "policy_not_permitted");
    let read = |claims| {
        let read = call("partner-shop", Dpop, "catalogue.read", "GET catalogue.example.com/products");
        estate.ask(&Call { claims, ..read })
    };
    assert_eq!(read(json!({"https://example.com/tenant": "partners"})), "allowed catalogue-read");
    assert_eq!(read(json!({"https://example.com/tenant": "others"})), "policy_forbidden partners-read-in-their-tenant");
    assert_eq!(read(json!({"https://example.com/tenant": ["partners"]})), "token_claim_malformed");
}

#[test]
fn the_exception_ends_by_itself() {
    let estate = Estate::new();
    let bearer = |now| Call { now, ..call("invoice-robot", Bearer, "", "GET catalogue.example.com/products") };
    assert_eq!(estate.ask(&bearer(NOON)), "binding_missing");
    // 2027-03-31, 00:00 UTC.
    let legacy =
        |now| Call { now, ..call("legacy-batch", Bearer, "catalogue.read", "GET catalogue.example.com/products") };
    assert_eq!(estate.ask(&legacy(1_806_451_199)), "allowed catalogue-read");
    assert_eq!(estate.ask(&legacy(1_806_451_200)), "binding_missing");
}

#[test]
fn payouts_want_a_nonce_and_payments_do_not() {
    let estate = Estate::new();
    let read = |request| estate.ask_once(&call("payment-agent", Dpop, "payouts.read payments.read", request), None);
    assert_eq!(read("GET pay.example.com/payouts/7").0, "proof_nonce_required");
    assert!(read("GET pay.example.com/payouts/7").1.is_some());
    assert_eq!(read("GET pay.example.com/payments/7").0, "allowed payments-read-by-purpose");
}

/// The shipped bundle with payments in observe mode as to everything, and so open to Anonymous.
fn observing_payments() -> Files {
    let edits = [
        (
            "apis.yaml",
            "    nonces: off\n",
            "    mode: observe\n    relax: [credential, token, client, binding, policy]\n",
        ),
        (
            "schema.cedarschema",
            "\"payments.list\", \"payments.read\" in [\"read\"]\n  appliesTo { principal: Client, resource: Api, context: Call }",
            "\"payments.list\", \"payments.read\" in [\"read\"]\n  appliesTo { principal: [Client, Anonymous], resource: Api, context: OpenCall }",
        ),
        (
            "schema.cedarschema",
            "\"payments.create\" in [\"write\"]\n  appliesTo { principal: Client, resource: Api, context: Call }",
            "\"payments.create\" in [\"write\"]\n  appliesTo { principal: [Client, Anonymous], resource: Api, context: OpenCall }",
        ),
        // Cedar asks for this: on `payments.list` there may be no token now.
        (
            "catalogue.cedar",
            "unless { context.token.claims has",
            "unless { context has token && context.token.claims has",
        ),
    ];
    let texts = shipped_texts().into_iter().map(|(name, bytes)| {
        let mut text = String::from_utf8(bytes).unwrap();
        for (_, from, to) in edits.iter().filter(|(file, ..)| *file == name) {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text = text.replace(from, to);
        }
        (name, text.into_bytes())
    });
    Files::new(texts).unwrap()
}

#[test]
fn guardrails_hold_for_nobody_in_particular_too() {
    let (estate, _) = Estate::of(&observing_payments());
    let nobody = |request| estate.ask(&call("", Bearer, "", request));
    assert_eq!(nobody("GET pay.example.com/payments/42"), "policy_guardrail high-sensitivity-needs-proof");
    let create = nobody("POST pay.example.com/payments");
    assert!(create.starts_with("policy_guardrail ") && create.contains("writes-need-proof"), "{create}");
    assert_eq!(nobody("GET pay.example.com/health"), "public");
    let proven = call("invoice-robot", Dpop, "payments.read", "GET pay.example.com/payments/42");
    assert_eq!(estate.ask(&proven), "allowed payments-read-by-purpose");
}
