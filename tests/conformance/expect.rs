//! What is expected: the code, the status, and the exact `WWW-Authenticate` fields, written out and not computed.

use std::fmt;

use crate::support::Outcome;

/// An expected outcome.
#[derive(Clone)]
pub struct Expect {
    code: &'static str,
    status: u16,
    challenge: &'static [&'static str],
    nonce: bool,
}

impl Expect {
    const fn new(code: &'static str, status: u16, challenge: &'static [&'static str]) -> Self {
        Self { code, status, challenge, nonce: false }
    }

    /// A `DPoP-Nonce` comes with it.
    pub const fn with_nonce(mut self) -> Self {
        self.nonce = true;
        self
    }

    /// Other challenges than usual for the code.
    pub const fn challenged(mut self, challenge: &'static [&'static str]) -> Self {
        self.challenge = challenge;
        self
    }

    /// Whether the request goes on to the API.
    pub fn allows(&self) -> bool {
        self.status == 200
    }

    /// Whether this is what happened.
    pub fn is(&self, outcome: &Outcome) -> bool {
        self.code == outcome.code
            && self.status == outcome.status
            && self.challenge == outcome.challenge
            && outcome.nonce.len() == usize::from(self.nonce)
    }

    /// All of it, for a failure.
    pub fn in_full(&self) -> String {
        full(self.code, self.status, self.challenge, usize::from(self.nonce))
    }

    /// The `error` of the challenge.
    pub fn error(&self) -> Option<&'static str> {
        let (_, rest) = self.challenge.iter().find_map(|field| field.split_once("error=\""))?;
        rest.split_once('"').map(|(error, _)| error)
    }
}

/// All of an outcome, for a failure; nothing of a credential is in it.
pub fn outcome_in_full(outcome: &Outcome) -> String {
    full(outcome.code, outcome.status, &outcome.challenge, outcome.nonce.len())
}

fn full(code: &str, status: u16, challenge: &[impl AsRef<str>], nonces: usize) -> String {
    let challenge: Vec<_> = challenge.iter().map(AsRef::as_ref).collect();
    format!("{status} {code} [{}] with {nonces} nonce(s)", challenge.join(" | "))
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            200 => f.write_str(self.code),
            status => write!(f, "{status} {}", self.code),
        }?;
        if self.nonce { f.write_str(" + nonce") } else { Ok(()) }
    }
}

macro_rules! algorithms {
    () => {
        "algs=\"ES256 PS256 EdDSA Ed25519\""
    };
}
macro_rules! error {
    ($error:literal, $description:literal) => {
        concat!("error=\"", $error, "\", error_description=\"", $description, "\"")
    };
}
macro_rules! token_text {
    () => {
        error!("invalid_token", "The access token is not valid here")
    };
}
macro_rules! binding_text {
    ($error:literal) => {
        error!($error, "The sender did not prove possession of the key of the access token")
    };
}
macro_rules! repeated_text {
    () => {
        error!("invalid_request", "Multiple methods used to include access token")
    };
}
macro_rules! malformed_text {
    () => {
        error!("invalid_request", "The credential is missing or malformed")
    };
}

/// The scheme Bearer, offered.
pub const BEARER: &str = "Bearer";
/// The scheme DPoP, offered.
pub const DPOP: &str = concat!("DPoP ", algorithms!());

const BEARER_TOKEN: &str = concat!("Bearer ", token_text!());
const DPOP_TOKEN: &str = concat!("DPoP ", algorithms!(), ", ", token_text!());
const BEARER_BINDING: &str = concat!("Bearer ", binding_text!("invalid_token"));
const DPOP_BINDING: &str = concat!("DPoP ", algorithms!(), ", ", binding_text!("invalid_token"));
const DPOP_MISSING: &str = concat!("DPoP ", algorithms!(), ", ", binding_text!("invalid_request"));
const DPOP_PROOF: &str = concat!("DPoP ", algorithms!(), ", ", binding_text!("invalid_dpop_proof"));
const DPOP_NONCE: &str =
    concat!("DPoP ", algorithms!(), ", ", error!("use_dpop_nonce", "Resource server requires nonce in DPoP proof"));
const BEARER_REPEATED: &str = concat!("Bearer ", repeated_text!());
const DPOP_REPEATED: &str = concat!("DPoP ", algorithms!(), ", ", repeated_text!());
const BEARER_MALFORMED: &str = concat!("Bearer ", malformed_text!());
const DPOP_MALFORMED: &str = concat!("DPoP ", algorithms!(), ", ", malformed_text!());

/// To an API that takes DPoP alone.
pub const DPOP_ALONE_TOKEN: &[&str] = &[DPOP_TOKEN];
pub const DPOP_ALONE_BINDING: &[&str] = &[DPOP_BINDING];
pub const DPOP_ALONE: &[&str] = &[DPOP];
/// To an API that takes certificates alone.
pub const BEARER_ALONE_BINDING: &[&str] = &[BEARER_BINDING];

/// The request goes on.
pub const fn allow() -> Expect {
    Expect::new("allowed", 200, &[])
}

/// The request goes on without a credential.
pub const fn public() -> Expect {
    Expect::new("public", 200, &[])
}

/// The request goes on, though it would be refused in enforce mode.
pub const fn observed() -> Expect {
    Expect::new("observed", 200, &[])
}

/// The request itself is refused.
pub const fn request(code: &'static str) -> Expect {
    Expect::new(code, 400, &[])
}

/// Nothing of the inventory is meant.
pub const fn route(code: &'static str) -> Expect {
    Expect::new(code, 403, &[])
}

/// No credential was read: the schemes are listed without an error.
pub const fn no_credential(code: &'static str) -> Expect {
    Expect::new(code, 401, &[BEARER, DPOP])
}

/// Two access tokens.
pub const fn repeated() -> Expect {
    Expect::new("credential_repeated", 400, &[BEARER_REPEATED, DPOP_REPEATED])
}

/// Not a scheme and one token.
pub const fn malformed() -> Expect {
    Expect::new("credential_malformed", 400, &[BEARER_MALFORMED, DPOP_MALFORMED])
}

/// The access token, with the scheme DPoP.
pub const fn token(code: &'static str) -> Expect {
    Expect::new(code, 401, &[BEARER, DPOP_TOKEN])
}

/// The access token, with the scheme Bearer.
pub const fn bearer_token(code: &'static str) -> Expect {
    Expect::new(code, 401, &[BEARER_TOKEN, DPOP])
}

/// The token's binding, with the scheme DPoP.
pub const fn binding(code: &'static str) -> Expect {
    Expect::new(code, 401, &[BEARER, DPOP_BINDING])
}

/// The token's binding, with the scheme Bearer.
pub const fn bearer_binding(code: &'static str) -> Expect {
    Expect::new(code, 401, &[BEARER_BINDING, DPOP])
}

/// No proof beside the scheme DPoP.
pub const fn proof_missing() -> Expect {
    Expect::new("proof_missing", 400, &[BEARER, DPOP_MISSING])
}

/// The proof.
pub const fn proof(code: &'static str) -> Expect {
    Expect::new(code, 401, &[BEARER, DPOP_PROOF])
}

/// No nonce that is still good; a new one comes with it.
pub const fn nonce_required() -> Expect {
    Expect::new("proof_nonce_required", 401, &[BEARER, DPOP_NONCE]).with_nonce()
}

/// The client.
pub const fn client(code: &'static str) -> Expect {
    Expect::new(code, 403, &[])
}

/// Policy.
pub const fn policy(code: &'static str) -> Expect {
    Expect::new(code, 403, &[])
}

/// More than the client's share.
pub const fn too_many(code: &'static str) -> Expect {
    Expect::new(code, 429, &[])
}

/// Our own trouble.
pub const fn fault(code: &'static str) -> Expect {
    Expect::new(code, 503, &[])
}
