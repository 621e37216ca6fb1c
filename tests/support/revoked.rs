//! What is revoked in the settings that revoke something, and the request whose very token is.

use keybound::decision::certificate;
use keybound::decision::revocation::{EntryId, Mark, Target, Thumbprint};
use keybound::edge::revocations::list::{RevocationList, Source};
use serde_json::json;

use super::issuers::{KID_ED25519, KID_RSA, LEGACY, SECOND, SERVER};
use super::request::{Good, good_bearer};
use super::{NOW, from_base64url, keys, pki};

/// Subjects whose tokens are refused if they were issued up to these times.
pub const LEFT_SERVER: &str = "left";
pub const LEFT_AT: i64 = NOW - 100;

/// An opaque token.
pub const OPAQUE: &str = "revoked-opaque-token";

/// A request whose token always has the same text.
pub fn good_same() -> Good {
    good_bearer().token(|token| {
        token.signed_by(&keys().server_ed25519, "EdDSA");
        token.header["alg"] = json!("EdDSA");
        token.header["kid"] = json!(KID_ED25519);
        token.claims["jti"] = json!("always the same");
    })
}

fn sha256(text: &str) -> Thumbprint {
    Thumbprint(from_base64url(text).try_into().expect("32 bytes"))
}

/// A request whose token has another signature each time, and always says the same.
pub fn good_signed_again() -> Good {
    good_bearer().token(|token| token.claims["jti"] = json!("signed again and again"))
}

/// A list with something of every kind.
pub fn revoked() -> RevocationList {
    let (server, text) = (|| SERVER.to_owned(), |text: &str| text.to_owned());
    let hash = super::sha256(good_same().access_token());
    let again = good_signed_again().access_token();
    let (signed, _) = again.rsplit_once('.').expect("a JWT");
    let signed = sha256(&super::sha256(signed));
    let renewed = certificate::names_of(&pki().renewed.der).expect("names");
    let targets = [
        Target::Token { issuer: server(), jti: text("revoked") },
        Target::TokenHash { issuer: server(), sha256: sha256(&hash) },
        Target::TokenHash { issuer: server(), sha256: sha256(&super::sha256(OPAQUE)) },
        Target::TokenHash { issuer: server(), sha256: signed },
        Target::Subject { issuer: server(), sub: text("revoked") },
        Target::Client { issuer: server(), client_id: text("revoked") },
        Target::Session { issuer: server(), sid: text("revoked") },
        Target::Key { issuer: server(), kid: text(KID_RSA) },
        Target::Key { issuer: text(SECOND), kid: text(KID_ED25519) },
        Target::Issuer { issuer: text(LEGACY) },
        Target::ProofKey { jkt: sha256(&keys().client_ed25519.thumbprint()) },
        Target::Certificate { thumbprint: sha256(&pki().other.thumbprint()) },
        Target::CertificateSerial { issuer: renewed.issuer, serial: renewed.serial },
    ];
    let list = RevocationList::new([]);
    for (target, entry) in targets.iter().zip(1..) {
        list.insert(target, Mark { entry: EntryId([entry; 16]), not_issued_after: i64::MAX, until: i64::MAX });
    }
    let ended = Target::Token { issuer: server(), jti: text("revoked until now") };
    list.insert(&ended, Mark { entry: EntryId([30; 16]), not_issued_after: i64::MAX, until: NOW });
    let left = |issuer: &str| Target::Subject { issuer: text(issuer), sub: text(LEFT_SERVER) };
    for (issuer, entry) in [(SERVER, 31), (SECOND, 32)] {
        let mark = Mark { entry: EntryId([entry; 16]), not_issued_after: LEFT_AT, until: i64::MAX };
        list.insert(&left(issuer), mark);
    }
    list
}

/// A list of which one source has been silent since this time.
pub fn stale(since: i64) -> RevocationList {
    let (silent, good) = (Source::silent(), Source::silent());
    silent.good_until(since);
    good.good_until(i64::MAX);
    let list = RevocationList::new([good, silent]);
    let mark = Mark { entry: EntryId([1; 16]), not_issued_after: i64::MAX, until: i64::MAX };
    list.insert(&Target::Subject { issuer: SERVER.to_owned(), sub: "revoked".to_owned() }, mark);
    list
}
