#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]

use super::*;

fn good() -> RawRequest<'static> {
    RawRequest {
        method: b"GET",
        host: b"rs.example.com",
        path: b"/a?b=c",
        peer_address: b"127.0.0.1",
        ..RawRequest::default()
    }
}

fn judged<'a>(change: impl FnOnce(&mut RawRequest<'a>)) -> Result<RequestFacts<'a>, Denial> {
    let mut raw = good();
    change(&mut raw);
    RequestFacts::new("edge", &raw)
}

#[test]
fn a_good_request_is_split_into_its_parts() {
    let facts = judged(|raw| raw.headers = vec![(b"DPoP", b"a"), (b"dpop", b"b"), (b"Proxy-Authorization", b"DPoP x")])
        .unwrap();
    assert_eq!((facts.method(), facts.host(), facts.port()), ("GET", "rs.example.com", None));
    assert_eq!((facts.path(), facts.query()), ("/a", Some("b=c")));
    assert_eq!(facts.dpop(), [b"a", b"b"], "nothing is merged away");
    assert!(facts.authorization().is_empty());
    assert_eq!(facts.peer_ip(), Some("127.0.0.1".parse().unwrap()));
}

#[test]
fn a_mapped_address_is_the_ipv4_address_that_policies_name() {
    let peer = |text: &'static str| judged(|raw| raw.peer_address = text.as_bytes()).unwrap().peer_ip();
    assert_eq!(peer("::ffff:192.0.2.7"), Some("192.0.2.7".parse().unwrap()));
    assert_eq!(peer("::FFFF:c000:207"), peer("192.0.2.7"));
    assert_eq!(peer("2001:db8::7"), Some("2001:db8::7".parse().unwrap()));
    for none in ["", "/run/x.sock", "fe80::1%eth0", "192.0.2.7:1"] {
        assert_eq!(peer(none), None, "{none}");
    }
}

#[test]
fn dp_15_hostile_authorities_are_refused() {
    for host in
        ["rs.example.com", "RS.example.com:443", "rs.example.com.", "127.0.0.1:1", "[::1]", "[::1]:8443", "a_b.test"]
    {
        assert!(judged(|raw| raw.host = host.as_bytes()).is_ok(), "{host}");
    }
    let long = "a".repeat(limits::AUTHORITY_BYTES + 1);
    for host in [
        "",
        ":443",
        "rs.example.com/x?",
        "rs#",
        "u:p@rs",
        "u@rs",
        "rs:99999",
        "rs:",
        "rs:+1",
        "rs:1:2",
        "rs: 1",
        "a,b",
        "rs\\x",
        "rs%2fx",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[evil]",
        "::1",
        "rs example",
        "rs\u{e9}",
        &long,
    ] {
        assert_eq!(judged(|raw| raw.host = host.as_bytes()).err(), Some(Denial::RequestAuthority), "{host}");
    }
}

#[test]
fn ec_03_ambiguous_targets_are_refused() {
    for path in
        ["/", "/a/b", "/a/", "/a%20b", "/caf%C3%A9", "/a:b", "/a%3Ab", "/a?x=//../;", "/a?", "/...", "/a..b", "/a%25b"]
    {
        assert!(judged(|raw| raw.path = path.as_bytes()).is_ok(), "{path}");
    }
    for path in [
        "",
        "a",
        "*",
        "//admin/x",
        "/a//b",
        "/a;b",
        "/a\\b",
        "/./a",
        "/a/.",
        "/a/..",
        "/../a",
        "/%2e%2e/a",
        "/a%2fb",
        "/a%2Fb",
        "/a%5Cb",
        "/%61",
        "/a%7Eb",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%00",
        "/a%0a",
        "/a%7F",
        "/a#b",
        "/a?b#c",
        "/a b",
        "/a\tb",
        "/a\0",
        "/\u{e9}",
        "http://other.test/a",
        "?x",
    ] {
        assert_eq!(judged(|raw| raw.path = path.as_bytes()).err(), Some(Denial::RequestTargetAmbiguous), "{path}");
    }
    assert_eq!(judged(|raw| raw.fragment = b"x").err(), Some(Denial::RequestTargetAmbiguous));
    assert_eq!(judged(|raw| raw.query = b"x").err(), Some(Denial::RequestTargetAmbiguous));
}

#[test]
fn methods_are_tokens() {
    for method in ["GET", "get", "M-SEARCH"] {
        assert!(judged(|raw| raw.method = method.as_bytes()).is_ok());
    }
    for method in ["", " GET", "GET ", "G\0T", "GET\r", "caf\u{e9}", "GET,POST", &"A".repeat(limits::METHOD_BYTES + 1)]
    {
        assert_eq!(judged(|raw| raw.method = method.as_bytes()).err(), Some(Denial::RequestMalformed), "{method}");
    }
}

#[test]
fn control_bytes_in_a_header_that_is_read_are_refused() {
    for value in [&b"a\0b"[..], b"a\r", b"a\nb"] {
        for name in ["authorization", "DPoP", "x-forwarded-client-cert", "Client-Cert", "client-cert-chain"] {
            assert_eq!(
                judged(|raw| raw.headers = vec![(name.as_bytes(), value)]).err(),
                Some(Denial::RequestMalformed),
                "{name}"
            );
        }
        assert!(
            judged(|raw| raw.headers = vec![(b"x-other", value)]).is_ok(),
            "headers that nobody reads are not judged"
        );
    }
}

#[test]
fn sizes_and_counts_are_bounded_at_the_edge() {
    let path = |bytes: usize| format!("/{}", "a".repeat(bytes - 1)).into_bytes();
    assert!(judged(|raw| raw.path = path(limits::TARGET_BYTES).leak()).is_ok());
    assert_eq!(
        judged(|raw| raw.path = path(limits::TARGET_BYTES + 1).leak()).err(),
        Some(Denial::RequestLimitExceeded)
    );
    assert!(judged(|raw| raw.path = "/a".repeat(limits::PATH_SEGMENTS).leak().as_bytes()).is_ok());
    assert!(judged(|raw| raw.path = "/a".repeat(limits::PATH_SEGMENTS + 1).leak().as_bytes()).is_err());
    assert!(judged(|raw| raw.headers = vec![(b"a", b"b"); limits::HEADERS]).is_ok());
    assert_eq!(
        judged(|raw| raw.headers = vec![(b"a", b"b"); limits::HEADERS + 1]).err(),
        Some(Denial::RequestLimitExceeded)
    );
    let value = vec![b'a'; limits::HEADER_BYTES].leak();
    assert_eq!(judged(|raw| raw.headers = vec![(b"a", value)]).err(), Some(Denial::RequestLimitExceeded));
}

#[test]
fn method_overrides_are_noticed_in_any_case() {
    for name in ["x-http-method-override", "X-HTTP-Method", "X-Method-Override"] {
        assert!(judged(|raw| raw.headers = vec![(name.as_bytes(), b"PUT")]).unwrap().overrides_method());
    }
    assert!(!judged(|_| ()).unwrap().overrides_method());
}

#[test]
fn a_request_id_is_recorded_if_it_is_one_short_and_plain() {
    let id = |values: &[&[u8]]| {
        let headers = values.iter().map(|value| (&b"X-Request-Id"[..], *value)).collect();
        let raw = RawRequest { method: b"GET", host: b"a.test", path: b"/", headers, ..RawRequest::default() };
        RequestFacts::new("edge", &raw).unwrap().request_id().map(str::to_owned)
    };
    assert_eq!(id(&[b"7c9e6679-7425-40de"]), Some("7c9e6679-7425-40de".to_owned()));
    assert_eq!(id(&[&[b'x'; limits::REQUEST_ID_BYTES]]).map(|id| id.len()), Some(limits::REQUEST_ID_BYTES));
    assert_eq!(id(&[&[b'x'; limits::REQUEST_ID_BYTES + 1]]), None);
    let others: [&[&[u8]]; 4] = [&[], &[b"a", b"b"], &[b"a b"], &[b"\xff"]];
    for other in others {
        assert_eq!(id(other), None);
    }
}
