//! One request in many spellings: what keybound decides on is what Envoy routes and the API serves. `deploy/envoy/envoy.yaml` makes
//! most of them one; the rest is refused by one of the two.

use crate::lab::visit;
use crate::requests::{ITEMS, dpop};
use crate::send::{Answer, http2};

const TARGET: &str = "GET /items/7 ";
const HOST: &str = "host: rs.example.com\r\n";
const SCHEME: &str = "authorization: DPoP ";
/// The place of one more header.
const END: &str = "\r\n\r\n";

/// A good request whose head has one text in the place of another, through both Envoys.
async fn spelled(from: &str, to: &str) -> [Answer; 2] {
    let lab = visit();
    let change = |head: Vec<u8>| {
        let head = String::from_utf8(head).expect("text");
        assert!(head.contains(from), "{from}");
        head.replacen(from, to, 1).into_bytes()
    };
    let raw = lab.raw.send_bytes(&dpop().build(), &[], &change).await;
    [raw, lab.joined.send_bytes(&dpop().build(), &[], &change).await]
}

#[tokio::test]
async fn spellings_of_the_same_are_the_same() {
    for (from, to) in [
        (TARGET, "GET http://rs.example.com/items/7 "),
        (TARGET, "GET /a/../items/7 "),
        (TARGET, "GET /items//7 "),
        (TARGET, "GET //items/7 "),
        (TARGET, "GET /items/%37 "),
        (TARGET, "GET /items/%C3%A4/../7 "),
        (HOST, "host: RS.Example.COM:8443\r\n"),
        (HOST, "host: rs.example.com.\r\n"),
        (SCHEME, "authorization: dpop   "),
        (SCHEME, "Authorization:\tDPoP "),
    ] {
        for answer in spelled(from, to).await {
            assert_eq!(answer.allowed().path, "/items/7", "{to}");
        }
    }
    for answer in spelled(TARGET, "GET /items/7?a=/../8 ").await {
        assert_eq!(answer.allowed().path, "/items/7?a=/../8");
    }
}

#[tokio::test]
async fn other_requests_are_not_this_one() {
    for (from, to, code, status) in [
        (TARGET, "GET http://nonce.example.com/items/7 ", "proof_target_mismatch", 401),
        (TARGET, "GET https://elsewhere.example.org/items/7 ", "api_unknown", 403),
        (TARGET, "GET /items/8 ", "proof_target_mismatch", 401),
        (TARGET, "GET /items/7/ ", "operation_unknown", 403),
        (TARGET, "GET /Items/7 ", "operation_unknown", 403),
        (TARGET, "PATCH /items/7 ", "operation_unknown", 403),
        (TARGET, "DELETE /items/7 ", "proof_method_mismatch", 401),
        (HOST, "host: observed.example.com\r\n", "(observed)", 200),
    ] {
        for answer in spelled(from, to).await {
            if code == "(observed)" {
                // Another API: the proof is not for it, and it only observes that.
                assert_eq!(answer.passed("observed").identity(), []);
                assert_eq!(answer.decision["would_be"], "proof_target_mismatch");
            } else {
                answer.denied(code, status);
            }
        }
    }
}

/// Frameworks take the path, the host or the mount point from these. What stands behind each name would be another request.
const OTHER_WORDS: [(&str, &str); 24] = [
    ("X-Original-URL", "/items/8"),
    ("X-Rewrite-URL", "/items/8"),
    ("X-Original-URI", "/items/8"),
    ("X-Forwarded-URI", "/items/8"),
    ("X-Forwarded-Path", "/items/8"),
    ("X-Forwarded-Prefix", "/admin"),
    ("X-Script-Name", "/admin"),
    ("X-Envoy-Original-Path", "/items/8"),
    ("X-Envoy-Original-Host", "nonce.example.com"),
    ("X-Forwarded-Host", "nonce.example.com"),
    ("X-Forwarded-Server", "nonce.example.com"),
    ("X-Forwarded-Port", "80"),
    ("X-Original-Host", "nonce.example.com"),
    ("X-Host", "nonce.example.com"),
    ("Forwarded", "host=nonce.example.com;proto=http"),
    ("X-Override-URL", "/items/8"),
    ("X-Request-URI", "/items/8"),
    ("X-Original-Forwarded-Host", "nonce.example.com"),
    ("X-Forwarded-User", "root"),
    ("Remote-User", "root"),
    ("Ssl-Client-Cert", "x"),
    // To CGI each of these is a spelling of a header of ours.
    ("x.keybound.client", "root"),
    ("x~keybound-client", "root"),
    ("x.http.method.override", "DELETE"),
];

#[tokio::test]
async fn headers_that_name_another_path_or_host_never_reach_the_api() {
    for (name, value) in OTHER_WORDS {
        // Twice, and in another case too.
        let more = format!("\r\n{name}: {value}\r\n{}: {value}\r\n\r\n", name.to_ascii_lowercase());
        for answer in spelled(END, &more).await {
            let reached = answer.allowed();
            assert_eq!((reached.path.as_str(), reached.header("host")), ("/items/7", Some("rs.example.com")), "{name}");
            assert_eq!(reached.header(&name.to_ascii_lowercase()), None, "{name}: {reached:?}");
        }
        // It is no way around the judgement either: the proof is for /items/7.
        let other = format!("GET /items/8 HTTP/1.1\r\n{name}: /items/7\r\n");
        for answer in spelled("GET /items/7 HTTP/1.1\r\n", &other).await {
            answer.denied("proof_target_mismatch", 401);
        }
    }
}

#[tokio::test]
async fn headers_that_name_another_path_or_host_never_reach_the_api_over_http2() {
    let lab = visit();
    let request = OTHER_WORDS.iter().fold(dpop(), |good, (name, value)| good.header(name, value)).build();
    let (sent, response) = http2::exchange(&lab.raw, &http2::client(&lab.raw, ITEMS), &request).await;
    let answer = Answer::of(&lab.raw, &sent, response);
    let names: Vec<_> = answer.allowed().headers.iter().map(|(name, _)| name.as_str()).collect();
    let left = OTHER_WORDS.iter().filter(|(word, _)| names.contains(&word.to_ascii_lowercase().as_str()));
    assert_eq!(left.count(), 0, "{names:?}");
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused() {
    for (from, to, code) in [
        (HOST, "host: rs.example.com\r\nhost: nonce.example.com\r\n", "request_authority"),
        (HOST, "host: user@rs.example.com\r\n", "request_authority"),
        (TARGET, "GET /items/7;x=1 ", "request_target_ambiguous"),
        (TARGET, "GET /items/7?access_token=x ", "credential_repeated"),
        (TARGET, "GET /items/7?access%5Ftoken=x ", "credential_repeated"),
        (END, "\r\nx-http-method-override: DELETE\r\n\r\n", "request_method_override"),
        (END, "\r\nX-HTTP-Method: DELETE\r\n\r\n", "request_method_override"),
        (END, "\r\nX-Method-Override: DELETE\r\n\r\n", "request_method_override"),
    ] {
        for answer in spelled(from, to).await {
            answer.denied(code, 400);
        }
    }
}

#[tokio::test]
async fn envoy_refuses_the_rest_by_itself() {
    for (from, to, status) in [
        (TARGET, "GET /items%2F7 ", 400),
        (TARGET, "GET /items%5c7 ", 400),
        (TARGET, "GET /items/7#x ", 400),
        (TARGET, "get /items/7 ", 400),
        (HOST, "", 400),
        (HOST, "host: rs.example.com/items\r\n", 400),
        (" HTTP/1.1", " HTTP/1.0", 426),
        (SCHEME, "authorization : DPoP ", 400),
        (END, "\r\nx-nul: \0\r\n\r\n", 400),
        (END, "\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n", 400),
    ] {
        for answer in spelled(from, to).await {
            answer.stopped_by_envoy(status);
        }
    }
}
