//! The events we know, and when each tells of a change for the worse.
//!
//! | event | for the worse |
//! |---|---|
//! | CAEP `session-revoked`; RISC `account-disabled`, `account-purged`, `credential-compromise` | always |
//! | CAEP `credential-change` | `change_type` is `revoke`, `delete` or `update`; `create` is not |
//! | CAEP `token-claims-change` | always: what tokens say is no longer so |
//! | CAEP `device-compliance-change` | `current_status` is `not-compliant` |
//! | CAEP `assurance-level-change` | `change_direction` is `decrease` |
//! | CAEP `risk-level-change` | `current_level` is `HIGH` |
//!
//! Values that the definitions do not have are unclear: they revoke nothing, and are told of aloud.

use super::Refusal;
use crate::decision::jose::{Map, Value};

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// CAEP 1.0 §3.1.
    SessionRevoked,
    /// CAEP 1.0 §3.3.
    CredentialChange,
    /// CAEP 1.0 §3.2.
    TokenClaimsChange,
    /// RISC 1.0 §2.3.
    AccountDisabled,
    /// RISC 1.0 §2.2.
    AccountPurged,
    /// RISC 1.0 §2.7.
    CredentialCompromise,
    /// CAEP 1.0 §3.5.
    DeviceComplianceChange,
    /// CAEP 1.0 §3.4.
    AssuranceLevelChange,
    /// CAEP 1.0 §3.8.
    RiskLevelChange,
    /// SSF 1.0 §8.1.4.1.
    Verification,
    /// SSF 1.0 §8.1.5.
    StreamUpdated,
    /// One that we do not know (RFC 8417 §2.2: it is ignored).
    Other,
}

/// Whether an event tells of a change for the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Worse,
    Harmless,
    Unclear,
}

impl EventKind {
    /// Those that can revoke.
    pub const REVOKING: [Self; 9] = [
        Self::SessionRevoked,
        Self::CredentialChange,
        Self::TokenClaimsChange,
        Self::AccountDisabled,
        Self::AccountPurged,
        Self::CredentialCompromise,
        Self::DeviceComplianceChange,
        Self::AssuranceLevelChange,
        Self::RiskLevelChange,
    ];

    /// Those that do unless config says otherwise: each tells of one subject's own sessions, credentials, claims or account.
    pub const USUAL: [Self; 4] =
        [Self::SessionRevoked, Self::CredentialChange, Self::TokenClaimsChange, Self::AccountDisabled];

    const ALL: [Self; 11] = [
        Self::SessionRevoked,
        Self::CredentialChange,
        Self::TokenClaimsChange,
        Self::AccountDisabled,
        Self::AccountPurged,
        Self::CredentialCompromise,
        Self::DeviceComplianceChange,
        Self::AssuranceLevelChange,
        Self::RiskLevelChange,
        Self::Verification,
        Self::StreamUpdated,
    ];

    /// The end of its URI; `other` for those we do not know.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionRevoked => "session-revoked",
            Self::CredentialChange => "credential-change",
            Self::TokenClaimsChange => "token-claims-change",
            Self::AccountDisabled => "account-disabled",
            Self::AccountPurged => "account-purged",
            Self::CredentialCompromise => "credential-compromise",
            Self::DeviceComplianceChange => "device-compliance-change",
            Self::AssuranceLevelChange => "assurance-level-change",
            Self::RiskLevelChange => "risk-level-change",
            Self::Verification => "verification",
            Self::StreamUpdated => "stream-updated",
            Self::Other => "other",
        }
    }

    /// Where it is defined; nowhere for those we do not know.
    const fn profile(self) -> &'static str {
        match self {
            Self::SessionRevoked
            | Self::CredentialChange
            | Self::TokenClaimsChange
            | Self::DeviceComplianceChange
            | Self::AssuranceLevelChange
            | Self::RiskLevelChange => "caep",
            Self::AccountDisabled | Self::AccountPurged | Self::CredentialCompromise => "risc",
            Self::Verification | Self::StreamUpdated => "ssf",
            Self::Other => "",
        }
    }

    /// The event that a URI names, compared exactly.
    #[must_use]
    pub fn of_uri(uri: &str) -> Self {
        let rest = uri.strip_prefix("https://schemas.openid.net/secevent/");
        let parts = rest.and_then(|rest| rest.split_once("/event-type/"));
        let known = |(profile, name): (&str, &str)| {
            Self::ALL.into_iter().find(|kind| kind.profile() == profile && kind.name() == name)
        };
        parts.and_then(known).unwrap_or(Self::Other)
    }

    /// Whether it tells of a change for the worse.
    ///
    /// # Errors
    /// A member that its definition requires is missing or of another type.
    pub(super) fn weigh(self, payload: &Map) -> Result<Weight, Refusal> {
        let text = |name: &str| match payload.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Refusal::Payload),
        };
        let required = |name: &str| text(name)?.ok_or(Refusal::Payload);
        let weight = |value: &str, worse: &[&str], harmless: &[&str]| {
            if worse.contains(&value) {
                Weight::Worse
            } else if harmless.contains(&value) {
                Weight::Harmless
            } else {
                Weight::Unclear
            }
        };
        Ok(match self {
            Self::SessionRevoked | Self::AccountDisabled | Self::AccountPurged | Self::CredentialCompromise => {
                Weight::Worse
            }
            Self::CredentialChange => weight(required("change_type")?, &["revoke", "delete", "update"], &["create"]),
            Self::TokenClaimsChange => match payload.get("claims").and_then(Value::as_object) {
                Some(claims) if claims.iter().next().is_some() => Weight::Worse,
                _ => return Err(Refusal::Payload),
            },
            Self::DeviceComplianceChange => weight(required("current_status")?, &["not-compliant"], &["compliant"]),
            // It may be left out, and levels have no order that we know.
            Self::AssuranceLevelChange => {
                weight(text("change_direction")?.unwrap_or_default(), &["decrease"], &["increase"])
            }
            Self::RiskLevelChange => weight(required("current_level")?, &["HIGH"], &["LOW", "MEDIUM"]),
            Self::Verification | Self::StreamUpdated | Self::Other => Weight::Harmless,
        })
    }
}
