//! Access tokens: from text to a token of a trusted issuer for this API, in two steps.
//!
//! [`verify`] proves what does not change while the keys stay: issuer, algorithm, type, signature, required claims. Or the issuer is
//! asked about a token that only it can read ([`Ask`]). [`IssuedToken::accept`] proves what changes: audience, accepted issuer, times,
//! lifetime, and it reads the claims that the policies' schema declares. RFC 9068 §4, RFC 7519, RFC 8725, RFC 7662.

mod at_jwt;
pub mod claims;
mod introspected;
mod keyring;
mod known;
mod signed_answer;
mod standard;
mod told;

use std::sync::Arc;

pub use at_jwt::TokenRefused;
pub use claims::{ClaimSpec, ClaimType};
pub(in crate::decision) use introspected::Said;
pub use introspected::{AnswerReader, Ask, Introspection, Outcome};
pub use keyring::{KeyRemark, Keyring, KeysRefused, RemarkKind};
pub use known::{KnownTokens, verify};
pub use signed_answer::{NotAnAnswer, SignedAnswers};

use cedar_policy_core::ast::Value;

use crate::decision::cedar::{self, Record};
use crate::decision::client::ClientId;
use crate::decision::denial::Denial;
use crate::decision::jose::algorithm::AlgorithmSet;
use crate::decision::jose::{Map, NumericDate};
use crate::decision::leniency::Waiver;
use crate::decision::lookup::Lookup;
use crate::decision::route::Api;
use crate::decision::status_list::{Reference, StatusPolicy, StatusRules};
use told::{Claims, Told};

/// An issuer and the keys it has now.
pub struct Issuer {
    /// What its tokens must look like.
    pub rules: Arc<IssuerRules>,
    /// Its keys; `None` while they could not be had.
    pub keys: Option<Arc<Keyring>>,
    /// Those of who signs its status lists, where that is somebody else; `None` while they could not be had.
    pub signer_keys: Option<Arc<Keyring>>,
}

impl Issuer {
    /// The keys that may sign its status lists.
    #[must_use]
    pub fn status_keys(&self) -> Option<&Arc<Keyring>> {
        match &self.rules.status {
            StatusPolicy::Checked(StatusRules { signer: None, .. }) => self.keys.as_ref(),
            StatusPolicy::Checked(StatusRules { signer: Some(_), .. }) => self.signer_keys.as_ref(),
            StatusPolicy::Unchecked | StatusPolicy::Ignored => None,
        }
    }
}

/// What one issuer's access tokens must look like. Made by `config/`, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerRules {
    /// The `iss` value, compared exactly.
    pub issuer: String,
    /// Audiences that are ours: a token must name one (RFC 9068 §4). An API may only narrow them.
    pub audiences: Vec<String>,
    /// The signature algorithms its tokens may use.
    pub algorithms: AlgorithmSet,
    /// `now ≥ exp + skew` is expired. 0 to 60, seconds.
    pub expiry_skew_seconds: i64,
    /// How far `nbf` and `iat` may be ahead of our clock. 0 to 60, seconds.
    pub future_skew_seconds: i64,
    /// `exp − iat` at most, in seconds; an API may only narrow it.
    pub max_lifetime_seconds: Option<i64>,
    /// The claim that names the client (RFC 9068 §2.2: `client_id`).
    pub client_claim: String,
    /// The claim that lists the scopes, a space-delimited string (RFC 8693 §4.2) or an array of strings.
    pub scope_claim: String,
    /// Which `typ` its tokens carry.
    pub token_type: TokenType,
    /// Its answers about tokens must be signed, and look like this (RFC 9701).
    pub signed_answers: Option<SignedAnswers>,
    /// What becomes of tokens that say where their status is told.
    pub status: StatusPolicy,
}

/// Which tokens of an issuer count as access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// `at+jwt` or `application/at+jwt`, with every claim that RFC 9068 §2.2 requires.
    AtJwt,
    /// Also `JWT`, for an issuer that cannot do better: `sub` and `jti` may be absent. Its audiences must be
    /// distinct from those that its ID tokens carry.
    LegacyJwt,
}

/// What a token says about the key of its sender (RFC 7800 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// No `cnf`: a bearer token.
    Unbound,
    /// `cnf` names at least one of the two keys that can be checked.
    Keys {
        /// `x5t#S256` (RFC 8705 §3.1).
        certificate: Option<[u8; 32]>,
        /// `jkt` (RFC 9449 §6.1).
        proof_key: Option<[u8; 32]>,
    },
    /// `cnf` is empty, no object, or names only what cannot be checked here.
    Unknown,
}

/// The configured issuers, by `iss`.
pub struct Issuers(Lookup<String, Issuer>);

impl Issuers {
    /// These issuers; `iss` is compared exactly.
    #[must_use]
    pub fn new(issuers: impl IntoIterator<Item = Issuer>) -> Self {
        Self(issuers.into_iter().map(|issuer| (issuer.rules.issuer.clone(), issuer)).collect())
    }

    /// The issuer of exactly this name.
    #[must_use]
    pub fn find(&self, issuer: &str) -> Option<&Issuer> {
        self.0.get(issuer)
    }

    /// Every issuer.
    pub fn iter(&self) -> impl Iterator<Item = &Issuer> {
        self.0.values()
    }
}

/// What a trusted issuer vouches for, by its signature or by its answer to an introspection: an access token with the required
/// claims. Says nothing about time, audience or sender.
///
/// What it is worth ends with its issuer's keys and rules, which it holds for that.
pub struct IssuedToken {
    issuer: Arc<IssuerRules>,
    vouched: Vouched,
    client: Arc<ClientId>,
    subject: Option<String>,
    token_id: Option<String>,
    session: Option<String>,
    audiences: Box<[String]>,
    scopes: Box<[String]>,
    expires: NumericDate,
    issued: NumericDate,
    not_before: Option<NumericDate>,
    confirmation: Confirmation,
    /// Where its status is told, if it says so and it counts.
    status: Option<Reference>,
    claims: Claims,
    /// What Cedar's values of it take at most.
    told_bytes: usize,
}

/// How an issuer vouches for a token.
enum Vouched {
    /// By a signature under an allowed algorithm, verified with one of these keys, and the right `typ`.
    Signed {
        /// All of them.
        keys: Arc<Keyring>,
        /// The thumbprint (RFC 7638) of the one.
        key: [u8; 32],
    },
    /// By its answer to an introspection.
    Introspected,
}

/// A token that is good for this API now; its sender is not proven.
pub struct VerifiedToken {
    token: Arc<IssuedToken>,
    told: Arc<Told>,
    waived: bool,
}

impl IssuedToken {
    /// The client that the token was issued to.
    #[must_use]
    pub fn client(&self) -> &Arc<ClientId> {
        &self.client
    }

    /// Judges what depends on the API and the time. Its claims may be given by who has just read them.
    ///
    /// # Errors
    /// A denial of class `token`.
    pub fn accept(
        self: Arc<Self>,
        just_read: Option<Map>,
        api: &Api,
        specs: &Arc<[ClaimSpec]>,
        now: i64,
    ) -> Result<VerifiedToken, Denial> {
        let rules = &self.issuer;
        if !api.issuers.contains(&rules.issuer) {
            return Err(Denial::TokenIssuerUnknown);
        }
        // RFC 9068 §4: exact members; an API may only narrow what the issuer's rules accept.
        let ours = |audience: &String| {
            rules.audiences.contains(audience) && api.audiences.as_ref().is_none_or(|list| list.contains(audience))
        };
        if !self.audiences.iter().any(ours) {
            return Err(Denial::TokenAudienceMismatch);
        }
        // RFC 7519 §4.1.4: "on or after" is expired.
        if now >= self.ends_at() {
            return Err(Denial::TokenExpired);
        }
        let latest = now.saturating_add(rules.future_skew_seconds);
        if self.issued.ceil > latest || self.not_before.is_some_and(|date| date.ceil > latest) {
            return Err(Denial::TokenNotYetValid);
        }
        let lifetime_seconds = self.lifetime_seconds();
        let over = |ceiling: Option<i64>| ceiling.is_some_and(|ceiling| lifetime_seconds > ceiling);
        let over_api = over(api.max_token_lifetime_seconds);
        let waived = over_api && api.leniency.waives(Waiver::TokenLifetime, &self.client, now);
        if over(rules.max_lifetime_seconds) || (over_api && !waived) {
            return Err(Denial::TokenLifetimeExceeded);
        }
        let told = self.told(specs, just_read)?;
        Ok(VerifiedToken { token: self, told, waived })
    }
}

impl IssuedToken {
    /// Whether its issuer still is who it was when it vouched for it: the same rules, and the same keys if it signed.
    pub(super) fn stands(&self, issuers: &Issuers) -> bool {
        issuers.find(&self.issuer.issuer).is_some_and(|issuer| {
            Arc::ptr_eq(&self.issuer, &issuer.rules)
                && match &self.vouched {
                    Vouched::Signed { keys, .. } => issuer.keys.as_ref().is_some_and(|known| Arc::ptr_eq(keys, known)),
                    Vouched::Introspected => true,
                }
        })
    }

    /// When it expires for all who see it, Unix seconds.
    fn ends_at(&self) -> i64 {
        self.expires.floor.saturating_add(self.issuer.expiry_skew_seconds)
    }

    /// What it takes of memory, in bytes, but for what policies are told.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let lists = [&self.audiences, &self.scopes].into_iter().flat_map(|list| list.iter());
        let texts = [&self.client.issuer, &self.client.id].into_iter().chain(lists).chain(&self.subject);
        let length = |text: &String| text.capacity().saturating_add(size_of::<String>());
        let texts = texts.chain(&self.token_id).chain(&self.session).map(length).fold(0, usize::saturating_add);
        let status = self.status.as_ref().map_or(0, Reference::bytes);
        size_of::<Self>().saturating_add(texts).saturating_add(status).saturating_add(self.claims.bytes())
    }

    /// What policies are told takes so much at most.
    #[must_use]
    pub fn told_bytes(&self) -> usize {
        self.told_bytes
    }

    /// Lets it keep what policies are told, until [`Self::forget_told`]; `false` if it did so already. Who lets it must see that not
    /// too many do.
    #[must_use]
    pub fn keep_told(&self) -> bool {
        self.claims.keep()
    }

    /// What policies are told is made anew each time, again.
    pub fn forget_told(&self) {
        self.claims.forget();
    }

    fn told(&self, specs: &Arc<[ClaimSpec]>, just_read: Option<Map>) -> Result<Arc<Told>, Denial> {
        self.claims.told(specs, just_read, |claims| {
            let declared = claims::read(claims, specs).map_err(|_| Denial::TokenClaimMalformed)?;
            let mut record = Record::from([
                cedar::pair("issuer", cedar::text(&self.issuer.issuer)),
                cedar::pair("scopes", cedar::texts(&self.scopes)),
                cedar::pair("audiences", cedar::texts(&self.audiences)),
                cedar::pair("lifetime_seconds", Value::from(self.lifetime_seconds())),
                cedar::pair("claims", cedar::record(declared)),
            ]);
            record.extend(self.subject.as_deref().map(|subject| cedar::pair("subject", cedar::text(subject))));
            Ok(record)
        })
    }

    /// `exp − iat`, seconds.
    fn lifetime_seconds(&self) -> i64 {
        self.expires.ceil.saturating_sub(self.issued.floor)
    }
}

impl VerifiedToken {
    /// What its issuer vouches for.
    pub(super) fn issued(&self) -> &Arc<IssuedToken> {
        &self.token
    }

    /// `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.token.issuer.issuer
    }

    /// The client that the token was issued to.
    #[must_use]
    pub fn client(&self) -> &Arc<ClientId> {
        &self.token.client
    }

    /// `sub`; only a legacy issuer may leave it out.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.token.subject.as_deref()
    }

    /// `jti`; only a legacy issuer may leave it out.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.token.token_id.as_deref()
    }

    /// `sid` (OpenID Connect Front-Channel Logout §3): the session it came of.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.token.session.as_deref()
    }

    /// Every `kid` of the key that verified it: an issuer may publish one key under several, and whoever has it chooses which one to name.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        let signed = match &self.token.vouched {
            Vouched::Signed { keys, key } => Some((keys, key)),
            Vouched::Introspected => None,
        };
        signed
            .into_iter()
            .flat_map(|(keys, key)| keys.names().filter(move |(_, name)| *name == key))
            .filter_map(|(id, _)| id)
    }

    /// `iat`, Unix seconds, rounded down.
    #[must_use]
    pub fn issued_at(&self) -> i64 {
        self.token.issued.floor
    }

    /// How far its issuer's clock may be ahead of ours.
    #[must_use]
    pub fn clock_skew_seconds(&self) -> i64 {
        self.token.issuer.future_skew_seconds
    }

    /// The scopes, each once.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.token.scopes
    }

    /// How long ago it was issued, seconds; 0 if `iat` is slightly ahead.
    #[must_use]
    pub fn age_seconds(&self, now: i64) -> i64 {
        now.saturating_sub(self.token.issued.floor).max(0)
    }

    /// The sender's key.
    #[must_use]
    pub fn confirmation(&self) -> Confirmation {
        self.token.confirmation
    }

    /// Where its status is told, if that counts.
    #[must_use]
    pub fn status(&self) -> Option<&Reference> {
        self.token.status.as_ref()
    }

    /// What policies are told of it, but for its age.
    #[must_use]
    pub fn told(&self) -> &Record {
        &self.told.1
    }

    /// Whether an exception waived the API's ceiling on the lifetime.
    #[must_use]
    pub fn lifetime_waived(&self) -> bool {
        self.waived
    }
}
