//! Failures that other projects of this field have published, each as the request that went wrong there.

mod certificates;
mod proofs;
mod requests;
mod tokens;

use crate::family::Family;
use crate::row::Row;

/// Section 4. A clause is named after the failure.
pub const FAMILY: Family = Family {
    prefix: "Failures",
    title: "seen in this field",
    ids: &[
        "cve-2026-54431-private-key-in-proof-jwk",
        "cve-2017-15361-weak-rsa-key-in-proof",
        "cve-2018-0114-key-of-the-attacker-in-the-header",
        "cve-2022-21449-signature-of-zeros",
        "cve-2024-48948-signature-in-another-encoding",
        "auth0-dpop-1.9-path-in-host",
        "heimdall-exact-string-target",
        "heimdall-get-then-set-jti",
        "better-auth-replay-key-of-raw-target",
        "keycloak-38333-proof-for-another-token-or-key",
        "keycloak-50963-token-that-lost-its-binding",
        "zeroid-272-binding-surfaced-not-enforced",
        "ezpds-empty-cnf-is-bearer",
        "ezpds-iat-underflow",
        "cve-2023-35944-mixed-case-scheme",
        "cve-2021-32777-last-of-repeated-headers",
        "cve-2026-25537-dates-as-strings",
        "jsonwebtoken-10.4-okp-thumbprint",
        "cve-2026-32597-unknown-crit",
        "cve-2026-34950-public-key-as-secret",
        "cve-2026-22817-header-decides-for-key-without-alg",
        "cve-2026-29000-plain-jwt-in-jwe",
        "cve-2025-59936-issuer-judged-after-key",
        "cve-2022-23540-alg-none-in-any-case",
        "cve-2024-21643-jku-is-fetched",
        "cve-2022-39227-compact-and-json-at-once",
        "cve-2020-26160-empty-audience",
        "cve-2024-53861-issuer-substring",
        "cve-2025-30144-issuer-array",
        "cve-2025-30204-many-dots",
        "ghsa-4gph-2hhr-5mwg-member-names-without-case",
        "ghsa-869p-cjfg-cm3x-secret-named-by-the-token",
        "cve-2021-21378-bad-token-is-no-token",
        "cve-2026-26308-headers-joined",
        "cve-2023-27488-header-that-is-no-utf8",
        "cve-2023-27487-x-envoy-original-path",
        "cve-2021-32779-fragment-in-path",
        "cve-2019-9900-nul-in-header",
        "cve-2026-26205-two-slashes-read-as-authority",
        "cve-2026-33186-path-without-slash",
        "cve-2021-31920-many-spellings-of-a-path",
        "envoy-43630-unverified-claims-look-verified",
        "cve-2024-45410-identity-header-named-in-connection",
        "cve-2026-33433-underscore-alias",
        "authorino-first-xfcc-element",
        "cve-2023-2422-another-clients-certificate",
        "cve-2024-10039-certificate-header-from-anyone",
    ],
    rows,
    throughout: &[],
    left_out: &[
        ("spring-18120-memory-per-node", "a memory that replicas share does not exist yet; README says so"),
        ("cve-2026-48524-fetch-for-every-unknown-kid", "the end-to-end suite counts fetches"),
        ("cve-2026-31837-default-key", "the end-to-end suite starts without the issuer; there is no key in the binary"),
        ("cve-2022-21656-mail-name-matched-as-dns", "the unit tests of `certificate/names` keep the kinds apart"),
        ("envoy-route-cache-cleared-after-the-check", "`deploy/envoy/envoy.yaml` leaves it off"),
    ],
};

fn rows() -> Vec<Row> {
    [proofs::rows(), tokens::rows(), requests::rows(), certificates::rows()].concat()
}
