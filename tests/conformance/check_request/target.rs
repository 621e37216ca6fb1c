//! Method, path and query, as Envoy routes on them.

use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;
use serde_json::json;

use crate::expect::{allow, proof, request, route};
use crate::row::{Envoy, Row, row};
use crate::support::inventory::host;
use crate::support::wire::http_of;
use crate::support::{Good, good, good_at};

pub fn rows() -> Vec<Row> {
    [ec_02(), ec_03(), ec_03_allowed(), ec_03_normalised(), ec_03_routing(), ec_06()].concat()
}

fn ambiguous(id: &'static str, path: &str) -> Row {
    let sentence = format!("the path `{}` is refused", path.escape_default());
    row(id, sentence, good().raw_path(path), request("request_target_ambiguous"))
}

fn ec_02() -> Vec<Row> {
    let field = |sentence: &str, edit: fn(&mut HttpRequest)| {
        row(
            "EC-02",
            sentence,
            good().message(move |message| edit(http_of(message))),
            request("request_target_ambiguous"),
        )
        .envoy(Envoy::CannotSend("Envoy leaves these fields empty"))
    };
    let forwarded = |name: &str, value: &str| {
        row(
            "EC-02",
            format!("`{name}` of a client does not say what is asked for"),
            good().header(name, value),
            allow(),
        )
    };
    vec![
        row("EC-02", "a query is split off at the first question mark", good().raw_path("/items/7?x=1?y=2"), allow()),
        row("EC-02", "an empty query is allowed", good().raw_path("/items/7?"), allow()),
        row(
            "EC-02",
            "what is ambiguous in a path is not in a query",
            good().raw_path("/items/7?x=//a/../b;c\\d%2F%2e"),
            allow(),
        ),
        row(
            "EC-02",
            "the fragment of a path is refused",
            good().raw_path("/items/7#x"),
            request("request_target_ambiguous"),
        )
        .envoy(Envoy::Stops(400)),
        row(
            "EC-02",
            "the fragment of a query is refused",
            good().raw_path("/items/7?x#y"),
            request("request_target_ambiguous"),
        )
        .envoy(Envoy::Stops(400)),
        field("a message with a query of its own is refused", |http| "x=1".clone_into(&mut http.query)),
        field("a message with a fragment is refused", |http| "x".clone_into(&mut http.fragment)),
        // CVE-2023-27487.
        forwarded("x-envoy-original-path", "/items/8"),
        forwarded("x-original-url", "/items/8"),
        forwarded("x-forwarded-host", "other.test"),
        forwarded("x-forwarded-proto", "http"),
        forwarded("x-forwarded-port", "8443"),
        forwarded("forwarded", "host=other.test;proto=http"),
    ]
}

fn ec_03() -> Vec<Row> {
    [
        "",
        "items/7",
        "?x=1",
        "*",
        "rs.example.com:443",
        "http://other.test/items/7",
        "https://rs.example.com/items/7",
        "/items;v=1/7",
        "/items/7;",
        "/items\\7",
        "/%69tems/7",
        "/items/%37",
        "/items/%7Euser",
        "/items/%",
        "/items/%2",
        "/items/%zz",
        "/items/%00",
        "/items/%0a",
        "/items/%7f",
        "/items/%5c",
        "/items/a b",
        "/items/a\tb",
        "/items/\u{e9}",
        // Exact to a server that decodes before it routes, a parameter to one that does not.
        "/items/%40all",
        // To one that folds case, takes formats off, or trims.
        "/items/@ALL",
        "/items/@all.json",
        "/items/@all.",
        "/items/@All.tar.gz",
        "/items/@all%20",
        "/items/@all%3bx",
        // To one that decodes twice.
        "/items/%2540all",
        "/items/%252e%252e",
    ]
    .into_iter()
    .map(|path| ambiguous("EC-03", path).envoy(path_at_envoy(path)))
    .collect()
}

/// `normalize_path` decodes what needs no escape, turns a backslash and takes the authority out of an absolute form; what begins
/// with no slash or has odd bytes is stopped.
fn path_at_envoy(path: &str) -> Envoy {
    match path {
        "https://rs.example.com/items/7" | "/items\\7" | "/%69tems/7" | "/items/%37" => Envoy::Becomes(allow()),
        "/items/%7Euser" => Envoy::Becomes(proof("proof_target_mismatch")),
        "http://other.test/items/7" => Envoy::Becomes(route("api_unknown")),
        "/items/%00" | "/items/%5c" | "/items/a b" | "/items/a\tb" | "/items/\u{e9}" => Envoy::Stops(400),
        _ if !path.starts_with('/') => Envoy::Stops(400),
        _ => Envoy::Same,
    }
}

fn ec_03_allowed() -> Vec<Row> {
    let mut rows = Vec::new();
    for path in [
        "/items/7",
        "/items/a%20b",
        "/items/caf%C3%A9",
        "/items/a:b",
        "/items/a%3Ab",
        "/items/...",
        "/items/a..b",
        "/items/%25",
        "/items/%25zz",
        "/items/@allison",
        "/items/x@all",
        "/items/7.json",
        "/items/a+b",
        "/items/~",
    ] {
        rows.push(row("EC-03", format!("the path `{path}` is allowed"), good().path(path), allow()));
    }
    rows.push(row(
        "EC-03",
        "64 segments have no operation, but may be asked for",
        good().raw_path(&"/a".repeat(64)),
        route("operation_unknown"),
    ));
    rows.push(row(
        "EC-03",
        "65 segments are refused",
        good().raw_path(&"/a".repeat(65)),
        request("request_target_ambiguous"),
    ));
    let long = |bytes: usize| good().raw_path(&format!("/items/7?{}", "x".repeat(bytes - 9)));
    rows.push(row("EC-03", "8 KiB of path and query are allowed", long(8 * 1024), allow()));
    rows.push(row("EC-03", "a byte more is refused", long(8 * 1024 + 1), request("request_limit_exceeded")));
    rows
}

/// What Envoy with `normalize_path` and `merge_slashes` makes canonical, or stops, before it asks.
fn ec_03_normalised() -> Vec<Row> {
    let becomes = |path: &str| ambiguous("EC-03", path).envoy(Envoy::Becomes(allow()));
    let stops = |path: &str| ambiguous("EC-03", path).envoy(Envoy::Stops(400));
    vec![
        becomes("//items/7"),
        becomes("/items//7"),
        becomes("/./items/7"),
        becomes("/x/../items/7"),
        becomes("/items/./7"),
        becomes("/items/x/../7"),
        becomes("/%2e/items/7"),
        becomes("/x/%2e%2e/items/7"),
        stops("/items%2F7"),
        stops("/items%2f7"),
        stops("/items/..%2f7"),
    ]
}

fn ec_03_routing() -> Vec<Row> {
    let unknown = |sentence: &str, request: Good| row("EC-03", sentence, request, route("operation_unknown"));
    let mut rows = vec![
        unknown("a path that is not declared is refused", good().raw_path("/other")),
        unknown("the case of a path counts", good().raw_path("/Items/7")),
        unknown("a slash at the end counts", good().raw_path("/items/7/")),
        unknown("an empty parameter is none", good().raw_path("/items/")),
        unknown("a parameter that is not UTF-8 is none", good().raw_path("/items/%FF")),
        unknown("a segment more is another path", good().raw_path("/items/7/8")),
        row("EC-03", "the route may say which API it is for", good().api_hint("items"), allow()),
        row("EC-03", "and must say the same as the inventory", good().api_hint("open"), route("api_mismatch")),
        row("EC-03", "an empty word for the API is another one", good().api_hint(""), route("api_mismatch")),
    ];
    for method in ["HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "get", "Get"] {
        let undeclared = unknown(&format!("`{method}` is not declared"), good().raw_method(method));
        let stops = matches!(method, "CONNECT" | "get" | "Get");
        rows.push(undeclared.envoy(if stops { Envoy::Stops(400) } else { Envoy::Same }));
    }
    for method in ["GET ", "G ET", "GET,POST", "G\u{e9}T", "GETGETGETGETGETGETGETGETGETGETGET"] {
        let sentence = format!("`{method}` is no method");
        let refused = row("EC-03", sentence, good().raw_method(method), request("request_malformed"));
        // On the wire the space after the method is one of the two that Envoy skips.
        rows.push(refused.envoy(if method == "GET " { Envoy::Becomes(allow()) } else { Envoy::Stops(400) }));
    }
    rows
}

fn ec_06() -> Vec<Row> {
    let mut rows = Vec::new();
    for name in ["x-http-method-override", "X-HTTP-Method-Override", "x-http-method", "x-method-override"] {
        let sentence = format!("`{name}` is refused");
        rows.push(row("EC-06", sentence, good().header(name, "PUT"), request("request_method_override")));
    }
    let allowed = || good_at(host::OVERRIDE).header("x-http-method-override", "PUT");
    let query = |query: &str| good().raw_path(&format!("/items/7?{query}"));
    let pseudo = good().message(|message| {
        let http = http_of(message);
        if let Some(method) = http.headers.get_mut(":method") {
            "PUT".clone_into(method);
        }
        for header in
            http.header_map.iter_mut().flat_map(|map| &mut map.headers).filter(|header| header.key == ":method")
        {
            header.raw_value = b"PUT".to_vec();
        }
    });
    rows.extend([
        row("EC-06", "`_method` in the query is refused", query("_method=DELETE"), request("request_method_override")),
        row("EC-06", "however it is escaped", query("x=1&%5Fmethod=PUT"), request("request_method_override")),
        row("EC-06", "as `.method`, which PHP takes for it", query(".method=PUT"), request("request_method_override")),
        row("EC-06", "as ` _method`", query("+%20_method=PUT"), request("request_method_override")),
        row("EC-06", "as `_method` with NUL after it", query("_method%00x=PUT"), request("request_method_override")),
        row("EC-06", "with a broken escape after NUL", query("_method%00%zz=PUT"), request("request_method_override")),
        row("EC-06", "a broken escape in the name is another name", query("_method%zz=PUT"), allow()),
        row("EC-06", "as `_method[]`", query("_method[]=PUT"), request("request_method_override")),
        row("EC-06", "another parameter is allowed", query("method=DELETE&x_method=PUT"), allow()),
        row(
            "EC-06",
            "an override that says what is so is refused too",
            good().header("x-http-method-override", "GET"),
            request("request_method_override"),
        ),
        row("EC-06", "an API may let overrides through", allowed(), allow()),
        row(
            "EC-06",
            "and then the proof still names the real method",
            allowed().proof(|p| p.claims["htm"] = json!("PUT")),
            proof("proof_method_mismatch"),
        ),
        row("EC-06", "the method is that of the message, not of its header `:method`", pseudo, allow())
            .envoy(Envoy::CannotSend("Envoy writes both alike")),
    ]);
    rows
}
