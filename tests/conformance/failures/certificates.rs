//! Client certificates: of somebody else, or from somebody who may not say.

use crate::certificate_binding::good_behind_gateway;
use crate::expect::{allow, bearer_binding, no_credential};
use crate::row::{Envoy, Row, row};
use crate::support::pki::GATEWAY;
use crate::support::{Setting, good, good_mtls, good_mtls_by_header, pki};

pub fn rows() -> Vec<Row> {
    [underscores(), first_element(), another(), anyone()].concat()
}

const XFCC: &str = "x-forwarded-client-cert";

fn underscores() -> Vec<Row> {
    const ID: &str = "cve-2026-33433-underscore-alias";
    let hash = format!("Hash={}", pki().client.hash());
    let by_alias = good_mtls_by_header(Setting::Xfcc, XFCC, hash.clone()).without(XFCC);
    let user = good().without("authorization").without("dpop").header("x_auth_user", "admin");
    vec![
        row(ID, "the header itself is allowed", good_mtls_by_header(Setting::Xfcc, XFCC, hash.clone()), allow()),
        row(
            ID,
            "its name with underscores is another header",
            by_alias.header("x_forwarded_client_cert", hash),
            bearer_binding("certificate_missing"),
        )
        .envoy(Envoy::Stops(400)),
        row(ID, "and so is that of an identity", user, no_credential("credential_missing")).envoy(Envoy::Stops(400)),
    ]
}

fn first_element() -> Vec<Row> {
    const ID: &str = "authorino-first-xfcc-element";
    let (client, other) = (format!("Hash={}", pki().client.hash()), format!("Hash={}", pki().other.hash()));
    let with = |value: String| {
        good_mtls_by_header(Setting::Xfcc, XFCC, format!("Hash={}", pki().client.hash())).header(XFCC, value)
    };
    vec![
        row(ID, "the element of the last proxy counts", with(format!("{other},{client}")), allow()),
        row(
            ID,
            "and not what a client wrote before it",
            with(format!("{client},{other}")),
            bearer_binding("certificate_mismatch"),
        ),
        row(
            ID,
            "nor does a quote with an escape in it swallow the proxy's",
            with(format!("{client};Subject=\"\\\",{other}")),
            bearer_binding("certificate_malformed"),
        ),
    ]
}

fn another() -> Vec<Row> {
    const ID: &str = "cve-2023-2422-another-clients-certificate";
    vec![
        row(ID, "the client's own is allowed", good_mtls(), allow()),
        row(
            ID,
            "that of another client of the same authority is refused",
            good_mtls().certificate(&pki().other),
            bearer_binding("certificate_mismatch"),
        ),
        row(
            ID,
            "and one of the same names and key",
            good_mtls().certificate(&pki().renewed),
            bearer_binding("certificate_mismatch"),
        ),
    ]
}

fn anyone() -> Vec<Row> {
    const ID: &str = "cve-2024-10039-certificate-header-from-anyone";
    let forwarded =
        || good_behind_gateway(Setting::ClientCertBehindGateway, "client-cert", pki().client.byte_sequence());
    vec![
        row(ID, "the listed hop may say which certificate it saw", forwarded().peer(GATEWAY), allow()),
        row(ID, "nobody else may", forwarded().peer(""), bearer_binding("certificate_untrusted")),
        row(
            ID,
            "and where certificates come from the connection, nobody at all",
            good_mtls().without_certificate().header("client-cert", pki().client.byte_sequence()),
            bearer_binding("certificate_missing"),
        ),
    ]
}
