//! Every way to refuse a SET, with the code that its transmitter is told (RFC 8935 §2.4).

/// The error codes of RFC 8935 §2.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// It is no SET, or its event is not as it is defined.
    InvalidRequest,
    /// The key or the algorithm is none that we accept.
    InvalidKey,
    /// `iss` is nobody whose SETs we take.
    InvalidIssuer,
    /// `aud` does not name us.
    InvalidAudience,
    /// The transmitter did not show who it is.
    AuthenticationFailed,
    /// The transmitter may not say this.
    AccessDenied,
}

impl ErrorCode {
    /// As it is registered.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidKey => "invalid_key",
            Self::InvalidIssuer => "invalid_issuer",
            Self::InvalidAudience => "invalid_audience",
            Self::AuthenticationFailed => "authentication_failed",
            Self::AccessDenied => "access_denied",
        }
    }
}

/// Why a SET is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not one JWS in the compact form, or its parts are not JSON as we read it, or it has no `iss`.
    NotASet,
    /// `crit`, `b64` or `zip`.
    CriticalHeader,
    /// `typ` is another.
    Type,
    /// No transmitter has this `iss`.
    IssuerUnknown,
    /// The transmitter may not sign with this algorithm.
    Algorithm,
    /// We have none of its keys now.
    KeysUnavailable,
    /// None of its keys fits.
    KeyUnknown,
    /// The signature is not that of the key.
    Signature,
    /// `aud` does not name us.
    Audience,
    /// `exp` or `sub` is there.
    ClaimForbidden,
    /// `iat`, `jti`, `sub_id` or `events` is not there.
    ClaimMissing,
    /// A time is none, or `iat` is ahead.
    Time,
    /// A text that names something is none, empty or too long.
    Identifier,
    /// `events` is not one event.
    Events,
    /// The event lacks what its definition requires.
    Payload,
    /// `sub_id` is no subject as its format defines it.
    Subject,
    /// The transmitter may not revoke for this issuer.
    NotAllowed,
}

impl Refusal {
    /// What the transmitter is told; none if it is our own fault that we cannot tell.
    #[must_use]
    pub const fn code(self) -> Option<ErrorCode> {
        match self {
            Self::NotASet
            | Self::CriticalHeader
            | Self::Type
            | Self::ClaimForbidden
            | Self::ClaimMissing
            | Self::Time
            | Self::Identifier
            | Self::Events
            | Self::Payload
            | Self::Subject => Some(ErrorCode::InvalidRequest),
            Self::IssuerUnknown => Some(ErrorCode::InvalidIssuer),
            Self::Algorithm | Self::KeyUnknown | Self::Signature => Some(ErrorCode::InvalidKey),
            Self::KeysUnavailable => None,
            Self::Audience => Some(ErrorCode::InvalidAudience),
            Self::NotAllowed => Some(ErrorCode::AccessDenied),
        }
    }

    /// In one sentence, without a word of the SET.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::NotASet => "this is no signed SET: one JWS in the compact form, with a JSON payload that has iss",
            Self::CriticalHeader => "the header asks for an extension that is not understood here",
            Self::Type => "typ must be secevent+jwt",
            Self::IssuerUnknown => "no transmitter with this iss is known here",
            Self::Algorithm => "this transmitter may not sign with this alg",
            Self::KeysUnavailable => "the transmitter's keys could not be had: send it again",
            Self::KeyUnknown => "the transmitter has no key that fits kid and alg",
            Self::Signature => "the signature does not fit the transmitter's key",
            Self::Audience => "aud does not name this receiver",
            Self::ClaimForbidden => "a SET of a stream must have neither exp nor sub",
            Self::ClaimMissing => "iat, jti, sub_id and events are required",
            Self::Time => "iat or event_timestamp is no time in seconds, or iat is in the future",
            Self::Identifier => "a name must be a string of 1 to 512 bytes",
            Self::Events => "events must be an object with exactly one event, which is an object",
            Self::Payload => "the event lacks a member that its definition requires, or one has a wrong type",
            Self::Subject => "sub_id is not as its format defines it",
            Self::NotAllowed => "this transmitter may not revoke for this issuer",
        }
    }
}
