//! Whatever is sent without a key that the token names: no panic, no allow.
//!
//! The sender here has what a thief has: a good token, seen proofs, public certificates, and any bytes. It lacks the client's key and
//! the issuer's, and what a proxy in front has seen of the connection.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::pki::GATEWAY;
use crate::support::wire::http_of;
use crate::support::{Encoding, Good, Memory, NOW, Outcome, Setting, good, good_both, good_mtls, judge, keys, pki};

/// Every setting but the one without a bundle, which denies everything.
const SETTINGS: [Setting; 13] = [
    Setting::Standard,
    Setting::VerifiedByEnvoy,
    Setting::VerifiedByKeybound,
    Setting::WithoutCertificates,
    Setting::Fapi2,
    Setting::Xfcc,
    Setting::XfccFromGateway,
    Setting::XfccBehindGateway,
    Setting::XfccBehindTwo,
    Setting::XfccWithBy,
    Setting::XfccVerifiedByKeybound,
    Setting::ClientCert,
    Setting::ClientCertBehindGateway,
];

/// Words that the readers of headers look for, and what stands between them.
fn words() -> impl Strategy<Value = Vec<u8>> {
    let hash = pki().client.hash();
    let proof = good().build().headers.into_iter().find(|(name, _)| name == "dpop").expect("a proof").1;
    let mut known: Vec<Vec<u8>> = [
        "DPoP ",
        "Bearer ",
        "dpop",
        "Basic ",
        ",",
        ";",
        "=",
        "\"",
        "\\\"",
        "\\",
        " ",
        "\t",
        ".",
        "..",
        ":",
        "%",
        "%0A",
        "%2C",
        "Hash=",
        "hash=",
        "Cert=\"",
        "Chain=\"",
        "By=",
        "URI=",
        "DNS=",
        "Subject=\"",
        "eyJ",
        "e30",
        "\0",
        "\r",
        "\n",
        "\u{e9}",
    ]
    .map(|word| word.as_bytes().to_vec())
    .to_vec();
    known.extend([
        hash.clone().into_bytes(),
        format!("Hash={hash}").into_bytes(),
        format!("Cert=\"{}\"", pki().client.encoded()).into_bytes(),
        format!("URI={GATEWAY}").into_bytes(),
        pki().client.byte_sequence().into_bytes(),
        pki().client.encoded().into_bytes(),
        proof,
        stolen_token(),
        vec![0xff, 0xfe],
    ]);
    let piece = prop_oneof![6 => select(known), 1 => vec(any::<u8>(), 0..8)];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// A token that is good in its owner's hands, bound to both of its keys.
fn stolen_token() -> Vec<u8> {
    let request = good_both().build();
    let value = request.headers.into_iter().find(|(name, _)| name == "authorization").expect("a credential").1;
    value.strip_prefix(b"DPoP ").expect("the scheme").to_vec()
}

/// What Envoy writes of another client's certificate: names as they are, the subject in quotes, escaped.
fn element_of_the_proxy(form: i32) -> String {
    let hash = pki().other.hash();
    match form {
        0 => format!("Hash={hash};URI=spiffe://example.org/x"),
        1 => format!("By=spiffe://example.org/edge;Hash={hash};Subject=\"O=Example, \\\"Inc\\\",CN=x\";URI=x;DNS=y"),
        2 => format!("Hash={hash};Cert=\"{}\";Subject=\"\";URI=", pki().other.encoded()),
        _ => format!("Hash={hash};Subject=\"CN=x;Hash={},\"", pki().client.hash()),
    }
}

fn judged(good: &Good) -> Outcome {
    judge(&good.build(), Encoding::Raw, &Memory::new(10, 100), NOW)
}

proptest! {
    #![proptest_config(crate::more(2_000))]

    /// The thief has the token alone, and writes headers.
    #[test]
    fn no_headers_make_a_stolen_token_good(
        setting in select(SETTINGS.to_vec()),
        headers in vec((select(HEADERS.to_vec()), words()), 0..5),
        scheme in select(vec!["DPoP", "Bearer", "dpop", "BEARER"]),
    ) {
        let mut stolen = good_both().without_certificate().without("dpop").peer("").moved_under(setting);
        stolen = stolen.header("authorization", [scheme.as_bytes(), b" ", &stolen_token()].concat());
        for (name, value) in &headers {
            stolen = stolen.and_header(name, value);
        }
        let outcome = judged(&stolen);
        // Where the header is the configured source it comes from a proxy: then the proof is what a thief lacks.
        prop_assert_ne!(outcome.status, 200, "{:?}: {}", setting, outcome.code);
    }

    /// A proxy that appends what it saw of the connection has the last word, whatever the client wrote before.
    #[test]
    fn whatever_a_client_writes_the_proxys_own_element_counts(before in words(), joined in any::<bool>(), form in 0..4) {
        let own = element_of_the_proxy(form);
        let bound = good_mtls().without_certificate().moved_under(Setting::Xfcc);
        let sent = if joined {
            bound.header(XFCC, [&before[..], b",", own.as_bytes()].concat())
        } else {
            bound.header(XFCC, &before).and_header(XFCC, &own)
        };
        let outcome = judged(&sent);
        prop_assert_ne!(outcome.status, 200, "{}", outcome.code);
    }

    /// The same behind two proxies: the element of the outer one counts.
    #[test]
    fn whatever_a_client_writes_the_outer_proxys_element_counts(before in words()) {
        let outer = format!("Hash={}", pki().other.hash());
        let inner = format!("Hash={};URI={GATEWAY}", pki().gateway.hash());
        let value = [&before[..], b",", outer.as_bytes(), b",", inner.as_bytes()].concat();
        let bound = good_mtls().without_certificate().peer(GATEWAY).moved_under(Setting::XfccBehindGateway);
        let outcome = judged(&bound.header(XFCC, value));
        prop_assert_ne!(outcome.status, 200, "{}", outcome.code);
    }

    /// Whatever stands where Envoy writes the certificate, it is not the client's unless it is the client's.
    #[test]
    fn no_other_text_is_the_clients_certificate(text in words()) {
        let text = String::from_utf8_lossy(&text).into_owned();
        prop_assume!(!text.contains(&pki().client.encoded()));
        let outcome = judged(&good_mtls().message(move |message| {
            let source = message.attributes.as_mut().and_then(|attributes| attributes.source.as_mut());
            source.expect("a source").certificate.clone_from(&text);
        }));
        prop_assert_ne!(outcome.status, 200, "{}", outcome.code);
    }

    /// A good token and proof at any other method, host or path.
    #[test]
    fn a_good_proof_is_good_nowhere_else(
        method in "[A-Za-z]{1,6}", host in select(HOSTS.to_vec()), path in "(/|/items|/items/[a-z7%./;]{0,6}|/[a-z@]{0,8}|[ -~]{0,10})",
    ) {
        let here = (method.as_str(), host, path.as_str()) == ("GET", "rs.example.com", "/items/7");
        let outcome = judged(&good().raw_method(&method).host(host).raw_path(&path));
        prop_assert_eq!(outcome.status == 200, here && path == "/items/7", "{} {} {}: {}", method, host, path, outcome.code);
    }

    /// A signature that nobody made.
    #[test]
    fn no_bytes_are_a_signature(signature in vec(any::<u8>(), 0..80), of_token in any::<bool>()) {
        let bytes = signature.clone();
        let forged = if of_token {
            good().token(move |token| token.edit_signature(move |_| bytes.clone()))
        } else {
            good().proof(move |proof| proof.edit_signature(move |_| bytes.clone()))
        };
        prop_assert_ne!(judged(&forged).status, 200);
    }

    /// A header and a payload that the thief signs with a key of its own.
    #[test]
    fn no_text_signed_by_a_stranger_is_a_token_or_a_proof(
        header in words(), claims in words(), of_token in any::<bool>(), replace in any::<(bool, bool)>(),
    ) {
        let change = move |jws: &mut crate::support::Jws| {
            jws.signed_by(&keys().stranger, "ES256");
            let (header, claims) = (header.clone(), claims.clone());
            if replace.0 {
                jws.replace_header(move |_| header.clone());
            }
            if replace.1 {
                jws.replace_claims(move |_| claims.clone());
            }
        };
        let forged = if of_token { good().token(change) } else { good().proof(change) };
        prop_assert_ne!(judged(&forged).status, 200);
    }

    /// Fields of the message that Envoy fills, with anything in them.
    #[test]
    fn no_message_without_a_credential_is_allowed(
        method in any::<String>(), host in any::<String>(), path in any::<String>(), query in any::<String>(),
        headers in vec((any::<String>(), any::<String>()), 0..6), setting in select(SETTINGS.to_vec()),
    ) {
        let outcome = judged(&good().without("authorization").moved_under(setting).message(move |message| {
            let http = http_of(message);
            (http.method, http.host) = (method.clone(), host.clone());
            (http.path, http.query) = (path.clone(), query.clone());
            http.header_map = None;
            http.headers = headers.iter().cloned().collect();
        }));
        prop_assert!(outcome.status != 200 || outcome.code == "public", "{}", outcome.code);
    }
}

const XFCC: &str = "x-forwarded-client-cert";

/// Every header that is read, and some that others read.
const HEADERS: [&str; 10] = [
    "authorization",
    "dpop",
    "traceparent",
    "x-keybound-client",
    "x-forwarded-host",
    "x-original-url",
    "x-http-method-override",
    "connection",
    "cookie",
    "host",
];

const HOSTS: [&str; 6] =
    ["rs.example.com", "dpop.example.com", "open.example.com", "rs.example.com:443", "RS.example.com", "other.test"];
