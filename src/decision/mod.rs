//! The judgement: pure, synchronous, total. It is told everything, the time too, and does no I/O.
//!
//! [`examine`] walks facts → route → credential → token → client → certificate → revocation → binding → status and ends, or asks for
//! something: that an issuer be asked about the token, that its status list be had, that the proof be spent. [`Asking::answered`],
//! [`Looking::found`] and [`Unsettled::settle`] take the answers, [`Proven::conclude`] asks policy. Each step consumes the evidence of
//! the step before it, so none can be skipped. A relaxed denial is noted and the walk goes on with weaker evidence ([`leniency`]).

mod asking;
pub mod binding;
pub mod cedar;
pub mod certificate;
pub mod challenge;
pub mod client;
pub mod credential;
pub mod denial;
pub mod facts;
pub mod jose;
pub mod leniency;
pub mod limits;
mod lookup;
pub mod metadata;
pub mod policy;
pub mod revocation;
pub mod route;
pub mod security_event;
pub mod snapshot;
mod spending;
mod standing;
pub mod status_list;
pub mod target;
mod template;
pub mod token;
mod verdict;

use std::sync::Arc;

pub use asking::Asking;
pub use spending::Unsettled;
pub use standing::Looking;
pub use verdict::{Decision, Findings, Heard, Identity, Refusal, Remembered, Verdict};

use asking::Ahead;
use binding::{Bound, Occasion, ProofAhead, ProvenSender, Sender};
use certificate::{CertificateDenial, PeerCertificate};
use challenge::Challenger;
use client::Registration;
use credential::{PresentedCredential, Scheme, TokenText};
use denial::{Denial, OauthError};
use facts::RequestFacts;
use jose::Map;
use leniency::Waiver;
use policy::{Question, Refused, Subject};
use revocation::LiveToken;
use route::Route;
use snapshot::{Bundle, Snapshot};
use status_list::StandingToken;
use token::{IssuedToken, VerifiedToken};

/// How far the walk got without outside help.
pub enum Examined<'w> {
    /// It is over.
    Ended(Box<Decision>),
    /// An issuer must be asked about the token first.
    Asks(Box<Asking<'w>>),
    /// The token's status list must be had first.
    Looks(Box<Looking<'w>>),
    /// A proof must be spent first.
    Needs(Box<Unsettled<'w>>),
    /// The sender is proven; policy is next.
    Proven(Box<Proven<'w>>),
}

/// The walk so far: what every step may read, and what was learned.
struct Walk<'w> {
    snapshot: &'w Snapshot,
    bundle: &'w Bundle,
    facts: &'w RequestFacts<'w>,
    route: Route<'w>,
    scheme: Option<Scheme>,
    presented: Option<TokenText<'w>>,
    now: i64,
    findings: Findings,
}

/// The evidence about the sender, before its proof is settled.
struct Evidence<'w, T = StandingToken> {
    token: T,
    registration: Option<&'w Registration>,
    certificate: Option<PeerCertificate>,
}

/// Waits for policy.
pub struct Proven<'w> {
    walk: Walk<'w>,
    /// `None` where no principal exists: a public operation, or leniency.
    sender: Option<(Evidence<'w>, ProvenSender)>,
}

/// Walks as far as the snapshot and the time allow. `now` is Unix seconds.
#[must_use]
pub fn examine<'w>(snapshot: &'w Snapshot, facts: &'w RequestFacts<'w>, now: i64) -> Examined<'w> {
    let refuse = |denial| Examined::Ended(Box::new(Decision::refuse(denial)));
    let Some(bundle) = &snapshot.bundle else { return refuse(Denial::FaultBundleMissing) };
    if let Some(document) = metadata::answer(snapshot, bundle, facts) {
        return Examined::Ended(Box::new(Decision {
            verdict: Verdict::Answer(document),
            findings: Findings::default(),
        }));
    }
    let route = match route::resolve(&bundle.inventory, facts) {
        Ok(route) => route,
        Err(denial) => {
            let mut decision = Decision::refuse(denial);
            decision.findings.api = bundle.inventory.only_at(facts.host(), facts.port()).map(|api| api.id.clone());
            return Examined::Ended(Box::new(decision));
        }
    };
    let findings = Findings {
        api: Some(route.api().id.clone()),
        action: Some(route.operation().action.clone()),
        public: route.operation().public,
        observing: route.api().leniency.observes(),
        bundle: Some(bundle.revision.clone()),
        ..Findings::default()
    };
    let walk = Walk { snapshot, bundle, facts, route, scheme: None, presented: None, now, findings };
    if walk.route.operation().public && facts.authorization().is_empty() {
        return Examined::Proven(Box::new(Proven { walk, sender: None }));
    }
    walk.sender()
}

impl<'w> Walk<'w> {
    /// Credential and token, and the rest. A credential on a public operation is judged like any other: a bad
    /// one is not the same as none.
    fn sender(mut self) -> Examined<'w> {
        let credential = match credential::present(self.facts) {
            Ok(credential) => credential,
            Err(denial) => return self.without_principal(denial),
        };
        (self.scheme, self.presented) = (Some(credential.scheme()), Some(credential.text()));
        self.findings.stray_proof = credential.scheme() == Scheme::Bearer && !self.facts.dpop().is_empty();
        if self.cannot_be_read_here(&credential) {
            return self.ask_first(credential);
        }
        match self.token(&credential) {
            Ok(token) if self.wants_to_hear_of_jwts() => self.ask_too(credential, token),
            Ok(token) => self.bearer_of(&credential, token, Ahead::default()),
            Err(denial) => self.without_principal(denial),
        }
    }

    /// Client, certificate, revocation, binding.
    fn bearer_of(mut self, credential: &PresentedCredential<'w>, token: VerifiedToken, ahead: Ahead) -> Examined<'w> {
        let registration = match self.registration(&token) {
            Ok(registration) => registration,
            Err(denial) => match self.soften(denial) {
                Ok(()) => None,
                Err(decision) => return Examined::Ended(decision),
            },
        };
        let certificate = match ahead.certificate.unwrap_or_else(|| self.certificate()) {
            Ok(certificate) => certificate,
            Err(denial) => match self.soften(denial) {
                Ok(()) => None,
                Err(decision) => return Examined::Ended(decision),
            },
        };
        let list = self.snapshot.revocations.as_ref();
        self.findings.revocations = if list.is_behind(self.now) { Heard::Stale } else { Heard::AsConfigured };
        let token = match revocation::check(token, &credential.text(), certificate.as_ref(), list, self.now) {
            Ok(live) => live,
            Err(revoked) => return self.revoked(revoked),
        };
        let evidence = Evidence { token, registration, certificate };
        let bound = match self.bind(credential, &evidence, ahead.proof) {
            Ok(bound) => bound,
            Err(denial) => match self.soften(denial) {
                Ok(()) => Bound::Proven(ProvenSender::unproven()),
                Err(decision) => return Examined::Ended(decision),
            },
        };
        self.look_up(evidence, bound)
    }

    fn token(&mut self, credential: &PresentedCredential<'_>) -> Result<VerifiedToken, Denial> {
        match token::verify(
            credential.token(),
            credential.token_hash(),
            &self.snapshot.issuers,
            self.snapshot.tokens.as_ref(),
        ) {
            Ok((issued, claims)) => self.accept(issued, claims),
            Err(refused) => {
                self.findings.issuer = refused.issuer.map(str::to_owned);
                Err(refused.denial)
            }
        }
    }

    /// What changes while the token stays the same.
    fn accept(&mut self, issued: Arc<IssuedToken>, just_read: Option<Map>) -> Result<VerifiedToken, Denial> {
        self.findings.client = Some(Arc::clone(issued.client()));
        let token = issued.accept(just_read, self.route.api(), self.bundle.policies.claims(), self.now)?;
        if token.lifetime_waived() {
            self.findings.waived.push(Waiver::TokenLifetime);
        }
        Ok(token)
    }

    fn registration(&self, token: &VerifiedToken) -> Result<Option<&'w Registration>, Denial> {
        self.bundle.clients.admit(token.client(), self.route.api().registered_clients, self.now)
    }

    fn certificate(&self) -> Result<Option<PeerCertificate>, Denial> {
        let trust = self.snapshot.trust.as_deref();
        let known = self.snapshot.leaves.as_ref();
        let presented =
            certificate::present(&self.snapshot.certificates, trust, &self.facts.certificate(), known, self.now);
        presented.map_err(|denial| match denial {
            CertificateDenial::Malformed => Denial::CertificateMalformed,
            CertificateDenial::Untrusted => Denial::CertificateUntrusted,
            CertificateDenial::Revoked => Denial::CertificateRevoked,
            CertificateDenial::StatusUnknown => Denial::CertificateStatusUnknown,
        })
    }

    fn bind(
        &self,
        credential: &PresentedCredential<'w>,
        evidence: &Evidence<'w, LiveToken>,
        ahead: Option<ProofAhead>,
    ) -> Result<Bound, Denial> {
        let sender = Sender {
            occasion: self.occasion(credential),
            token: evidence.token.token(),
            certificate: evidence.certificate.as_ref(),
            certificates: &self.snapshot.certificates,
        };
        binding::prove(&sender, ahead)
    }

    fn occasion<'s>(&'s self, credential: &'s PresentedCredential<'w>) -> Occasion<'s, 'w> {
        Occasion {
            facts: self.facts,
            route: &self.route,
            credential,
            proofs: &self.snapshot.proofs,
            nonces: &self.snapshot.nonces,
            now: self.now,
        }
    }

    fn unproven(self, evidence: Evidence<'w>) -> Examined<'w> {
        let sender = ProvenSender::unproven();
        Examined::Proven(Box::new(Proven { walk: self, sender: Some((evidence, sender)) }))
    }

    /// Goes on without a principal, where leniency allows that; only guardrails are left to ask.
    fn without_principal(mut self, denial: Denial) -> Examined<'w> {
        match self.soften(denial) {
            Ok(()) => Examined::Proven(Box::new(Proven { walk: self, sender: None })),
            Err(decision) => Examined::Ended(decision),
        }
    }

    /// Notes a denial that the API relaxes, or ends the walk with it.
    fn soften(&mut self, denial: Denial) -> Result<(), Box<Decision>> {
        if self.route.api().leniency.softens(denial) {
            self.findings.softened.push(denial);
            Ok(())
        } else {
            Err(self.end(denial))
        }
    }

    fn deny(mut self, denial: Denial) -> Box<Decision> {
        self.end(denial)
    }

    fn end(&mut self, denial: Denial) -> Box<Decision> {
        let challenger = Challenger {
            api: self.route.api(),
            operation: self.route.operation(),
            algorithms: &self.snapshot.proofs.algorithms,
            source: &self.snapshot.certificates.source,
            used: self.scheme,
            metadata: self.snapshot.metadata.then(|| metadata::url(self.route.origin())),
        };
        let nonce = (denial.row().oauth == Some(OauthError::UseDpopNonce)).then(|| self.mint());
        let refusal = Refusal { denial, challenge: challenger.challenge(denial), nonce };
        Box::new(Decision { verdict: Verdict::Denied(refusal), findings: core::mem::take(&mut self.findings) })
    }

    fn mint(&self) -> String {
        self.snapshot.nonces.mint(&self.route.api().id, self.now)
    }
}

impl Proven<'_> {
    /// Asks policy and answers.
    #[must_use]
    pub fn conclude(mut self) -> Decision {
        let sender = self.sender.take();
        if let Some((_, proven)) = &sender {
            self.walk.findings.proof = Some(proven.method());
            if proven.demand_waived() {
                self.walk.findings.waived.push(Waiver::Proof);
            }
        }
        match sender {
            Some((evidence, proven)) if !self.walk.route.operation().public => self.authorise(&evidence, &proven),
            _ => self.guardrails_only(),
        }
    }

    fn authorise(mut self, evidence: &Evidence<'_>, sender: &ProvenSender) -> Decision {
        let subject = Subject {
            token: evidence.token.token(),
            registration: evidence.registration,
            certificate: evidence.certificate.as_ref(),
            sender,
        };
        match self.question().authorise(&subject) {
            Ok(authorised) => {
                self.walk.findings.policies = authorised.policies().to_vec();
                if let Some(would_be) = self.walk.findings.softened.first().copied() {
                    return self.decide(Verdict::Observed { would_be });
                }
                let nonce = sender.proof().filter(|proof| proof.wants_fresh_nonce()).map(|_| self.walk.mint());
                let identity = Identity {
                    client: Arc::clone(evidence.token.token().client()),
                    subject: evidence.token.token().subject().map(str::to_owned),
                    proof: sender.method(),
                };
                self.decide(Verdict::Allowed { identity, authorised, nonce })
            }
            Err(refused) => self.refused(refused),
        }
    }

    fn guardrails_only(self) -> Decision {
        match self.question().guardrails() {
            Ok(()) => match self.walk.findings.softened.first().copied() {
                Some(would_be) => self.decide(Verdict::Observed { would_be }),
                // Without a principal and without leniency only a public operation gets here; anything else is a defect.
                None if self.walk.route.operation().public => self.decide(Verdict::Public),
                None => *self.walk.deny(Denial::FaultInternal),
            },
            Err(refused) => self.refused(refused),
        }
    }

    fn refused(mut self, refused: Refused) -> Decision {
        self.walk.findings.policies = refused.policies;
        match self.walk.soften(refused.denial) {
            Ok(()) => {
                let would_be = self.walk.findings.softened.first().copied().unwrap_or(refused.denial);
                self.decide(Verdict::Observed { would_be })
            }
            Err(decision) => *decision,
        }
    }

    fn question(&self) -> Question<'_> {
        let Walk { bundle, facts, route, now, .. } = &self.walk;
        Question { index: &bundle.policies, estate: &bundle.estate, facts, route, now: *now }
    }

    fn decide(self, verdict: Verdict) -> Decision {
        Decision { verdict, findings: self.walk.findings }
    }
}
