//! Remembers nothing.

use std::sync::Arc;

use crate::decision::certificate::{KnownCertificates, Leaf};
use crate::decision::revocation::{Bearer, EntryId, Kind, Name, Revocations};
use crate::decision::status_list::{StatusList, StatusLists};
use crate::decision::token::{IssuedToken, KnownTokens};

/// Every token is verified, and every certificate read, each time; nothing is revoked.
pub(super) struct Forgetful;

impl KnownCertificates for Forgetful {
    fn find(&self, _: &[u8]) -> Option<Arc<Leaf>> {
        None
    }

    fn keep(&self, _: &[u8], _: &Arc<Leaf>) {}
}

impl Revocations for Forgetful {
    fn has(&self, _: Kind) -> bool {
        false
    }
    fn find(&self, _: &Name<'_>, _: &Bearer) -> Option<EntryId> {
        None
    }
    fn is_stale(&self, _: i64) -> bool {
        false
    }
}

impl KnownTokens for Forgetful {
    fn find(&self, _: &[u8; 32]) -> Option<Arc<IssuedToken>> {
        None
    }

    fn keep(&self, _: &[u8; 32], _: &Arc<IssuedToken>) {}
}

impl StatusLists for Forgetful {
    fn find(&self, _: &str, _: &str, _: i64) -> Option<Arc<StatusList>> {
        None
    }
}
