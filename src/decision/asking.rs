//! The part of the walk around an introspection (RFC 7662): whether an issuer is asked about the token, what is judged before, and
//! how the walk goes on with the answer.
//!
//! An opaque token can be read by its issuer alone: whatever can be judged without it is judged before, so that garbage costs the
//! issuer nothing. A JWT is verified and judged whole first. The answer excuses no check of ours.

use std::sync::Arc;

use super::binding::{self, ProofAhead};
use super::certificate::PeerCertificate;
use super::credential::PresentedCredential;
use super::denial::Denial;
use super::token::{Ask, Introspection, Said, VerifiedToken};
use super::{Examined, Walk, jose, revocation};

/// What was judged before the token was known. Absent is what was not.
#[derive(Default)]
pub(super) struct Ahead {
    pub certificate: Option<Result<Option<PeerCertificate>, Denial>>,
    pub proof: Option<ProofAhead>,
}

/// Waits for an issuer's answer.
pub struct Asking<'w> {
    walk: Walk<'w>,
    credential: PresentedCredential<'w>,
    ask: Ask<'w>,
    /// The token, where it was verified here.
    verified: Option<VerifiedToken>,
    ahead: Ahead,
}

impl<'w> Asking<'w> {
    /// Who must be asked, and about what.
    #[must_use]
    pub fn ask(&self) -> &Ask<'w> {
        &self.ask
    }

    /// Goes on with the issuer's answer, if it could be had.
    #[must_use]
    pub fn answered(self, answer: Option<Introspection>) -> Examined<'w> {
        let Self { mut walk, credential, verified, ahead, .. } = self;
        let said = match answer {
            None => Err(Denial::FaultIntrospectionUnavailable),
            // An answer about another token is no answer.
            Some(answer) => answer.about(credential.token_hash()).ok_or(Denial::FaultInternal),
        };
        match said.and_then(|said| walk.believe(said, verified)) {
            Ok(token) => walk.bearer_of(&credential, token, ahead),
            Err(denial) => walk.without_principal(denial),
        }
    }
}

impl<'w> Walk<'w> {
    /// Whether the token is opaque, at an API that has it read by its issuer. What has the shape of a JWT is read here.
    pub(super) fn cannot_be_read_here(&self, credential: &PresentedCredential<'_>) -> bool {
        self.route.api().introspection.is_some() && !jose::is_compact_shaped(credential.token())
    }

    /// Whether the issuer is asked about tokens that were verified here, too.
    pub(super) fn wants_to_hear_of_jwts(&self) -> bool {
        self.route.api().introspection.as_ref().is_some_and(|introspects| introspects.jwts_too)
    }

    /// Asks about a token that only the issuer can read.
    pub(super) fn ask_first(mut self, credential: PresentedCredential<'w>) -> Examined<'w> {
        self.findings.issuer = self.route.api().introspection.as_ref().map(|introspects| introspects.issuer.clone());
        let ahead =
            Ahead { certificate: Some(self.certificate()), proof: binding::look_ahead(&self.occasion(&credential)) };
        let failed = [
            ahead.certificate.as_ref().and_then(|judged| judged.as_ref().err()),
            ahead.proof.as_ref().and_then(|judged| judged.as_ref().err()),
        ];
        // What leniency lets pass is noted when its step comes.
        let stands = |denial: &&Denial| !self.route.api().leniency.softens(**denial);
        let failed = failed.into_iter().flatten().find(stands).copied();
        match failed {
            Some(denial) => Examined::Ended(self.deny(denial)),
            None => self.ask(credential, None, ahead),
        }
    }

    /// Asks about a token that was verified here.
    pub(super) fn ask_too(self, credential: PresentedCredential<'w>, verified: VerifiedToken) -> Examined<'w> {
        self.ask(credential, Some(verified), Ahead::default())
    }

    /// The one way to an ask. What is known of the token by its hash alone is judged here, before anybody is asked.
    fn ask(self, credential: PresentedCredential<'w>, verified: Option<VerifiedToken>, ahead: Ahead) -> Examined<'w> {
        let api = self.route.api();
        let asked = api.introspection.as_ref().filter(|introspects| api.issuers.contains(&introspects.issuer));
        let Some(issuer) = asked.and_then(|introspects| self.snapshot.issuers.find(&introspects.issuer)) else {
            return self.without_principal(Denial::TokenIssuerUnknown);
        };
        // A token is never shown to another issuer than its own.
        if verified.as_ref().is_some_and(|token| token.issuer() != issuer.rules.issuer) {
            return self.without_principal(Denial::TokenIssuerUnknown);
        }
        let (hash, list) = (credential.token_hash(), self.snapshot.revocations.as_ref());
        let live = match &verified {
            Some(token) => revocation::check_token(token, &credential.text(), list, self.now),
            None => revocation::check_unread(&issuer.rules.issuer, hash, list, self.now),
        };
        if let Err(revoked) = live {
            return self.revoked(revoked);
        }
        let known = verified.as_ref().map(|token| Arc::clone(token.issued()));
        let ask = Ask::new(credential.token(), *credential.token_hash(), issuer, known);
        Examined::Asks(Box::new(Asking { walk: self, credential, ask, verified, ahead }))
    }

    /// The token that the issuer vouches for.
    fn believe(&mut self, said: Said, verified: Option<VerifiedToken>) -> Result<VerifiedToken, Denial> {
        match (said, verified) {
            (Said::Refused(denial), _) => Err(denial),
            (Said::Confirmed(_), Some(token)) => Ok(token),
            (Said::Active(issued), None) if issued.stands(&self.snapshot.issuers) => self.accept(issued, None),
            // An answer that was read for another ask, or under other rules.
            (Said::Active(_) | Said::Confirmed(_), _) => Err(Denial::FaultInternal),
        }
    }
}
