//! The section `introspection` of an API: each refusal is one change from the good bundle, and has an allowed twin.

use super::{row, take};
use crate::decision::route::Introspects;

const A: &str = "apis.yaml";
/// Of the API with one issuer, and of the one with two.
const ONE: &str = "proof: required";
const TWO: &str = "proof: dpop";

fn of_one(section: &str) -> String {
    format!("{ONE}\n    introspection: {section}")
}

fn of_two(section: &str) -> String {
    format!("{TWO}\n    introspection: {section}")
}

#[test]
fn an_issuer_that_is_asked_is_one_of_the_apis_and_can_be_asked() {
    let good = of_one("{ issuer: https://as.test }");
    let stranger = of_one("{ issuer: ^https://other.test }");
    row(A, ONE, &stranger, "none of this API's", "write one of: https://as.test", &good);
    let mute = of_two("{ issuer: ^https://other.test }");
    let twin = of_two("{ issuer: https://as.test }");
    row(A, TWO, &mute, "cannot be asked about tokens", "keybound.yaml", &twin);
}

#[test]
fn jwts_are_asked_about_only_where_all_are_of_that_issuer() {
    let all = of_two("{ issuer: https://as.test, tokens: ^all }");
    let opaque = of_two("{ issuer: https://as.test, tokens: opaque }");
    row(A, TWO, &all, "JWTs of the API's other issuers", "leave one issuer", &opaque);
    let odd = of_one("{ issuer: https://as.test, tokens: ^jwt }");
    row(A, ONE, &odd, "not a value", "opaque, all", &of_one("{ issuer: https://as.test, tokens: all }"));
}

#[test]
fn what_is_written_is_what_is_asked() {
    let of = |change: &str| take(A, ONE, change).inventory.apis()[0].introspection.clone();
    let asks = |jwts_too: bool| Some(Introspects { issuer: "https://as.test".to_owned(), jwts_too });
    assert_eq!(of(ONE), None);
    assert_eq!(of(&of_one("{ issuer: https://as.test }")), asks(false));
    assert_eq!(of(&of_one("{ issuer: https://as.test, tokens: opaque }")), asks(false));
    assert_eq!(of(&of_one("{ issuer: https://as.test, tokens: all }")), asks(true));
}
