#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::super::fixtures::Forgetful;
use super::super::fixtures::{
    client, encoded, envoy_peer_certificate, envoy_xfcc, envoy_xfcc_unverified, hash, percent_encoded, survives,
};
use super::*;

const US: &str = "spiffe://example.test/ns/a/sa/api";
const GATEWAY: &str = "spiffe://example.test/ns/edge/sa/gateway";
const SIDECAR: &str = "spiffe://example.test/ns/a/sa/sidecar";

type Answer = Result<Option<[u8; 32]>, CertificateDenial>;
const MALFORMED: Answer = Err(CertificateDenial::Malformed);
const UNTRUSTED: Answer = Err(CertificateDenial::Untrusted);

fn last() -> XfccRules {
    XfccRules { hop: 1, trusted_hops: Vec::new(), by: None }
}

fn ask(rules: &XfccRules, fields: &[&str], principal: &str) -> Answer {
    let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
    read(rules, &fields, principal.as_bytes(), true, &Forgetful).map(|shown| shown.map(|shown| shown.thumbprint))
}

/// The thumbprint in the last element.
fn take(header: &str) -> Answer {
    ask(&last(), &[header], "")
}

/// 64 hexadecimal digits and the 32 bytes that they are.
fn h(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

#[allow(clippy::unnecessary_wraps, reason = "compared with an Answer")]
fn is(byte: u8) -> Answer {
    Ok(Some([byte; 32]))
}

#[test]
fn xf_01_elements_pairs_keys_and_values_are_split() {
    assert_eq!(take(&format!("Hash={}", h(1))), is(1));
    assert_eq!(take(&format!("By={US};Hash={};URI={SIDECAR};DNS=a.test", h(1))), is(1));
    assert_eq!(take(&format!("Hash={},Hash={}", h(1), h(2))), is(2));
}

#[test]
fn xf_01_no_header_is_no_certificate() {
    assert_eq!(ask(&last(), &[], ""), Ok(None));
}

#[test]
fn xf_01_keys_are_case_insensitive_and_values_are_not() {
    for key in ["Hash", "hash", "HASH", "hAsH"] {
        assert_eq!(take(&format!("{key}={}", h(1))), is(1));
    }
    let rules = XfccRules { by: Some(US.to_owned()), ..last() };
    assert_eq!(ask(&rules, &[&format!("BY={US};Hash={}", h(1))], ""), is(1));
    assert_eq!(ask(&rules, &[&format!("BY={};Hash={}", US.to_uppercase(), h(1))], ""), UNTRUSTED);
}

#[test]
fn xf_01_anything_else_refuses_the_whole_header() {
    let good = format!("Hash={}", h(1));
    assert_eq!(take(&good), is(1));
    for bad in [
        "",
        " ",
        ",",
        ";",
        "=",
        "Hash",
        "Hash;URI=a",
        "=x",
        "Ha sh=x",
        " URI=a",
        "URI =a",
        "U\"RI=a",
        "URI=a;",
        ";URI=a",
        "URI=a;;DNS=b",
        "URI=a=b",
        "URI=a\u{0}b",
        "URI=a\tb",
        "URI=a\u{7f}b",
    ] {
        assert_eq!(take(bad), MALFORMED, "{bad:?} alone");
        assert_eq!(take(&format!("{bad},{good}")), MALFORMED, "{bad:?} before a good element");
        assert_eq!(take(&format!("{good},{bad}")), MALFORMED, "{bad:?} after a good element");
    }
    assert_eq!(take(&format!("{good}, {good}")), MALFORMED, "Envoy writes no space");
}

#[test]
fn xf_02_a_quoted_value_may_hold_every_delimiter() {
    assert_eq!(take(&format!("Subject=\"CN=a,O=b;C=c\";Hash={}", h(1))), is(1));
    assert_eq!(take(&format!("Subject=\"\";Hash={}", h(1))), is(1));
    assert_eq!(take(&format!("Hash=\"{}\"", h(1))), is(1));
    let rules = XfccRules { by: Some("urn:a;b=\"c\"".to_owned()), ..last() };
    assert_eq!(ask(&rules, &[&format!("By=\"urn:a;b=\\\"c\\\"\";Hash={}", h(1))], ""), is(1));
}

#[test]
fn xf_02_a_quote_opens_only_at_the_start_and_closes_only_before_a_delimiter() {
    for bad in ["a\"b\"", "\"a\"b", "\"a\" ", "\"a\"\"b\"", "\"a", "a\"", "\"", "\"a\\\"", "\"a\"="] {
        assert_eq!(take(&format!("Hash={};Subject={bad}", h(1))), MALFORMED, "{bad}");
        assert_eq!(take(&format!("Subject={bad};Hash={}", h(1))), MALFORMED, "{bad}");
        assert_eq!(take(&format!("X={bad},Hash={}", h(1))), MALFORMED, "{bad}");
    }
}

#[test]
fn xf_02_an_escaped_quote_does_not_close_and_a_quote_after_an_escaped_backslash_does() {
    assert_eq!(take(&format!("Subject=\"O=\\\"Inc\\\"\";Hash={}", h(1))), is(1));
    assert_eq!(take(&format!("Subject=\"CN=a\\\\\";Hash={}", h(1))), is(1));
    // Read otherwise, the value would run on and hide the element that the proxy wrote.
    let hidden = format!("Subject=\"CN=a\\\\\",Hash={},Subject=\"CN=b\";Hash={}", h(1), h(2));
    assert_eq!(take(&hidden), is(2));
    assert_eq!(elements(&[hidden.as_bytes()]).ok().unwrap().len(), 3);
}

#[test]
fn xf_02_the_headers_that_envoy_sent_are_read() {
    let expected = thumbprint::of(&pem::certificate(envoy_peer_certificate().as_bytes()).unwrap()).unwrap();
    assert_eq!(take(envoy_xfcc()), Ok(Some(expected)));
    let shown = read(&last(), &[envoy_xfcc().as_bytes()], b"", true, &Forgetful).unwrap().unwrap();
    assert_eq!(shown.chain.len(), 2, "the leaf and the intermediate");
    assert!(take(envoy_xfcc_unverified()).unwrap().is_some());
}

#[test]
fn xf_02_the_header_that_a_client_forged_is_refused() {
    assert_eq!(take("Hash=00;Subject=\"CN=evil\""), MALFORMED);
}

#[test]
fn xf_03_by_uri_and_dns_may_repeat_and_uri_may_be_empty() {
    let repeated = format!("By={US};By=urn:us;Hash={};URI={SIDECAR};URI=urn:b;DNS=a.test;DNS=b.test", h(1));
    assert_eq!(take(&repeated), is(1));
    for own in [US, "urn:us"] {
        let rules = XfccRules { by: Some(own.to_owned()), ..last() };
        assert_eq!(ask(&rules, &[&repeated], ""), is(1));
    }
    assert_eq!(take(&format!("Hash={};URI=", h(1))), is(1));
    assert_eq!(take(&format!("Hash={}", h(1))), is(1), "no By at all");
}

#[test]
fn xf_03_an_empty_uri_is_not_an_identity() {
    let rules = XfccRules { hop: 2, trusted_hops: vec![String::new(), GATEWAY.to_owned()], by: None };
    assert_eq!(ask(&rules, &[&format!("Hash={},Hash={};URI=", h(1), h(2))], GATEWAY), UNTRUSTED);
    assert_eq!(ask(&rules, &[&format!("Hash={},Hash={};URI={GATEWAY}", h(1), h(2))], ""), UNTRUSTED);
    assert_eq!(ask(&rules, &[&format!("Hash={},Hash={};URI={GATEWAY}", h(1), h(2))], GATEWAY), is(1));
}

#[test]
fn xf_04_what_names_the_certificate_comes_once() {
    let certificate = encoded(&client());
    for (key, value) in
        [("Hash", h(1)), ("Cert", certificate.clone()), ("Chain", certificate), ("Subject", "\"CN=a\"".to_owned())]
    {
        let twice = format!("{key}={value};{}={value}", key.to_lowercase());
        assert_eq!(take(&twice), MALFORMED, "{key}");
        assert_eq!(take(&format!("{twice},Hash={}", h(1))), MALFORMED, "{key} in an element not chosen");
        assert_eq!(take(&format!("X-{key}={value};X-{key}={value};Hash={}", h(1))), is(1), "another key");
    }
}

#[test]
fn xf_05_unknown_keys_are_ignored() {
    assert_eq!(take(&format!("Foo=bar;Foo=\"b,a;r\";X-1_2=;Hash={}", h(1))), is(1));
}

#[test]
fn xf_06_the_last_element_is_the_default_and_the_first_never_is() {
    assert_eq!(take(&format!("Hash={},Hash={},Hash={}", h(1), h(2), h(3))), is(3));
}

#[test]
fn xf_06_a_hop_count_needs_every_element_to_the_right_and_the_peer_to_be_listed() {
    let rules = |hop: usize| XfccRules { hop, trusted_hops: vec![GATEWAY.to_owned(), SIDECAR.to_owned()], by: None };
    let header = format!("Hash={},Hash={};URI={GATEWAY},Hash={};URI=urn:x;URI={SIDECAR}", h(1), h(2), h(3));
    assert_eq!(ask(&rules(3), &[&header], SIDECAR), is(1));
    assert_eq!(ask(&rules(2), &[&header], SIDECAR), is(2));
    assert_eq!(ask(&rules(3), &[&header], "spiffe://example.test/ns/a/sa/evil"), UNTRUSTED, "the peer");
    let middle = header.replace(GATEWAY, "spiffe://example.test/ns/edge/sa/gateway2");
    assert_eq!(ask(&rules(3), &[&middle], SIDECAR), UNTRUSTED, "SP-04: never by prefix");
    assert_eq!(ask(&rules(2), &[&middle], SIDECAR), is(2), "the chosen element is the client, not a hop");
    let right = header.replace(&format!("URI={SIDECAR}"), "URI=urn:y");
    assert_eq!(ask(&rules(2), &[&right], SIDECAR), UNTRUSTED, "the element to the right");
    let dns = header.replace(&format!("URI={SIDECAR}"), &format!("DNS={SIDECAR}"));
    assert_eq!(ask(&rules(2), &[&dns], SIDECAR), UNTRUSTED, "a DNS name is not a URI");
    let nobody = XfccRules { hop: 2, ..last() };
    assert_eq!(ask(&nobody, &[&header], SIDECAR), UNTRUSTED, "nobody is listed");
}

#[test]
fn xf_06_too_few_elements_are_refused() {
    let rules = |hop: usize| XfccRules { hop, trusted_hops: vec![GATEWAY.to_owned()], by: None };
    let header = format!("Hash={},Hash={};URI={GATEWAY}", h(1), h(2));
    assert_eq!(ask(&rules(2), &[&header], GATEWAY), is(1));
    assert_eq!(ask(&rules(3), &[&header], GATEWAY), MALFORMED);
    assert_eq!(ask(&rules(0), &[&header], GATEWAY), MALFORMED);
}

#[test]
fn xf_06_by_must_be_our_own_identity_where_it_is_asked_for() {
    let rules = XfccRules { by: Some(US.to_owned()), ..last() };
    assert_eq!(ask(&rules, &[&format!("By={US};Hash={}", h(1))], ""), is(1));
    assert_eq!(ask(&rules, &[&format!("By={SIDECAR};Hash={}", h(1))], ""), UNTRUSTED);
    assert_eq!(ask(&rules, &[&format!("By={US}/x;Hash={}", h(1))], ""), UNTRUSTED);
    assert_eq!(ask(&rules, &[&format!("Hash={}", h(1))], ""), UNTRUSTED, "no By");
    let other = format!("By={US};Hash={},By={SIDECAR};Hash={}", h(1), h(2));
    assert_eq!(ask(&rules, &[&other], ""), UNTRUSTED, "By of another element");
}

#[test]
fn xf_07_mt_07_where_hops_are_listed_the_peer_that_forwarded_the_header_must_be_one() {
    let rules = XfccRules { trusted_hops: vec![GATEWAY.to_owned()], ..last() };
    let header = format!("Hash={}", h(1));
    assert_eq!(ask(&rules, &[&header], GATEWAY), is(1));
    assert_eq!(ask(&rules, &[&header], SIDECAR), UNTRUSTED);
    assert_eq!(ask(&rules, &[&header], ""), UNTRUSTED);
}

#[test]
fn xf_08_a_quote_left_open_by_a_client_refuses_what_the_proxy_appended() {
    let appended = envoy_xfcc();
    assert!(take(&format!("Hash={},{appended}", h(1))).unwrap().is_some(), "a balanced client element is ignored");
    for open in ["X=\"", "X=\"a", "Subject=\"CN=a", "X=\"\\", "X=\"\\\\\\", "Hash=0;X=\"\\\""] {
        assert_eq!(take(&format!("{open},{appended}")), MALFORMED, "{open}");
        let without_cert = format!("{open},By={US};Hash={};Subject=\"\";URI={SIDECAR}", h(1));
        assert_eq!(take(&without_cert), MALFORMED, "{open} before an empty subject");
        assert_eq!(ask(&last(), &[open, appended], ""), MALFORMED, "{open} in a field of its own");
    }
}

#[test]
fn xf_09_the_certificate_wins_and_a_hash_must_agree() {
    let (der, other) = (client(), client());
    let expected = Ok(Some(thumbprint::of(&der).unwrap()));
    let certificate = encoded(&der);
    assert_eq!(take(&format!("Cert=\"{certificate}\"")), expected);
    assert_eq!(take(&format!("Cert={certificate}")), expected);
    assert_eq!(take(&format!("Hash={};Cert=\"{certificate}\"", hash(&der))), expected);
    assert_eq!(take(&format!("Hash={};Cert=\"{certificate}\"", hash(&der).to_uppercase())), expected);
    assert_eq!(take(&format!("Hash={};Cert=\"{certificate}\"", hash(&other))), MALFORMED);
    assert_eq!(take(&format!("Hash=;Cert=\"{certificate}\"")), MALFORMED);
    assert_eq!(take(&format!("Hash={};Cert=\"\"", hash(&der))), MALFORMED);
}

#[test]
fn xf_09_an_element_without_hash_and_cert_shows_no_certificate() {
    assert_eq!(take(&format!("By={US};Subject=\"CN=a\";URI={SIDECAR}")), MALFORMED);
    assert_eq!(take(&format!("By={US};Hash={},By={US};URI={SIDECAR}", h(1))), MALFORMED);
}

#[test]
fn xf_10_cert_is_one_url_encoded_certificate() {
    let der = client();
    let good = encoded(&der);
    assert!(take(&format!("Cert=\"{good}\"")).is_ok());
    for (what, text) in [
        ("a bad escape", good.replacen("%20", "%2x", 1)),
        ("two blocks", good.repeat(2)),
        ("text after the block", format!("{good}x")),
        ("bytes after the certificate", encoded(&[der.as_slice(), &[0]].concat())),
        ("not a certificate", encoded(b"certificate")),
        ("a plus for a space", good.replace("%20", "+")),
    ] {
        assert_eq!(take(&format!("Cert=\"{text}\"")), MALFORMED, "{what}");
    }
    let plus = percent_encoded(&super::super::fixtures::pem(&der)).replace("%2B", "+");
    assert_eq!(take(&format!("Cert=\"{plus}\"")), Ok(Some(thumbprint::of(&der).unwrap())), "a raw plus stays");
}

#[test]
fn xf_10_a_chain_is_read_only_where_it_is_wanted() {
    let header = format!("Cert=\"{}\";Chain=\"broken\"", encoded(&client()));
    assert_eq!(take(&header), MALFORMED);
    assert!(read(&last(), &[header.as_bytes()], b"", false, &Forgetful).unwrap().unwrap().chain.is_empty());
}

#[test]
fn xf_11_several_fields_are_one_list_and_the_last_element_counts() {
    let (one, two) = (format!("Hash={},Hash={}", h(1), h(2)), format!("Hash={}", h(3)));
    assert_eq!(ask(&last(), &[&one, &two], ""), is(3));
    assert_eq!(ask(&last(), &[&two, &one], ""), is(2));
    let rules = XfccRules { hop: 3, trusted_hops: vec![GATEWAY.to_owned()], by: None };
    assert_eq!(ask(&rules, &[&one, &two], GATEWAY), UNTRUSTED, "hops are counted over all fields");
    assert_eq!(ask(&last(), &[&one, ""], ""), MALFORMED);
}

#[test]
fn xf_12_the_form_of_the_subject_does_not_matter() {
    for subject in ["CN=a,O=b", "/C=US/O=b/CN=a", "no name at all", ""] {
        assert_eq!(take(&format!("Hash={};Subject=\"{subject}\"", h(1))), is(1));
    }
}

#[test]
fn the_header_has_bounds() {
    let element = format!("Hash={}", h(1));
    let elements = |count: usize| vec![element.as_str(); count].join(",");
    assert_eq!(take(&elements(MAX_ELEMENTS)), is(1));
    assert_eq!(take(&elements(MAX_ELEMENTS.saturating_add(1))), MALFORMED);
    let pairs = |count: usize| format!("{}{element}", "DNS=a.test;".repeat(count.saturating_sub(1)));
    assert_eq!(take(&pairs(MAX_PAIRS)), is(1));
    assert_eq!(take(&pairs(MAX_PAIRS.saturating_add(1))), MALFORMED);
    let bytes = |count: usize| format!("Subject=\"{}\";{element}", "a".repeat(count));
    assert_eq!(take(&bytes(60_000)), is(1));
    assert_eq!(take(&bytes(MAX_FIELDS_BYTES)), MALFORMED);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(fields: Vec<Vec<u8>>, principal: Vec<u8>, hop: usize) {
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        let rules = XfccRules { hop, trusted_hops: vec![GATEWAY.to_owned()], by: Some(US.to_owned()) };
        survives(read(&rules, &fields, &principal, true, &Forgetful));
        survives(read(&last(), &fields, &principal, true, &Forgetful));
    }

    #[test]
    fn arbitrary_headers_never_panic(text in "((By|Hash|Cert|Chain|URI|x)?=?\"?[a,;=\\\\\"%0-9]{0,8}){0,12}") {
        survives(take(&text));
    }

    /// What a client writes, balanced or not, never changes what the appended element says: it is read, or the whole
    /// header is refused.
    #[test]
    fn a_client_cannot_choose_another_certificate(client in "[A-Za-z0-9,;=\\\\\" ]{0,40}|Hash=[0-9]{64}[,;]X=\"[\\\\]{0,3}") {
        let appended = format!("By={US};Hash={};Subject=\"CN=a\\\\\\\"b\";URI={SIDECAR}", h(7));
        let answer = take(&format!("{client},{appended}"));
        prop_assert!(answer == is(7) || answer == MALFORMED);
    }

    #[test]
    fn what_is_quoted_comes_back(text in "[ -\\[\\]-~]{0,40}") {
        // Without backslashes: one is text of its own kind (RFC 2253); here only quotes are escaped.
        let header = format!("By=\"{}\";Hash={}", text.replace('"', "\\\""), h(1));
        let rules = XfccRules { by: Some(text), ..last() };
        prop_assert_eq!(ask(&rules, &[&header], ""), is(1));
    }
}
