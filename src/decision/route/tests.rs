#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use super::*;
use crate::decision::facts::RawRequest;

fn operation(method: &str, path: &str, action: &str) -> Operation {
    Operation {
        methods: vec![method.into()],
        path: PathTemplate::parse(path).expect(path),
        action: action.into(),
        scopes: vec![],
        public: false,
    }
}

fn api(id: &str, host: &str, operations: Vec<Operation>) -> Api {
    Api {
        id: id.into(),
        owner: "team".into(),
        sensitivity: Sensitivity::Low,
        hosts: vec![(host.into(), Origin::parse(&format!("https://{host}")).unwrap())],
        issuers: vec![],
        audiences: None,
        proof: ProofDemand::Required,
        nonces: false,
        max_token_lifetime_seconds: None,
        introspection: None,
        registered_clients: true,
        leniency: Leniency::default(),
        allow_method_override: false,
        operations,
    }
}

fn inventory() -> Inventory {
    Inventory::new(vec![
        api(
            "payments",
            "pay.test",
            vec![
                operation("GET", "/payments", "list"),
                operation("GET", "/payments/{id}", "read"),
                operation("PUT", "/payments/{id}", "replace"),
                operation("GET", "/payments/mine", "mine"),
                operation("GET", "/payments/@all", "all"),
                operation("GET", "/payments/caf%C3%A9", "cafe"),
                operation("GET", "/payments/{id}/parts/{part}", "part"),
                operation("GET", "/", "root"),
            ],
        ),
        api("refunds", "pay.test", vec![operation("POST", "/refunds", "refund")]),
    ])
    .unwrap()
}

fn routed(change: impl FnOnce(&mut RawRequest<'static>)) -> Result<String, Denial> {
    let mut raw = RawRequest { method: b"GET", host: b"pay.test", path: b"/payments", ..RawRequest::default() };
    change(&mut raw);
    let facts = RequestFacts::new("edge", &raw).unwrap();
    let inventory = inventory();
    let route = resolve(&inventory, &facts)?;
    let parameters: Vec<_> = route.parameters().iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(format!("{}.{}({})", route.api().id, route.operation().action, parameters.join(",")))
}

#[test]
fn operations_are_found_by_host_method_and_path() {
    let path = |path: &'static str| routed(|raw| raw.path = path.as_bytes());
    assert_eq!(path("/payments").unwrap(), "payments.list()");
    assert_eq!(path("/payments?x=1").unwrap(), "payments.list()");
    assert_eq!(path("/payments/7").unwrap(), "payments.read(id=7)");
    assert_eq!(path("/payments/mine").unwrap(), "payments.mine()", "exact before template");
    assert_eq!(path("/payments/7/parts/a%20b").unwrap(), "payments.part(id=7,part=a b)");
    assert_eq!(path("/").unwrap(), "payments.root()");
    assert_eq!(routed(|raw| raw.host = b"PAY.test:443").unwrap(), "payments.list()");
    let refund = routed(|raw| (raw.method, raw.path) = (b"POST", b"/refunds"));
    assert_eq!(refund.unwrap(), "refunds.refund()", "two APIs may share a host");
}

#[test]
fn what_is_not_declared_is_denied() {
    for path in [
        "/Payments",
        "/payments/",
        "/payments/7/",
        "/payments/7/parts",
        "/payments/7/parts/",
        "/other",
        "/payments/%FF",
    ] {
        assert_eq!(routed(|raw| raw.path = path.as_bytes()), Err(Denial::OperationUnknown), "{path}");
    }
    for method in ["POST", "get", "HEAD", "OPTIONS"] {
        assert_eq!(routed(|raw| raw.method = method.as_bytes()), Err(Denial::OperationUnknown), "{method}");
    }
    for host in ["other.test", "pay.test.", "xpay.test", "pay.test:8443", "pay.test:80"] {
        assert_eq!(routed(|raw| raw.host = host.as_bytes()), Err(Denial::ApiUnknown), "{host}");
    }
    let exact = routed(|raw| (raw.method, raw.path) = (b"PUT", b"/payments/mine"));
    assert_eq!(exact, Err(Denial::OperationUnknown), "an exact path of other methods asks no template");
}

#[test]
fn ec_03_another_spelling_of_an_exact_path_is_no_parameter() {
    let path = |path: &'static str| routed(|raw| raw.path = path.as_bytes());
    assert_eq!(path("/payments/@all").unwrap(), "payments.all()");
    assert_eq!(path("/payments/caf%C3%A9").unwrap(), "payments.cafe()");
    // A server that decodes before it routes takes each of these for the exact path.
    for spelling in ["/payments/%40all", "/payments/caf%c3%a9", "/payments/caf%C3%a9"] {
        assert_eq!(path(spelling), Err(Denial::RequestTargetAmbiguous), "{spelling}");
    }
    assert_eq!(path("/payments/%40mine").unwrap(), "payments.read(id=@mine)");
    assert_eq!(path("/payments/%25x").unwrap(), "payments.read(id=%x)");
}

#[test]
fn ec_03_what_a_lenient_server_takes_for_an_exact_path_is_no_parameter() {
    let path = |path: &'static str| routed(|raw| raw.path = path.as_bytes());
    for spelling in
        ["/payments/MINE", "/payments/mine.json", "/payments/Mine.", "/payments/mine%20", "/payments/@all.x.y"]
    {
        assert_eq!(path(spelling), Err(Denial::RequestTargetAmbiguous), "{spelling}");
    }
    assert_eq!(path("/payments/miner").unwrap(), "payments.read(id=miner)");
    assert_eq!(path("/payments/7.json").unwrap(), "payments.read(id=7.json)");
    assert_eq!(path("/PAYMENTS"), Err(Denial::OperationUnknown), "nothing is meant by it");
}

#[test]
fn the_routes_own_word_for_the_api_must_agree() {
    assert!(routed(|raw| raw.api_hint = Some(b"payments")).is_ok());
    assert_eq!(routed(|raw| raw.api_hint = Some(b"refunds")), Err(Denial::ApiMismatch));
    assert_eq!(routed(|raw| raw.api_hint = Some(b"")), Err(Denial::ApiMismatch));
}

#[test]
fn ec_06_a_method_override_is_refused() {
    let override_header = routed(|raw| raw.headers = vec![(b"x-http-method-override", b"PUT")]);
    assert_eq!(override_header, Err(Denial::RequestMethodOverride));
}

#[test]
fn ambiguous_templates_are_refused_when_the_inventory_is_built() {
    let build = |one: &str, two: &str| {
        let two = if let Some(path) = two.strip_prefix("PUT ") {
            operation("PUT", path, "b")
        } else {
            operation("GET", two, "b")
        };
        Inventory::new(vec![api("x", "a.test", vec![operation("GET", one, "a")]), api("y", "a.test", vec![two])])
            .map(|_| ())
    };
    for (one, two) in [("/a", "/a"), ("/a/{x}", "/a/{y}"), ("/a/{x}", "/{y}/b"), ("/{x}/b", "PUT /a/{y}")] {
        let ambiguities = build(one, two).unwrap_err();
        assert_eq!(
            ambiguities,
            [Ambiguity { operation: (1, 0), other: ("x".into(), "a".into()), host: "a.test".into() }],
            "{one} {two}"
        );
    }
    for (one, two) in [
        ("/a", "/b"),
        ("/a", "PUT /a"),
        ("/a/{x}", "PUT /a/{y}"),
        ("/a/{x}", "/b/{x}"),
        ("/a/{x}", "/a/{x}/{y}"),
        ("/a/{x}", "/a/b"),
        ("/a/{x}", "/{y}/"),
    ] {
        assert!(build(one, two).is_ok(), "{one} {two}");
    }
}

#[test]
fn templates_are_canonical_and_their_parameters_whole_segments() {
    for bad in [
        "",
        "a",
        "/a/{}",
        "/a/{1}",
        "/a/{x}{y}",
        "/a/x{y}",
        "/{x}/{x}",
        "/a//b",
        "/a/../b",
        "/%61",
        "/a?b",
        "/a#b",
        "/a;b",
        "/a/{x-y}",
        "/a/:x",
    ] {
        assert!(PathTemplate::parse(bad).is_err(), "{bad}");
    }
    let template = PathTemplate::parse("/a/{x}/{y}").unwrap();
    assert_eq!(template.parameters().collect::<Vec<_>>(), ["x", "y"]);
}
