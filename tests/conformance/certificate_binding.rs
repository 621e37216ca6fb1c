//! RFC 8705: tokens bound to a client certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::expect::{
    BEARER_ALONE_BINDING, DPOP_ALONE_BINDING, allow, bearer_binding, bearer_token, binding, policy, proof_missing,
};
use crate::family::Family;
use crate::introspection::mt_06;
use crate::row::{Envoy, Row, row};
use crate::support::inventory::{EXCEPTED, host};
use crate::support::pki::GATEWAY;
use crate::support::{
    Good, Leaf, NOW, Setting, base64url, from_base64url, good, good_at, good_bearer, good_both, good_mtls,
    good_mtls_at, good_mtls_by_header, good_mtls_with, pki,
};

/// Section 3.2.
pub const FAMILY: Family = Family {
    prefix: "MT",
    title: "RFC 8705, certificate binding",
    ids: &["MT-01", "MT-02", "MT-03", "MT-04", "MT-05", "MT-06", "MT-07", "MT-08", "MT-09", "MT-10"],
    rows,
    throughout: &[],
    left_out: &[],
};

fn rows() -> Vec<Row> {
    [
        mt_01(),
        mt_02(),
        mt_03(),
        mt_04(),
        mt_04_members(),
        mt_05(),
        mt_06(),
        mt_07(),
        mt_08(),
        mt_08_waived(),
        mt_09(),
        mt_10(),
    ]
    .concat()
}

fn mt_01() -> Vec<Row> {
    let without_source = bearer_binding("binding_method_unknown").challenged(DPOP_ALONE_BINDING);
    vec![
        row("MT-01", "with its certificate a bound token is allowed", good_mtls(), allow()),
        row(
            "MT-01",
            "without a certificate it is refused",
            good_mtls().without_certificate(),
            bearer_binding("certificate_missing"),
        ),
        row(
            "MT-01",
            "where no certificate source is configured it is refused",
            good_mtls().moved_under(Setting::WithoutCertificates),
            without_source,
        ),
        row("MT-01", "a token bound to key and certificate is allowed with both", good_both(), allow()),
        row(
            "MT-01",
            "the same without the certificate is refused",
            good_both().without_certificate(),
            binding("certificate_missing"),
        ),
        row("MT-01", "the same without the proof is refused", good_both().without("dpop"), proof_missing()),
        row(
            "MT-01",
            "the same as Bearer is refused",
            good_both().scheme("Bearer"),
            bearer_binding("binding_scheme_mismatch"),
        ),
    ]
}

/// The certificate comes in `x-forwarded-client-cert`, with a chain.
fn with_chain(chain: &str) -> Good {
    let value = format!("Hash={};Cert=\"{}\";Chain=\"{chain}\"", pki().client.hash(), pki().client.encoded());
    good_mtls_by_header(Setting::Xfcc, "x-forwarded-client-cert", value)
}

fn mt_02() -> Vec<Row> {
    let mismatch = |sentence: &str, leaf: &'static Leaf| {
        row("MT-02", sentence, good_mtls().certificate(leaf), bearer_binding("certificate_mismatch"))
    };
    vec![
        mismatch("another client's certificate is refused", &pki().other),
        mismatch("the client's renewed certificate, with the same key, is refused", &pki().renewed),
        mismatch("a certificate with the same names by nobody we know is refused", &pki().rogue)
            .envoy(Envoy::TurnsAway),
        row(
            "MT-02",
            "the token of the renewed certificate is allowed with it",
            good_mtls_with(&pki().renewed),
            allow(),
        ),
        row(
            "MT-02",
            "the same certificate with its chain is allowed",
            with_chain(&pki().client.encoded_chain()),
            allow(),
        ),
        row(
            "MT-02",
            "the same certificate with another chain is allowed",
            with_chain(&pki().rogue.encoded_chain()),
            allow(),
        ),
        row(
            "MT-02",
            "both keys: another certificate is refused",
            good_both().certificate(&pki().other),
            binding("certificate_mismatch"),
        ),
    ]
}

fn mt_03() -> Vec<Row> {
    let at_mtls = || good_mtls_at(host::MTLS);
    vec![
        row(
            "MT-03",
            "the error is invalid_token, and DPoP is offered where the API takes it",
            good_mtls().without_certificate(),
            bearer_binding("certificate_missing"),
        ),
        row(
            "MT-03",
            "where the API takes certificates alone, Bearer is offered alone",
            at_mtls().without_certificate(),
            bearer_binding("certificate_missing").challenged(BEARER_ALONE_BINDING),
        ),
        row("MT-03", "a certificate-bound token is allowed where certificates are demanded", at_mtls(), allow()),
    ]
}

/// The good token with another `cnf`.
fn confirmed(confirmation: Value) -> Good {
    good_mtls().token(|token| token.claims["cnf"] = confirmation)
}

fn mt_04() -> Vec<Row> {
    let client = pki().client.thumbprint();
    let bytes = from_base64url(&client);
    let spelled = |sentence: &str, value: Value| {
        row("MT-04", sentence, confirmed(json!({"x5t#S256": value})), bearer_token("token_claim_malformed"))
    };
    vec![
        row("MT-04", "43 characters of base64url are allowed", confirmed(json!({"x5t#S256": client})), allow()),
        spelled("`x5t#S256` with padding is refused", json!(format!("{client}="))),
        spelled("`x5t#S256` in hexadecimal is refused", json!(pki().client.hash())),
        spelled("`x5t#S256` in padded base64 is refused", json!(STANDARD.encode(&bytes))),
        spelled("`x5t#S256` of 31 bytes is refused", json!(base64url(&bytes[..31]))),
        spelled("`x5t#S256` of 33 bytes is refused", json!(base64url([&bytes[..], &[0]].concat()))),
        spelled("`x5t#S256` with a space is refused", json!(format!("{client} "))),
        spelled("an empty `x5t#S256` is refused", json!("")),
        spelled("`x5t#S256` as a number is refused", json!(7)),
        spelled("`x5t#S256` as null is refused", json!(null)),
        spelled("`x5t#S256` in an array is refused", json!([client])),
    ]
}

fn mt_04_members() -> Vec<Row> {
    let unknown = |sentence: &str, value: Value| {
        row("MT-04", sentence, confirmed(value), bearer_binding("binding_method_unknown"))
    };
    let open = |sentence: &str, value: Value| {
        let change = good_bearer().token(|token| token.claims["cnf"] = value);
        row("MT-04", sentence, change, bearer_binding("binding_method_unknown"))
    };
    vec![
        unknown("`x5t`, a SHA-1 thumbprint, is no constraint that we check", json!({"x5t": base64url([0; 20])})),
        unknown("`x5t#s256` is not `x5t#S256`", json!({"x5t#s256": pki().client.thumbprint()})),
        unknown("an empty `cnf` is refused", json!({})),
        unknown("a `cnf` with members that we do not know is refused", json!({"kid": "x", "jwk": {}})),
        unknown("a `cnf` that is a string is refused", json!("x5t#S256")),
        unknown("a `cnf` that is an array is refused", json!([])),
        unknown("a `cnf` that is null is refused", json!(null)),
        open("an empty `cnf` does not make a bearer token, where none is demanded", json!({})),
        open("nor does a `cnf` that is null", json!(null)),
        open("nor does a `cnf` of a kind that we do not know", json!({"x5u": "https://example.com"})),
    ]
}

/// The certificate of RFC 8705 Appendix A is known without its key.
const UNPUBLISHED: Envoy = Envoy::CannotSend("the key of the published certificate is not published");

fn mt_05() -> Vec<Row> {
    const PUBLISHED: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";
    let published =
        good_mtls_with(&pki().published).token(|token| token.claims["cnf"] = json!({"x5t#S256": PUBLISHED}));
    let expired = good_mtls_with(&pki().expired);
    vec![
        row(
            "MT-05",
            "the example of RFC 8705 Appendix A, X.509 v1 and expired, has the published thumbprint",
            published,
            allow(),
        )
        .envoy(UNPUBLISHED),
        row("MT-05", "an expired certificate still has its thumbprint, where nobody verifies chains", expired, allow())
            .envoy(Envoy::TurnsAway),
        row(
            "MT-05",
            "a token for the published certificate is refused with another",
            good_mtls_with(&pki().published).certificate(&pki().client),
            bearer_binding("certificate_mismatch"),
        ),
    ]
}

fn mt_07() -> Vec<Row> {
    let untrusted = || bearer_binding("certificate_untrusted");
    // The last element is the gateway's own certificate, as its hop showed it to us.
    let two_hops = || {
        let client = format!("Hash={}", pki().client.hash());
        let value = format!("{client},Hash={};URI={GATEWAY}", pki().gateway.hash());
        good_behind_gateway(Setting::XfccBehindGateway, "x-forwarded-client-cert", value)
    };
    let one_hop = || {
        let value = format!("Hash={}", pki().client.hash());
        good_behind_gateway(Setting::XfccFromGateway, "x-forwarded-client-cert", value)
    };
    let client_cert =
        || good_behind_gateway(Setting::ClientCertBehindGateway, "client-cert", pki().client.byte_sequence());
    let stranger = "spiffe://example.org/ns/a/sa/client-2";
    vec![
        row("MT-07", "a certificate in XFCC from the listed peer is allowed", two_hops().peer(GATEWAY), allow()),
        row("MT-07", "from a peer that is not listed it is refused", two_hops().peer(stranger), untrusted()),
        row("MT-07", "from a peer without identity it is refused", two_hops().peer(""), untrusted()),
        row(
            "MT-07",
            "from a peer whose identity begins like the listed one it is refused",
            two_hops().peer(&format!("{GATEWAY}-2")),
            untrusted(),
        )
        .envoy(Envoy::CannotSend("nobody has a certificate with this identity")),
        row("MT-07", "one hop: from the listed peer the last element is allowed", one_hop(), allow()),
        row("MT-07", "one hop: from a peer that is not listed it is refused", one_hop().peer(stranger), untrusted()),
        row("MT-07", "one hop: from a peer without identity it is refused", one_hop().peer(""), untrusted()),
        row(
            "MT-07",
            "a certificate in Client-Cert from the listed peer is allowed",
            client_cert().peer(GATEWAY),
            allow(),
        ),
        row("MT-07", "from a peer that is not listed that is refused too", client_cert().peer(stranger), untrusted()),
        row("MT-07", "from a peer without identity that is refused too", client_cert().peer(""), untrusted()),
    ]
}

/// A certificate in a header that the gateway wrote.
pub fn good_behind_gateway(setting: Setting, name: &'static str, value: String) -> Good {
    good_mtls_by_header(setting, name, value).with_base(|good| good.peer(GATEWAY))
}

fn mt_08() -> Vec<Row> {
    let unbound = |good: Good| good.token(|token| token.without("cnf"));
    let missing = || bearer_binding("binding_missing");
    let at_dpop = good_mtls().host(host::DPOP);
    let at_mtls = good().host(host::MTLS).proof(|p| p.claims["htu"] = json!("https://mtls.example.com/items/7"));
    vec![
        row("MT-08", "an unbound token is refused where a proof is demanded", unbound(good_mtls()), missing()),
        row(
            "MT-08",
            "and with a certificate that it does not name",
            unbound(good_mtls()).certificate(&pki().other),
            missing(),
        ),
        row(
            "MT-08",
            "a certificate-bound token is refused where DPoP is demanded",
            at_dpop,
            missing().challenged(DPOP_ALONE_BINDING),
        ),
        row(
            "MT-08",
            "a DPoP-bound token is refused where a certificate is demanded",
            at_mtls,
            binding("binding_missing").challenged(BEARER_ALONE_BINDING),
        ),
        row("MT-08", "a DPoP-bound token is allowed where DPoP is demanded", good_at(host::DPOP), allow()),
        row("MT-08", "an unbound token is allowed where no proof is demanded", good_bearer(), allow()),
    ]
}

fn mt_08_waived() -> Vec<Row> {
    let of = |id: &'static str| {
        good_mtls().token(|token| {
            token.without("cnf");
            token.claims["client_id"] = json!(id);
            token.claims["exp"] = json!(NOW + 900);
        })
    };
    let named = |good: Good| good.token(|token| token.claims["client_id"] = json!(EXCEPTED));
    let missing = || bearer_binding("binding_missing");
    vec![
        row("MT-08", "the client of an exception may send an unbound token", of(EXCEPTED), allow()),
        row("MT-08", "until the exception ends", of(EXCEPTED), allow())
            .wait(59)
            .again(allow())
            .wait(1)
            .again(missing()),
        row("MT-08", "another client may not", of("other-robot"), missing()),
        row(
            "MT-08",
            "an exception waives no check: a bound token without its certificate is refused",
            named(good_mtls()).without_certificate(),
            bearer_binding("certificate_missing"),
        ),
        row(
            "MT-08",
            "nor may the excepted client send a DPoP-bound token as Bearer",
            named(good()).scheme("Bearer"),
            bearer_binding("binding_scheme_mismatch"),
        ),
    ]
}

fn mt_09() -> Vec<Row> {
    let workload = || good_mtls_at(host::WORKLOAD).under(Setting::VerifiedByEnvoy);
    let bound_to = |leaf: &'static Leaf| {
        workload().certificate(leaf).token(|token| token.claims["cnf"] = json!({"x5t#S256": leaf.thumbprint()}))
    };
    let ours = |leaf: &'static Leaf| {
        good_mtls_at(host::WORKLOAD).under(Setting::VerifiedByKeybound).certificate(leaf).token(|token| {
            token.claims["cnf"] = json!({"x5t#S256": leaf.thumbprint()});
        })
    };
    let untrusted = || bearer_binding("certificate_untrusted");
    vec![
        row(
            "MT-09",
            "a rogue certificate binds, where nobody vouches for chains",
            good_mtls_with(&pki().rogue),
            allow(),
        )
        .envoy(Envoy::TurnsAway),
        row("MT-09", "where Envoy vouches for the chain, policy sees the SPIFFE id", workload(), allow()),
        row(
            "MT-09",
            "where nobody vouches for the chain, policy sees no name",
            workload().moved_under(Setting::Standard),
            policy("policy_forbidden"),
        ),
        row("MT-09", "another SPIFFE id is another workload", bound_to(&pki().other), policy("policy_forbidden")),
        row(
            "MT-09",
            "a certificate without names has no SPIFFE id",
            bound_to(&pki().published),
            policy("policy_forbidden"),
        )
        .envoy(UNPUBLISHED),
        row(
            "MT-09",
            "where our own trust bundle vouches for the chain, policy sees the SPIFFE id",
            ours(&pki().client),
            allow(),
        ),
        row("MT-09", "a rogue certificate does not lead to our trust bundle", ours(&pki().rogue), untrusted())
            .envoy(Envoy::TurnsAway),
        row("MT-09", "an expired certificate does not either", ours(&pki().expired), untrusted())
            .envoy(Envoy::TurnsAway),
        row("MT-09", "nor does one of X.509 v1", ours(&pki().published), untrusted()).envoy(UNPUBLISHED),
        row(
            "MT-09",
            "a rogue certificate beside a DPoP-bound token is refused too, where our bundle vouches",
            good().under(Setting::VerifiedByKeybound).certificate(&pki().rogue),
            binding("certificate_untrusted"),
        )
        .envoy(Envoy::TurnsAway),
    ]
}

fn mt_10() -> Vec<Row> {
    vec![
        row("MT-10", "a certificate-bound token is sent as Bearer", good_mtls(), allow()),
        row(
            "MT-10",
            "its `token_type` claim is not looked at",
            good_mtls().token(|t| t.claims["token_type"] = json!("Bearer")),
            allow(),
        ),
        row(
            "MT-10",
            "it is not sent as DPoP",
            good_mtls().scheme("DPoP").header("dpop", "a.b.c"),
            binding("binding_scheme_mismatch"),
        ),
    ]
}
