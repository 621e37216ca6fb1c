//! Which element counts, who may have written it, and which names in it are evidence.

use super::{NAME, good_header, hash, malformed, with};
use crate::certificate_binding::good_behind_gateway;
use crate::expect::{allow, bearer_binding, policy};
use crate::row::{Envoy, Row, row};
use crate::support::inventory::host;
use crate::support::pki::{GATEWAY, WAYPOINT};
use crate::support::setting::OURSELVES;
use crate::support::{Good, Setting, good, good_mtls, good_mtls_at, good_mtls_by_header, pki};

pub fn rows() -> Vec<Row> {
    [xf_06(), xf_06_hops(), xf_06_three(), xf_06_by(), xf_07(), xf_11(), xf_12(), xf_12_chain()].concat()
}

fn xf_06() -> Vec<Row> {
    let (client, other) = (hash(), format!("Hash={}", pki().other.hash()));
    let mismatch = || bearer_binding("certificate_mismatch");
    vec![
        with("XF-06", "the last element counts", format!("{other},{client}"), allow()),
        with("XF-06", "the first does not", format!("{client},{other}"), mismatch()),
        with("XF-06", "nor one in the middle", format!("{other},{client},{other}"), mismatch()),
        with(
            "XF-06",
            "a comma in quotes does not make an element",
            format!("{other},Subject=\"{other},\";{client}"),
            allow(),
        ),
    ]
}

fn xf_06_hops() -> Vec<Row> {
    let gateway = pki().gateway.hash();
    let (client, other) = (hash(), format!("Hash={}", pki().other.hash()));
    let two = |first: &str, second: &str| {
        good_behind_gateway(Setting::XfccBehindGateway, NAME, format!("{},Hash={gateway};URI={GATEWAY}", hash()))
            .header(NAME, format!("{first},{second}"))
    };
    let hop = |identity: &str| format!("Hash={gateway};URI={identity}");
    let untrusted = || bearer_binding("certificate_untrusted");
    vec![
        row("XF-06", "with two hops the last element but one counts", two(&client, &hop(GATEWAY)), allow()),
        row("XF-06", "what stands further left does not", two(&format!("{other},{client}"), &hop(GATEWAY)), allow()),
        row(
            "XF-06",
            "another certificate there is another one",
            two(&other, &hop(GATEWAY)),
            bearer_binding("certificate_mismatch"),
        ),
        row("XF-06", "with one element there are too few", two(&client, "x").header(NAME, &client), malformed()),
        row(
            "XF-06",
            "a last element by a hop that is not listed is refused",
            two(&client, &hop("spiffe://example.org/other")),
            untrusted(),
        ),
        row(
            "XF-06",
            "a last element without an identity is refused",
            two(&client, &format!("Hash={gateway}")),
            untrusted(),
        ),
        row("XF-06", "a last element with an empty identity is refused", two(&client, &hop("")), untrusted()),
        row(
            "XF-06",
            "an identity that begins like the listed one is not listed",
            two(&client, &hop(&format!("{GATEWAY}2"))),
            untrusted(),
        ),
        row("XF-06", "the case of an identity counts", two(&client, &hop(&GATEWAY.to_uppercase())), untrusted()),
    ]
}

fn xf_06_three() -> Vec<Row> {
    let gateway = pki().gateway.hash();
    let hops =
        move |first: &str, second: &str| format!("{},Hash={gateway};URI={first},Hash={gateway};URI={second}", hash());
    let three = |value: String| {
        let good = good_behind_gateway(Setting::XfccBehindTwo, NAME, hops(GATEWAY, WAYPOINT));
        good.header(NAME, value)
    };
    let untrusted = || bearer_binding("certificate_untrusted");
    let other = "spiffe://example.org/other";
    vec![
        row("XF-06", "with three hops both further ones are listed", three(hops(GATEWAY, WAYPOINT)), allow()),
        row("XF-06", "if the nearer one is not, the header is refused", three(hops(GATEWAY, other)), untrusted()),
        row("XF-06", "if the farther one is not, too", three(hops(other, WAYPOINT)), untrusted()),
    ]
}

fn xf_06_by() -> Vec<Row> {
    let hash = hash();
    let by = |pairs: &str| {
        let good = good_mtls_by_header(Setting::XfccWithBy, NAME, format!("By={OURSELVES};{hash}"));
        good.header(NAME, format!("{pairs}{hash}"))
    };
    let untrusted = || bearer_binding("certificate_untrusted");
    vec![
        row(
            "XF-06",
            "where By must name us, an element that does is allowed",
            by(&format!("By={OURSELVES};")),
            allow(),
        ),
        row("XF-06", "and one that names us among others", by(&format!("By=x;By={OURSELVES};")), allow()),
        row("XF-06", "an element that names another is refused", by("By=spiffe://example.org/other;"), untrusted()),
        row("XF-06", "an element that names nobody is refused", by(""), untrusted()),
        row(
            "XF-06",
            "an earlier element that names us does not help",
            by(&format!("By={OURSELVES};{hash},")),
            untrusted(),
        ),
    ]
}

fn xf_07() -> Vec<Row> {
    let forged = |good: Good| good.header(NAME, hash());
    vec![
        row(
            "XF-07",
            "where it is not the configured source, the header is ignored",
            forged(good_mtls().without_certificate()),
            bearer_binding("certificate_missing"),
        ),
        row("XF-07", "and what cannot be read in it does no harm", good().header(NAME, "\""), allow()),
        row(
            "XF-07",
            "where it is, the certificate of the connection is ignored",
            good_header().header(NAME, format!("Hash={}", pki().other.hash())).certificate(&pki().client),
            bearer_binding("certificate_mismatch"),
        ),
        row(
            "XF-07",
            "and the header's absence means no certificate",
            good_header().without(NAME).certificate(&pki().client),
            bearer_binding("certificate_missing"),
        ),
    ]
}

fn xf_11() -> Vec<Row> {
    let (client, other) = (hash(), format!("Hash={}", pki().other.hash()));
    let two =
        |first: &str, second: &str| good_header().header(NAME, first).and_header("X-Forwarded-Client-Cert", second);
    vec![
        row("XF-11", "two fields are one list: the last element counts", two(&other, &client), allow()),
        row("XF-11", "and not the first", two(&client, &other), bearer_binding("certificate_mismatch")),
        // Envoy joins fields of this name, and leaves empty ones out.
        row("XF-11", "a second field that is empty is refused", two(&client, ""), malformed())
            .envoy(Envoy::Becomes(allow())),
        row(
            "XF-11",
            "a name with underscores is another header",
            good_header().without(NAME).header("x_forwarded_client_cert", &client),
            bearer_binding("certificate_missing"),
        )
        .envoy(Envoy::Stops(400)),
        row(
            "XF-11",
            "and does not count beside the real one",
            good_header().and_header("x_forwarded_client_cert", &other),
            allow(),
        )
        .envoy(Envoy::Stops(400)),
    ]
}

fn xf_12() -> Vec<Row> {
    let hash = hash();
    let workload = |pairs: String| {
        let leaf = &pki().client;
        let good = good_mtls_at(host::WORKLOAD).without_certificate().with_base(move |good| {
            good.header(NAME, format!("Cert=\"{}\"", leaf.encoded())).moved_under(Setting::XfccVerifiedByEnvoy)
        });
        good.header(NAME, pairs)
    };
    let identity = pki().client.identity;
    let forbidden = || policy("policy_forbidden");
    vec![
        with(
            "XF-12",
            "a Subject in the form of RFC 2253 is not looked at",
            format!("{hash};Subject=\"CN=client,O=Example\""),
            allow(),
        ),
        with(
            "XF-12",
            "a Subject in the old form is not looked at",
            format!("{hash};Subject=\"/C=US/CN=client\""),
            allow(),
        ),
        row("XF-12", "names come from Cert", workload(format!("Cert=\"{}\"", pki().client.encoded())), allow()),
        row(
            "XF-12",
            "and not from URI, DNS or Subject beside Hash",
            workload(format!("{hash};URI={identity};Subject=\"CN={identity}\"")),
            forbidden(),
        ),
    ]
}

fn xf_12_chain() -> Vec<Row> {
    let leaf = &pki().client;
    let whole = || format!("Cert=\"{}\";Chain=\"{}\"", leaf.encoded(), leaf.encoded_chain());
    let verified =
        |value: String| good_mtls_by_header(Setting::XfccVerifiedByKeybound, NAME, whole()).header(NAME, value);
    let untrusted = || bearer_binding("certificate_untrusted");
    let rogue = &pki().rogue;
    vec![
        row(
            "XF-12",
            "where our own trust bundle vouches, Cert and Chain that lead to its root are allowed",
            verified(whole()),
            allow(),
        ),
        row(
            "XF-12",
            "without the intermediate they do not lead there",
            verified(format!("Cert=\"{}\"", leaf.encoded())),
            untrusted(),
        ),
        row("XF-12", "a hash leads nowhere", verified(hash()), untrusted()),
        row(
            "XF-12",
            "a rogue certificate with its own root does not lead there",
            verified(format!("Cert=\"{}\";Chain=\"{}\"", rogue.encoded(), rogue.encoded_chain())),
            untrusted(),
        ),
        row(
            "XF-12",
            "a Chain whose last block does not end is refused",
            verified(format!(
                "{}%0A-----BEGIN%20CERTIFICATE-----%0AAAAA\"",
                whole().trim_end_matches(['"', '%', '0', 'A'])
            )),
            malformed(),
        ),
        row(
            "XF-12",
            "a Chain that cannot be read is refused",
            verified(format!("Cert=\"{}\";Chain=\"x\"", leaf.encoded())),
            malformed(),
        ),
    ]
}
