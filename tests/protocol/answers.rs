//! CheckResponses that ours encode and Envoy's types decode: every kind of verdict, and any answer at all.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use futures_util::FutureExt as _;
use keybound::config::Upstream;
use keybound::decision::denial::{Class, Denial};
use keybound::decision::{Decision, Verdict};
use keybound::edge::gate::{Gate, Partners};
use keybound::edge::{proto, reply};
use keybound::telemetry::metrics::Metrics;
use keybound::telemetry::record::{DecisionId, DecisionRecord};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;
use prost::bytes::Bytes;
use serde_json::json;

use crate::support::inventory::host;
use crate::support::setting::nonce;
use crate::support::{
    Encoding, Good, Memory, NOW, Request, Setting, decide, good_at, good_bearer_at, good_both, good_nonce,
};

/// The header names that tell the API who called.
const IDENTITY: [&str; 5] =
    ["x-keybound-issuer", "x-keybound-client", "x-keybound-subject", "x-keybound-proof", "x-keybound-decision"];

/// The decision on a request that is new.
fn first(good: &Good) -> Decision {
    judged(&good.build(), &Memory::new(10, 100))
}

/// The decision on a request that was decided on before.
fn second(good: &Good) -> Decision {
    let (request, memory) = (good.build(), Memory::new(10, 100));
    judged(&request, &memory);
    judged(&request, &memory)
}

fn judged(request: &Request, memory: &Memory) -> Decision {
    decide(&request.setting.snapshot(), request, Encoding::Raw, memory, NOW)
}

/// A client whose name has a space in it.
fn known() -> Good {
    good_both().token(|token| token.claims["client_id"] = json!("robot 1"))
}

/// No credential at all.
fn bare(host: &'static str) -> Good {
    good_bearer_at(host).without("authorization")
}

/// A credential that is no token.
fn stolen(host: &'static str) -> Good {
    good_bearer_at(host).header("authorization", "Bearer x")
}

/// What Envoy reads of the answer to a decision.
fn answered(decision: &Decision, upstream: &Upstream) -> CheckResponse {
    let record = DecisionRecord::new(DecisionId::new([7; 16]), "edge", Duration::ZERO, decision);
    let response = reply::write(decision, &record, upstream);
    let theirs = CheckResponse::decode(response.encoded()).unwrap();
    // Nothing of it was a field that Envoy does not know: what Envoy's types encode is ours again.
    let ours = |bytes: &[u8]| {
        let mut ours = proto::CheckResponse::decode(bytes).unwrap();
        let metadata = ours.dynamic_metadata.iter_mut();
        metadata.for_each(|metadata| metadata.fields.sort_by(|one, two| one.key.cmp(&two.key)));
        ours
    };
    assert_eq!(ours(&theirs.encode_to_vec()), ours(response.encoded()));
    theirs
}

fn allowed(answer: &CheckResponse) -> &OkHttpResponse {
    assert_eq!(answer.status.as_ref().unwrap().code, 0);
    match &answer.http_response {
        Some(HttpResponse::OkResponse(ok)) => ok,
        other => panic!("no ok_response: {other:?}"),
    }
}

fn denied(answer: &CheckResponse) -> &DeniedHttpResponse {
    assert_ne!(answer.status.as_ref().unwrap().code, 0, "Envoy allows on 0 alone");
    match &answer.http_response {
        Some(HttpResponse::DeniedResponse(denied)) => denied,
        other => panic!("no denied_response: {other:?}"),
    }
}

fn values<'a>(headers: &'a [HeaderValueOption], name: &str) -> Vec<&'a str> {
    let named = headers.iter().filter_map(|option| option.header.as_ref()).filter(|header| header.key == name);
    named.map(|header| header.value.as_str()).collect()
}

fn metadata(answer: &CheckResponse, name: &str) -> Option<String> {
    let value = answer.dynamic_metadata.as_ref()?.fields.get(name)?;
    let Some(Kind::StringValue(text)) = &value.kind else { panic!("{name} is no text: {value:?}") };
    Some(text.clone())
}

/// Every identity header is set, overwriting what the client sent, or removed: Envoy removes after it sets.
fn assert_identity(ok: &OkHttpResponse, set: &[&str]) {
    let given: BTreeSet<_> = ok.headers.iter().map(|option| option.header.as_ref().unwrap().key.as_str()).collect();
    assert_eq!(given, set.iter().copied().collect());
    for option in &ok.headers {
        assert_eq!(option.append_action(), HeaderAppendAction::OverwriteIfExistsOrAdd);
    }
    for name in IDENTITY {
        let removed = ok.headers_to_remove.iter().any(|removed| removed == name);
        assert_ne!(removed, given.contains(name), "{name}");
    }
}

#[test]
fn an_allow_tells_the_api_who_called_in_plain_ascii() {
    let decision = first(&known());
    let answer = answered(&decision, &Upstream::default());
    let ok = allowed(&answer);
    assert_identity(ok, &IDENTITY);
    assert_eq!(values(&ok.headers, "x-keybound-issuer"), ["https://as.example.com"]);
    assert_eq!(values(&ok.headers, "x-keybound-client"), ["robot%201"], "a space could end a value for some readers");
    assert_eq!(values(&ok.headers, "x-keybound-proof"), ["dpop"]);
    assert_eq!(values(&ok.headers, "x-keybound-decision"), ["07".repeat(16)]);
    assert!(ok.response_headers_to_add.is_empty());
    assert_eq!(metadata(&answer, "code").unwrap(), "allowed");
    assert_eq!(metadata(&answer, "client").unwrap(), "robot 1");
}

#[test]
fn usual_names_that_are_not_used_are_removed() {
    let decision = first(&known());
    let mut upstream = Upstream::default();
    upstream.identity_headers.subject = None;
    upstream.identity_headers.client = Some("x-caller".to_owned());
    let answer = answered(&decision, &upstream);
    let ok = allowed(&answer);
    assert_eq!(values(&ok.headers, "x-caller"), ["robot%201"]);
    assert_eq!(ok.headers_to_remove, ["x-keybound-client", "x-keybound-subject"]);
}

#[test]
fn credentials_go_on_to_the_api_unless_they_are_to_be_removed() {
    let decision = first(&known());
    let kept = answered(&decision, &Upstream::default());
    assert!(allowed(&kept).headers_to_remove.is_empty());
    let stripped = answered(&decision, &Upstream { strip_credentials: true, ..Upstream::default() });
    assert_eq!(allowed(&stripped).headers_to_remove, ["authorization", "dpop"]);
}

#[test]
fn an_allow_with_an_old_nonce_brings_a_new_one_that_no_cache_keeps() {
    let ask = |minted| {
        let decision = first(&good_nonce().proof(|proof| proof.claims["nonce"] = json!(nonce("nonce", minted))));
        allowed(&answered(&decision, &Upstream::default())).response_headers_to_add.clone()
    };
    assert!(ask(NOW - 10).is_empty(), "within the first half of its life the old one serves");
    let added = ask(NOW - 200);
    assert_eq!(values(&added, "dpop-nonce"), [nonce("nonce", NOW)]);
    assert_eq!(values(&added, "cache-control"), ["no-store"]);
}

#[test]
fn an_observed_request_goes_on_without_an_identity() {
    for (sent, would_be) in [(bare(host::LENIENT), "credential_missing"), (stolen(host::LENIENT), "token_malformed")] {
        let answer = answered(&first(&sent), &Upstream::default());
        assert_identity(allowed(&answer), &["x-keybound-decision"]);
        assert_eq!(metadata(&answer, "code").unwrap(), "observed");
        assert_eq!(metadata(&answer, "would_be").unwrap(), would_be);
        assert_eq!(metadata(&answer, "client"), None);
    }
    let replayed = second(&good_at(host::LENIENT));
    let answer = answered(&replayed, &Upstream::default());
    assert_identity(allowed(&answer), &["x-keybound-decision"]);
    assert_eq!((metadata(&answer, "would_be"), metadata(&answer, "client")), (Some("proof_replayed".to_owned()), None));
}

#[test]
fn a_public_operation_goes_on_without_identity_and_credential() {
    let answer = answered(&first(&bare(host::ITEMS).path("/health")), &Upstream::default());
    let ok = allowed(&answer);
    assert_identity(ok, &["x-keybound-decision"]);
    assert!(["authorization", "dpop"].iter().all(|name| ok.headers_to_remove.iter().any(|removed| removed == name)));
    assert_eq!(metadata(&answer, "code").unwrap(), "public");
}

#[test]
fn a_bad_credential_that_a_public_operation_observes_does_not_go_on() {
    let answer = |host| answered(&first(&stolen(host).path("/health")), &Upstream::default());
    assert_eq!(metadata(&answer(host::ITEMS), "code").unwrap(), "token_malformed");
    let observed = answer(host::LENIENT);
    assert_eq!(metadata(&observed, "would_be").unwrap(), "token_malformed");
    assert!(
        ["authorization", "dpop"]
            .iter()
            .all(|name| allowed(&observed).headers_to_remove.iter().any(|gone| gone == name))
    );
}

#[test]
fn every_denial_is_a_denied_response_with_its_status() {
    for denial in Denial::ALL {
        let answer = answered(&Decision::refuse(*denial), &Upstream::default());
        let response = denied(&answer);
        assert_eq!(response.status.as_ref().unwrap().code, i32::from(denial.row().status), "{}", denial.slug());
        assert_eq!(metadata(&answer, "code").unwrap(), denial.slug());
        assert_eq!(answer.status.as_ref().unwrap().code, denial.grpc_code().get());
    }
}

#[test]
fn a_denial_tells_the_caller_its_class_and_no_more() {
    for class in Class::ALL {
        let of_class = Denial::ALL.iter().filter(|denial| denial.row().class == class);
        let mut bodies = BTreeSet::new();
        for denial in of_class {
            let answer = answered(&Decision::refuse(*denial), &Upstream::default());
            let response = denied(&answer);
            assert_eq!(values(&response.headers, "content-type"), ["application/problem+json"]);
            assert!(!response.body.contains(denial.slug()) && !response.body.contains(denial.row().meaning));
            let mut body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
            assert_eq!(body["status"], denial.row().status);
            body["status"].take();
            bodies.insert(body.to_string());
        }
        assert_eq!(bodies.len(), 1, "one text for {}", class.name());
    }
}

#[test]
fn challenges_and_a_nonce_reach_the_client_as_fields_of_their_own() {
    let missing = first(&bare(host::ITEMS));
    let answer = answered(&missing, &Upstream::default());
    let challenges = values(&denied(&answer).headers, "www-authenticate");
    assert_eq!(challenges, ["Bearer", "DPoP algs=\"ES256 PS256 EdDSA Ed25519\""]);
    let mut challenge =
        denied(&answer).headers.iter().filter(|option| option.header.as_ref().unwrap().key == "www-authenticate");
    assert!(challenge.all(|option| option.append_action() == HeaderAppendAction::AppendIfExistsOrAdd));
    let without_nonce = first(&good_at(host::NONCE));
    let answer = answered(&without_nonce, &Upstream::default());
    let headers = &denied(&answer).headers;
    assert_eq!(values(headers, "dpop-nonce"), [nonce("nonce", NOW)]);
    assert_eq!(values(headers, "cache-control"), ["no-store"]);
    assert_eq!(values(headers, "access-control-expose-headers"), ["WWW-Authenticate, DPoP-Nonce"]);
    assert!(values(headers, "www-authenticate").iter().any(|value| value.contains("error=\"use_dpop_nonce\"")));
}

#[test]
fn the_actions_on_headers_have_envoys_numbers() {
    for number in 0..4 {
        let theirs = HeaderAppendAction::try_from(number).unwrap().as_str_name();
        assert_eq!(proto::HeaderAppendAction::try_from(number).unwrap().as_str_name(), theirs);
    }
    assert!(HeaderAppendAction::try_from(4).is_err());
}

fn option_of_header() -> impl Strategy<Value = proto::HeaderValueOption> {
    (any::<String>(), any::<String>(), any::<Vec<u8>>(), 0..4_i32).prop_map(|(key, value, raw_value, append_action)| {
        let header = proto::HeaderValue { key: key.into(), value: value.into(), raw_value: raw_value.into() };
        proto::HeaderValueOption { header: Some(header), append_action }
    })
}

fn any_answer() -> impl Strategy<Value = proto::CheckResponse> {
    let headers = || vec(option_of_header(), 0..4);
    let ok = (headers(), vec(any::<String>(), 0..4), headers()).prop_map(|(headers, remove, add)| {
        proto::check_response::HttpResponse::OkResponse(proto::OkHttpResponse {
            headers,
            headers_to_remove: remove.into_iter().map(Into::into).collect(),
            response_headers_to_add: add,
        })
    });
    let denied = (option::of(0..600_i32), headers(), any::<String>()).prop_map(|(code, headers, body)| {
        proto::check_response::HttpResponse::DeniedResponse(proto::DeniedHttpResponse {
            status: code.map(|code| proto::HttpStatus { code }),
            headers,
            body: body.into(),
        })
    });
    let status =
        (any::<i32>(), any::<String>()).prop_map(|(code, message)| proto::Status { code, message: message.into() });
    (option::of(status), option::of(prop_oneof![ok, denied])).prop_map(|(status, http_response)| proto::CheckResponse {
        status,
        http_response,
        dynamic_metadata: None,
    })
}

proptest! {
    #[test]
    fn whatever_we_answer_says_the_same_to_envoy(ours in any_answer()) {
        let theirs = CheckResponse::decode(ours.encode_to_vec().as_slice()).unwrap();
        prop_assert_eq!(theirs.status.is_some(), ours.status.is_some());
        if let (Some(theirs), Some(ours)) = (&theirs.status, &ours.status) {
            prop_assert_eq!(theirs.code, ours.code);
            prop_assert_eq!(theirs.message.as_bytes(), &ours.message);
        }
        match (&theirs.http_response, &ours.http_response) {
            (None, None) => {}
            (Some(HttpResponse::OkResponse(theirs)), Some(proto::check_response::HttpResponse::OkResponse(ours))) => {
                assert_headers(&theirs.headers, &ours.headers);
                assert_headers(&theirs.response_headers_to_add, &ours.response_headers_to_add);
                let removed = theirs.headers_to_remove.iter().map(String::as_bytes);
                prop_assert!(removed.eq(ours.headers_to_remove.iter().map(AsRef::as_ref)));
            }
            (Some(HttpResponse::DeniedResponse(theirs)), Some(proto::check_response::HttpResponse::DeniedResponse(ours))) => {
                assert_headers(&theirs.headers, &ours.headers);
                prop_assert_eq!(theirs.body.as_bytes(), &ours.body);
                let status = theirs.status.as_ref().map(|status| status.code);
                prop_assert_eq!(status, ours.status.as_ref().map(|status| status.code));
            }
            (theirs, _) => prop_assert!(false, "another kind of answer: {:?}", theirs),
        }
        // Nothing of it was a field that Envoy does not know: what Envoy's types encode is ours again.
        prop_assert_eq!(proto::CheckResponse::decode(theirs.encode_to_vec().as_slice()).unwrap(), ours);
    }

    #[test]
    fn no_bytes_become_an_allow(bytes in vec(any::<u8>(), 0..512)) {
        let answer = check(Ok(bytes.into()), Instant::now());
        denied(&CheckResponse::decode(answer.encoded()).unwrap());
    }
}

fn assert_headers(theirs: &[HeaderValueOption], ours: &[proto::HeaderValueOption]) {
    assert_eq!(theirs.len(), ours.len());
    for (theirs, ours) in theirs.iter().zip(ours) {
        assert_eq!(theirs.append_action, ours.append_action);
        let (theirs, ours) = (theirs.header.as_ref().unwrap(), ours.header.as_ref().unwrap());
        assert_eq!((theirs.key.as_bytes(), theirs.value.as_bytes()), (ours.key.as_ref(), ours.value.as_ref()));
        assert_eq!(theirs.raw_value, ours.raw_value);
    }
}

/// The whole path of a check, minus the socket.
static GATE: LazyLock<Gate> = LazyLock::new(|| Gate {
    wanted: keybound::edge::jwks::Wanted::default(),
    snapshot: Arc::new(ArcSwap::from(Setting::Standard.snapshot())),
    partners: Partners::alone(Memory::new(1_000, 100).shared()),
    clock: keybound::edge::clock::now,
    upstream: Upstream::default(),
    deadline: Duration::from_secs(60),
    allow_sample_percent: 0,
    metrics: Arc::new(Metrics::new().unwrap()),
});

fn check(message: Result<Bytes, Denial>, arrived: Instant) -> keybound::edge::reply::CheckResponse {
    GATE.check("edge", message, arrived).now_or_never().expect("nobody is asked")
}

#[test]
fn an_answer_that_comes_late_is_a_denial() {
    let public = {
        let http = envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest {
            method: "GET".to_owned(),
            host: host::ITEMS.to_owned(),
            path: "/health".to_owned(),
            ..Default::default()
        };
        crate::requests::message(http).encode_to_vec()
    };
    let code = |arrived: Instant| {
        let answer = check(Ok(public.clone().into()), arrived);
        metadata(&CheckResponse::decode(answer.encoded()).unwrap(), "code").unwrap()
    };
    let now = Instant::now();
    assert_eq!(code(now), "public");
    let long_ago = now.checked_sub(Duration::from_secs(61)).expect("the clock of this machine runs for a minute");
    assert_eq!(code(long_ago), "fault_deadline");
}

#[test]
fn a_message_that_could_not_be_read_is_answered_with_its_denial() {
    for denial in [Denial::RequestLimitExceeded, Denial::RequestMalformed, Denial::FaultOverloaded] {
        let answer = check(Err(denial), Instant::now());
        let answer = CheckResponse::decode(answer.encoded()).unwrap();
        assert_eq!(denied(&answer).status.as_ref().unwrap().code, i32::from(denial.row().status));
        assert_eq!(metadata(&answer, "code").unwrap(), denial.slug());
    }
}

#[test]
fn the_requests_of_these_tests_have_every_kind_of_verdict() {
    let verdicts =
        [first(&known()), first(&bare(host::LENIENT)), first(&bare(host::ITEMS).path("/health")), second(&known())];
    assert!(matches!(verdicts[0].verdict, Verdict::Allowed { .. }));
    assert!(matches!(verdicts[1].verdict, Verdict::Observed { .. }));
    assert!(matches!(verdicts[2].verdict, Verdict::Public));
    assert!(matches!(verdicts[3].verdict, Verdict::Denied(_)));
}
