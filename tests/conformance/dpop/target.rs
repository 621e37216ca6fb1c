//! `htm`, `htu` and the authority.

use serde_json::json;

use crate::expect::{Expect, allow, proof, request, route};
use crate::row::{Envoy, Row, row};
use crate::support::inventory::host;
use crate::support::{Good, good, good_at};

pub fn rows() -> Vec<Row> {
    [dp_08(), dp_09_10(), dp_11_12(), dp_13(), dp_14(), dp_14_hosts(), dp_15()].concat()
}

fn dp_08() -> Vec<Row> {
    let named = |method: &str| good().proof(|proof| proof.claims["htm"] = json!(method));
    let mut rows = vec![
        row("DP-08", "the proof names the method of the request", good(), allow()),
        row("DP-08", "a proof for POST is allowed on POST", good().method("POST").path("/items"), allow()),
    ];
    for method in ["PUT", "get", "Get", " GET", "GET ", "GET,PUT", "*"] {
        let sentence = format!("a proof for `{method}` is refused on GET");
        rows.push(row("DP-08", sentence, named(method), proof("proof_method_mismatch")));
    }
    let put = good().raw_method("PUT").token(|token| token.claims["scope"] = json!("items.read items.write"));
    rows.push(row("DP-08", "a proof for GET is refused on PUT", put, proof("proof_method_mismatch")));
    rows
}

/// The good proof with another `htu`.
fn named(htu: &str) -> Good {
    good().proof(|proof| proof.claims["htu"] = json!(htu))
}

fn same(id: &'static str, htu: &str) -> Row {
    row(id, format!("`htu` may be `{htu}`"), named(htu), allow())
}

fn other(id: &'static str, htu: &str) -> Row {
    row(id, format!("`htu` must not be `{htu}`"), named(htu), proof("proof_target_mismatch"))
}

fn dp_09_10() -> Vec<Row> {
    vec![
        same("DP-09", "https://rs.example.com/items/7"),
        same("DP-09", "https://rs.example.com/items/7?x=1"),
        same("DP-09", "https://rs.example.com/items/7#part"),
        same("DP-09", "https://rs.example.com/items/7?x=1#part"),
        row("DP-09", "the request's query is not compared", good().raw_path("/items/7?y=2"), allow()),
        row(
            "DP-09",
            "the two queries may differ",
            named("https://rs.example.com/items/7?x=1").raw_path("/items/7?y=2"),
            allow(),
        ),
        same("DP-10", "HTTPS://rs.example.com/items/7"),
        same("DP-10", "https://RS.Example.COM/items/7"),
        row("DP-10", "the request's host may be upper case", good().host("RS.EXAMPLE.COM"), allow()),
        row(
            "DP-10",
            "the case of hexadecimal digits does not count",
            good().raw_path("/items/a%3Ab").proof(|p| p.claims["htu"] = json!("https://rs.example.com/items/a%3ab")),
            allow(),
        ),
    ]
}

fn dp_11_12() -> Vec<Row> {
    let at = |path: &str, htu: &str| named(&format!("https://rs.example.com{htu}")).raw_path(path);
    vec![
        same("DP-11", "https://rs.example.com/%69tems/7"),
        same("DP-11", "https://rs.example.com/items/%37"),
        row("DP-11", "`%7E` is `~`", at("/items/~user", "/items/%7Euser"), allow()),
        row("DP-11", "`%7e` is `~`", at("/items/~user", "/items/%7euser"), allow()),
        other("DP-11", "https://rs.example.com/items%2F7"),
        other("DP-11", "https://rs.example.com/items%5C7"),
        other("DP-11", "https://rs.example.com/items/%2537"),
        other("DP-11", "https://rs.example.com/items/7%"),
        other("DP-11", "https://rs.example.com/items/7%0"),
        other("DP-11", "https://rs.example.com/items/7%zz"),
        same("DP-12", "https://rs.example.com/x/../items/7"),
        same("DP-12", "https://rs.example.com/./items/./7"),
        same("DP-12", "https://rs.example.com/../items/7"),
        same("DP-12", "https://rs.example.com/x/%2e%2e/items/7"),
        same("DP-12", "https://rs.example.com/x/%2E./items/7"),
        other("DP-12", "https://rs.example.com/items/7/.."),
        other("DP-12", "https://rs.example.com/items/7/."),
        other("DP-12", "https://rs.example.com/items/x/../7/x"),
    ]
}

fn dp_13() -> Vec<Row> {
    let at_root = |htu: &str| row("DP-13", format!("an empty path is `/`: `{htu}`"), named(htu).raw_path("/"), allow());
    let ported = |htu: &str, expect: Expect| {
        let sentence = format!("where the public port is 8443: `{htu}`");
        row("DP-13", sentence, good_at_port().proof(|proof| proof.claims["htu"] = json!(htu)), expect)
    };
    vec![
        same("DP-13", "https://rs.example.com:443/items/7"),
        same("DP-13", "https://rs.example.com:/items/7"),
        same("DP-13", "https://rs.example.com:00443/items/7"),
        at_root("https://rs.example.com"),
        at_root("https://rs.example.com/"),
        at_root("https://rs.example.com?x=1"),
        ported("https://port.example.com:8443/items/7", allow()),
        ported("https://port.example.com/items/7", proof("proof_target_mismatch")),
        ported("https://port.example.com:443/items/7", proof("proof_target_mismatch")),
        row("DP-13", "the request's authority may have the public port", good().host("rs.example.com:443"), allow()),
    ]
}

/// The API whose public origin has a port, which the mesh has stripped.
fn good_at_port() -> Good {
    good_at(host::PORT)
}

fn dp_14() -> Vec<Row> {
    [
        "https://rs.example.com/ITEMS/7",
        "https://rs.example.com/items/7/",
        "https://rs.example.com/items",
        "https://rs.example.com/items/8",
        "https://rs.example.com/items/77",
        "https://rs.example.com//items/7",
        "https://rs.example.com/items//7",
        "https://rs.example.com/items\\7",
        "https://rs.example.com\\items\\7",
        "https://rs.example.com/x\\y/../items/7",
        "https://other.example.com/items/7",
        "https://example.com/items/7",
        "https://rs.example.com.evil.test/items/7",
        "https://xrs.example.com/items/7",
        "https://rs.example.com./items/7",
        "https://rs.example.com:8443/items/7",
        "https://rs.example.com:80/items/7",
        "https://rs.example.com:99999/items/7",
        "https://rs.example.com:+443/items/7",
        "http://rs.example.com/items/7",
        "http://rs.example.com:443/items/7",
        "ftp://rs.example.com/items/7",
        "//rs.example.com/items/7",
        "rs.example.com/items/7",
        "/items/7",
        "https:/rs.example.com/items/7",
        "https:///items/7",
        "https://user@rs.example.com/items/7",
        "https://user:secret@rs.example.com/items/7",
        "https://rs.example.com@evil.test/items/7",
        "https://evil.test/rs.example.com/items/7",
        "https://rs.example.com/items/7 ",
        " https://rs.example.com/items/7",
        "https://rs.example.com/items/7\u{e9}",
        "*",
    ]
    .into_iter()
    .map(|htu| other("DP-14", htu))
    .chain([same("DP-14", "https://rs.example.com/items/7")])
    .collect()
}

fn dp_14_hosts() -> Vec<Row> {
    let at = |host: &'static str, htu: &str| good_at(host).proof(|proof| proof.claims["htu"] = json!(htu));
    let mismatch = || proof("proof_target_mismatch");
    vec![
        row("DP-14", "an internationalised host in its ASCII form is allowed", good_at(host::IDN), allow()),
        row(
            "DP-14",
            "an internationalised host in Unicode is refused",
            at(host::IDN, "https://m\u{fc}nchen.example.com/items/7"),
            mismatch(),
        ),
        row("DP-14", "an IPv6 host as the inventory spells it is allowed", good_at(host::IPV6), allow()),
        row(
            "DP-14",
            "an IPv6 host in another spelling is refused",
            at(host::IPV6, "https://[2001:db8:0:0:0:0:0:1]/items/7"),
            mismatch(),
        ),
        row(
            "DP-14",
            "an IPv6 host with a zone is refused",
            at(host::IPV6, "https://[2001:db8::1%25eth0]/items/7"),
            mismatch(),
        ),
        row(
            "DP-14",
            "a proof for one host of ours is refused at another",
            at(host::DPOP, "https://rs.example.com/items/7"),
            mismatch().challenged(DPOP_ONLY),
        ),
    ]
}

const DPOP_ONLY: &[&str] = &[
    "DPoP algs=\"ES256 PS256 EdDSA Ed25519\", error=\"invalid_dpop_proof\", error_description=\"The sender did not prove possession of the key of the access token\"",
];

fn dp_15() -> Vec<Row> {
    let long = |bytes: usize| good().host(&"a".repeat(bytes));
    let mut rows = vec![
        row("DP-15", "a host is allowed", good(), allow()),
        row("DP-15", "260 characters may be a host, but none of ours", long(260), route("api_unknown")),
        row("DP-15", "261 characters are no host", long(261), request("request_authority")),
        row("DP-15", "a host with its port is allowed", good().host("rs.example.com:443"), allow()),
        row("DP-15", "another port is another place", good().host("rs.example.com:8443"), route("api_unknown"))
            .envoy(Envoy::Becomes(allow())),
        row("DP-15", "a host that is not in the inventory is refused", good().host("other.test"), route("api_unknown")),
        row(
            "DP-15",
            "a host with a trailing dot is not in the inventory",
            good().host("rs.example.com."),
            route("api_unknown"),
        )
        .envoy(Envoy::Becomes(allow())),
    ];
    for authority in [
        "",
        "rs.example.com/x?",
        "rs.example.com/items/8?",
        "rs.example.com#",
        "rs.example.com?",
        "user:secret@rs.example.com",
        "user@rs.example.com",
        "rs.example.com:99999",
        "rs.example.com:",
        "rs.example.com:+443",
        "rs.example.com:443:443",
        "rs.example.com:000443",
        "rs.example.com,rs.example.com",
        "rs.example.com, other.test",
        "rs.example.com\\x",
        "rs%2eexample.com",
        "rs.example.com ",
        " rs.example.com",
        "rs\u{e9}.example.com",
        "[::1",
        "[evil]",
        "2001:db8::1",
    ] {
        let sentence = format!("the authority `{authority}` is refused");
        let refused = row("DP-15", sentence, good().host(authority), request("request_authority"));
        rows.push(refused.envoy(authority_at_envoy(authority)));
    }
    rows
}

/// Envoy strips whatever looks like a port, and the white space around a field; it stops what cannot be a host.
fn authority_at_envoy(authority: &str) -> Envoy {
    match authority {
        "rs.example.com:99999"
        | "rs.example.com:+443"
        | "rs.example.com:000443"
        | "rs.example.com:443:443"
        | "rs.example.com "
        | " rs.example.com" => Envoy::Becomes(allow()),
        _ if authority.contains(['/', '?', '#', '\\', ' ', '\u{e9}']) => Envoy::Stops(400),
        _ => Envoy::Same,
    }
}
