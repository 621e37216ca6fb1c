//! What is counted over: an estate with 1,000 policies, and messages to it. Written before valgrind is there, which would take
//! its time over keys and signatures; read by each of its runs.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use prost::Message as _;

use crate::world::{self, Algorithm, Client, Estate};

const POLICIES: usize = 1_000;
/// Checks that are counted together: signatures, keys of hash tables and identifiers are random, and their mean is steadier.
pub const CHECKS: usize = 16;

/// Where all of it is.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("instructions")
}

/// A check to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// A token bound to a certificate, which was seen before.
    BoundSeen,
    /// A token that was seen before, with a new proof.
    DpopEs256,
    /// The same with Ed25519.
    DpopEdDsa,
    /// A token signed with RSA, never seen before.
    NeverSeenRs256,
    /// A credential that is no JWS.
    Garbage,
}

/// A signature, the bytes below it, and who made it: what a check of this case verifies.
pub struct Signed {
    pub key: Vec<u8>,
    pub input: Vec<u8>,
    pub signature: Vec<u8>,
}

impl Case {
    pub const ALL: [Self; 5] = [Self::BoundSeen, Self::DpopEs256, Self::DpopEdDsa, Self::NeverSeenRs256, Self::Garbage];

    pub const fn name(self) -> &'static str {
        match self {
            Self::BoundSeen => "bound_seen",
            Self::DpopEs256 => "dpop_es256",
            Self::DpopEdDsa => "dpop_eddsa",
            Self::NeverSeenRs256 => "never_seen_rs256",
            Self::Garbage => "garbage",
        }
    }

    /// What verifies the signature that each such check has to verify.
    pub const fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::BoundSeen | Self::Garbage => None,
            Self::DpopEs256 => Some(Algorithm::Es256),
            Self::DpopEdDsa => Some(Algorithm::EdDsa),
            Self::NeverSeenRs256 => Some(Algorithm::Rs256),
        }
    }

    /// The code that the decision must have.
    pub const fn code(self) -> &'static str {
        if matches!(self, Self::Garbage) { "token_malformed" } else { "allowed" }
    }

    fn client(self) -> Client {
        match self {
            Self::DpopEs256 => Client::DpopEs256,
            Self::DpopEdDsa => Client::DpopEdDsa,
            Self::BoundSeen | Self::NeverSeenRs256 | Self::Garbage => Client::Certificate,
        }
    }

    fn file(self, what: &str, number: usize) -> PathBuf {
        directory().join(format!("{}.{what}.{number}", self.name()))
    }

    fn read(self, what: &str) -> Vec<Vec<u8>> {
        (0..CHECKS).map(|number| std::fs::read(self.file(what, number)).expect("what was prepared")).collect()
    }

    /// The messages that are counted.
    pub fn messages(self) -> Vec<Vec<u8>> {
        self.read("message")
    }

    /// Those that come before them: of the same client, and with the same tokens unless those are to be new. Each token comes twice:
    /// the second time it is remembered what policies are told of it.
    pub fn before(self) -> Vec<Vec<u8>> {
        [self.read("before"), self.read("again")].concat()
    }

    /// What they have to verify.
    pub fn signed(self) -> Vec<Signed> {
        let signed = self.read("key").into_iter().zip(self.read("input")).zip(self.read("signature"));
        signed.map(|((key, input), signature)| Signed { key, input, signature }).collect()
    }

    fn write(self, number: usize) {
        let algorithm = if self == Self::NeverSeenRs256 { Algorithm::Rs256 } else { Algorithm::Es256 };
        let token = world::token(self.client(), algorithm);
        let of = |token: &str| match self {
            Self::BoundSeen | Self::NeverSeenRs256 => world::bound(token),
            Self::DpopEs256 | Self::DpopEdDsa => world::dpop(self.client(), token),
            Self::Garbage => world::garbage(),
        };
        let message = of(&token);
        let earlier = if self == Self::NeverSeenRs256 { world::token(self.client(), algorithm) } else { token };
        let put = |what: &str, bytes: &[u8]| std::fs::write(self.file(what, number), bytes).expect("a written file");
        put("before", &of(&earlier));
        put("again", &of(&earlier));
        put("message", &message);
        if let Some(algorithm) = self.algorithm() {
            let jws = match self {
                Self::NeverSeenRs256 => header(&message, "authorization").split_off("Bearer ".len()),
                _ => header(&message, "dpop"),
            };
            let (input, signature) = jws.rsplit_once('.').expect("a signature");
            let key = match self {
                Self::NeverSeenRs256 => world::party().issuer_key(algorithm),
                _ => self.client().key(),
            };
            put("key", &key.spki());
            put("input", input.as_bytes());
            put("signature", &URL_SAFE_NO_PAD.decode(signature).expect("base64url"));
        }
    }
}

fn header(message: &[u8], name: &str) -> String {
    let request = CheckRequest::decode(message).expect("a CheckRequest");
    let http = request.attributes.and_then(|attributes| attributes.request?.http).expect("a request");
    http.headers.get(name).expect("a header").clone()
}

/// The estate that was written.
pub fn config() -> PathBuf {
    directory().join("keybound.yaml")
}

/// The counts that the runner has written.
pub fn summaries() -> Vec<PathBuf> {
    fn below(directory: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                below(&path, found);
            } else if path.file_name().is_some_and(|name| name == "summary.json") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    below(&Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("gungraun"), &mut found);
    found
}

/// When it was written, Unix seconds: the time of all checks.
pub fn now() -> i64 {
    std::fs::read_to_string(directory().join("now")).expect("a time").parse().expect("a time")
}

/// Writes all of it.
pub fn write() {
    let directory = directory();
    if directory.exists() {
        std::fs::remove_dir_all(&directory).expect("an old directory goes");
    }
    // Counts of an earlier run are no part of this one.
    for old in summaries() {
        std::fs::remove_file(old).expect("an old count goes");
    }
    let estate = Estate::write(&directory, POLICIES);
    assert_eq!(estate.config(), config());
    for case in Case::ALL {
        (0..CHECKS).for_each(|number| case.write(number));
    }
    std::fs::write(directory.join("now"), world::now().to_string()).expect("a written file");
}
