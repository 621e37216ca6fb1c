//! The part of the walk around a status list: whether the token's list is at hand, what it says, and how the walk goes on when it had to
//! be waited for.
//!
//! Whatever can be judged of the token and its sender without the list is judged before, so that a bad request costs whoever serves the list
//! nothing. Spending comes after: a revoked token fills no memory of proofs. Leniency softens nothing here.

use std::sync::Arc;

use super::binding::Bound;
use super::certificate::PeerCertificate;
use super::denial::Denial;
use super::revocation::{self, LiveToken, Revoked};
use super::status_list::{self, Look, StandingToken, StatusList};
use super::token::{Issuer, VerifiedToken};
use super::{Evidence, Examined, Proven, Unsettled, Walk};

/// Waits for a status list.
pub struct Looking<'w> {
    walk: Walk<'w>,
    evidence: Evidence<'w, LiveToken>,
    bound: Bound,
    issuer: &'w Issuer,
    uri: Arc<str>,
}

impl<'w> Looking<'w> {
    /// Whose tokens the list is about.
    #[must_use]
    pub fn issuer(&self) -> &'w Issuer {
        self.issuer
    }

    /// Where the list is.
    #[must_use]
    pub fn uri(&self) -> &Arc<str> {
        &self.uri
    }

    /// Goes on with the list, if it could be had.
    #[must_use]
    pub fn found(self, list: Option<&StatusList>) -> Examined<'w> {
        let Self { walk, evidence, bound, issuer, .. } = self;
        if let Err(revoked) = walk.is_still_live(evidence.token.token(), evidence.certificate.as_ref()) {
            return walk.revoked(revoked);
        }
        let (now, (token, rest)) = (walk.now, evidence.parts());
        match status_list::check_found(token, issuer, list, now) {
            Ok(token) => walk.stood(rest.with(token), bound),
            Err(denial) => Examined::Ended(walk.deny(denial)),
        }
    }
}

impl<'w, T> Evidence<'w, T> {
    /// The token, and what goes with it.
    fn parts(self) -> (T, Evidence<'w, ()>) {
        let Self { token, registration, certificate } = self;
        (token, Evidence { token: (), registration, certificate })
    }
}

impl<'w> Evidence<'w, ()> {
    fn with<T>(self, token: T) -> Evidence<'w, T> {
        Evidence { token, registration: self.registration, certificate: self.certificate }
    }
}

impl<'w> Walk<'w> {
    /// Looks once more for what was revoked while something was waited for.
    pub(super) fn is_still_live(
        &self,
        token: &VerifiedToken,
        certificate: Option<&PeerCertificate>,
    ) -> Result<(), Revoked> {
        let Some(presented) = &self.presented else {
            return Err(Revoked { denial: Denial::FaultInternal, entry: None });
        };
        let list = self.snapshot.revocations.as_ref();
        revocation::check_again(token, presented, certificate, list, self.now)
    }

    pub(super) fn revoked(mut self, revoked: Revoked) -> Examined<'w> {
        self.findings.revoked_by = revoked.entry;
        Examined::Ended(self.deny(revoked.denial))
    }

    /// Looks the token up in its status list, if it names one.
    pub(super) fn look_up(self, evidence: Evidence<'w, LiveToken>, bound: Bound) -> Examined<'w> {
        let (token, rest) = evidence.parts();
        let snapshot = self.snapshot;
        match status_list::check(token, &snapshot.issuers, snapshot.status_lists.as_ref(), self.now) {
            Ok(Look::Stands(token)) => self.stood(rest.with(token), bound),
            Ok(Look::Wanting(token)) => self.want(rest.with(token), bound),
            Err(denial) => Examined::Ended(self.deny(denial)),
        }
    }

    fn want(self, evidence: Evidence<'w, LiveToken>, bound: Bound) -> Examined<'w> {
        let token = evidence.token.token();
        let wanted =
            self.snapshot.issuers.find(token.issuer()).zip(token.status().map(|status| Arc::clone(status.uri())));
        match wanted {
            Some((issuer, uri)) => Examined::Looks(Box::new(Looking { walk: self, evidence, bound, issuer, uri })),
            None => Examined::Ended(self.deny(Denial::FaultInternal)),
        }
    }

    /// The token stands; the proof is next, if there is one.
    fn stood(self, evidence: Evidence<'w, StandingToken>, bound: Bound) -> Examined<'w> {
        match bound {
            Bound::Proven(sender) => {
                Examined::Proven(Box::new(Proven { walk: self, sender: Some((evidence, sender)) }))
            }
            Bound::MustSpend(bound) => Examined::Needs(Box::new(Unsettled { walk: self, evidence, bound: *bound })),
        }
    }
}
