//! Every way to say no: one enum, one row each.
//!
//! The slug is the contract: metric label, span field, log field, dynamic metadata, test expectation and docs row are
//! the same word. Its prefix names the step that refused; the status is the row's own. What a client reads is one text
//! per class, so that a denial is no oracle (RFC 6750 §3.1 error codes, RFC 9449 §7.1, RFC 9470 §3).

#[cfg(test)]
mod tests;

use core::num::NonZeroI32;

/// The step of the walk that a denial belongs to, in the order of the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// The request itself is broken or ambiguous.
    Request,
    /// No API or operation of the inventory is meant.
    Route,
    /// What was presented is not one credential.
    Credential,
    /// The access token.
    Token,
    /// The registry of clients.
    Client,
    /// The proof that the sender holds the key.
    Binding,
    /// Scopes and policies.
    Policy,
    /// Our own trouble.
    Fault,
}

impl Class {
    /// Every class, in the order of the walk.
    pub const ALL: [Self; 8] = [
        Self::Request,
        Self::Route,
        Self::Credential,
        Self::Token,
        Self::Client,
        Self::Binding,
        Self::Policy,
        Self::Fault,
    ];

    /// The name used in `relax` lists, metrics and problem details.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Route => "route",
            Self::Credential => "credential",
            Self::Token => "token",
            Self::Client => "client",
            Self::Binding => "binding",
            Self::Policy => "policy",
            Self::Fault => "fault",
        }
    }

    /// What a client is told, and nothing more: one text for all denials of the class.
    /// Only %x20-21 / %x23-5B / %x5D-7E, so that it may stand in `error_description` (RFC 6750 §3).
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Request => "The request is malformed or ambiguous",
            Self::Route => "No such operation",
            Self::Credential => "The credential is missing or malformed",
            Self::Token => "The access token is not valid here",
            Self::Client => "The client is not known here",
            Self::Binding => "The sender did not prove possession of the key of the access token",
            Self::Policy => "The request is not permitted",
            Self::Fault => "The request cannot be judged now",
        }
    }
}

/// The `error` code of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OauthError {
    /// RFC 6750 §3.1.
    InvalidRequest,
    /// RFC 6750 §3.1.
    InvalidToken,
    /// RFC 6750 §3.1.
    InsufficientScope,
    /// RFC 9449 §7.1.
    InvalidDpopProof,
    /// RFC 9449 §9.
    UseDpopNonce,
}

impl OauthError {
    /// The registered code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
        }
    }
}

/// Whether observe mode may soften a denial at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Softens {
    /// When the API relaxes its class.
    Yes,
    /// Never: a broken request, our own fault, a forged signature, a guardrail.
    Never,
}

/// What is said for one denial.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The stable code.
    pub slug: &'static str,
    /// The step that refused.
    pub class: Class,
    /// The HTTP status.
    pub status: u16,
    /// The OAuth error, if the RFC gives one for the case.
    pub oauth: Option<OauthError>,
    /// Whether observe mode may soften it.
    pub softens: Softens,
    /// For operators: what happened.
    pub meaning: &'static str,
}

macro_rules! denials {
    ($($variant:ident $slug:literal $class:ident $status:literal $oauth:ident $softens:ident $meaning:literal)+) => {
        /// A reason to refuse.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Denial { $(#[doc = $meaning] $variant,)+ }

        impl Denial {
            /// Every denial, in the order of the walk.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// What is said for it.
            #[must_use]
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$variant => Row {
                        slug: $slug,
                        class: Class::$class,
                        status: $status,
                        oauth: denials!(@oauth $oauth),
                        softens: Softens::$softens,
                        meaning: $meaning,
                    },)+
                }
            }
        }
    };
    (@oauth None) => { None };
    (@oauth $error:ident) => { Some(OauthError::$error) };
}

denials! {
    RequestMalformed "request_malformed" Request 400 None Never
        "The CheckRequest cannot be decoded, or its method or a header that is read has bytes that none may have"
    RequestHeaderRepeated "request_header_repeated" Request 400 None Never
        "The route's context extension `api` is there more than once"
    RequestLimitExceeded "request_limit_exceeded" Request 400 None Never
        "A size or count is over its limit"
    RequestAuthority "request_authority" Request 400 None Never
        "The authority (Host) is not a host with an optional port"
    RequestTargetAmbiguous "request_target_ambiguous" Request 400 None Never
        "The path can be read in two ways: encoded unreserved characters, encoded slashes, escapes of escapes, dot segments, empty segments, `;`, `\\`, `#`, no leading slash, or another spelling of a declared path"
    RequestMethodOverride "request_method_override" Request 400 None Never
        "A method override, in a header or as `_method` in the query, is present and the API does not allow it"

    ApiUnknown "api_unknown" Route 403 None Never
        "No API of the inventory has this host"
    ApiMismatch "api_mismatch" Route 403 None Never
        "The route's context extension `api` names another API than the inventory does"
    OperationUnknown "operation_unknown" Route 403 None Never
        "The API's inventory has no operation for this method and path"

    CredentialMissing "credential_missing" Credential 401 None Yes
        "There is no Authorization header"
    CredentialSchemeUnsupported "credential_scheme_unsupported" Credential 401 None Yes
        "The Authorization scheme is neither DPoP nor Bearer"
    CredentialRepeated "credential_repeated" Credential 400 InvalidRequest Yes
        "The access token is presented more than once"
    CredentialMalformed "credential_malformed" Credential 400 InvalidRequest Yes
        "The Authorization header is not a scheme and one token"

    TokenMalformed "token_malformed" Token 401 InvalidToken Yes
        "The access token is not one strict JWS with JSON objects in it"
    TokenTypeUnexpected "token_type_unexpected" Token 401 InvalidToken Yes
        "The token's `typ` is not that of an access token"
    TokenAlgorithmForbidden "token_algorithm_forbidden" Token 401 InvalidToken Never
        "The token's `alg` is not on its issuer's list"
    TokenCriticalHeader "token_critical_header" Token 401 InvalidToken Never
        "The token has `crit`, `b64` or `zip`: it asks for an extension that is not understood"
    TokenIssuerUnknown "token_issuer_unknown" Token 401 InvalidToken Yes
        "The token's issuer is not configured, or not accepted by this API"
    TokenKeyUnknown "token_key_unknown" Token 401 InvalidToken Never
        "The issuer has no key of that `kid` for that algorithm"
    TokenSignatureInvalid "token_signature_invalid" Token 401 InvalidToken Never
        "The token's signature is wrong"
    TokenAudienceMismatch "token_audience_mismatch" Token 401 InvalidToken Yes
        "The token is not for this API"
    TokenClaimMissing "token_claim_missing" Token 401 InvalidToken Yes
        "The token lacks a claim that RFC 9068 requires, or `status` where `status_list.required` is set"
    TokenClaimMalformed "token_claim_malformed" Token 401 InvalidToken Yes
        "A claim has another type than it must have"
    TokenExpired "token_expired" Token 401 InvalidToken Yes
        "The token has expired"
    TokenNotYetValid "token_not_yet_valid" Token 401 InvalidToken Yes
        "The token is not valid yet, or was issued in the future"
    TokenLifetimeExceeded "token_lifetime_exceeded" Token 401 InvalidToken Yes
        "The token lives longer than the issuer or the API allows"
    TokenInactive "token_inactive" Token 401 InvalidToken Never
        "The issuer, asked about the token, does not say that it is active, or says of it what the token contradicts"

    TokenRevoked "token_revoked" Token 401 InvalidToken Never
        "The token is revoked: by itself, or by its subject, client, session, key or issuer, or by the key that it is bound to; or its status list says so"
    TokenSuspended "token_suspended" Token 401 InvalidToken Never
        "The token's status list says that it is suspended: it may become valid again"
    TokenStatusUnknown "token_status_unknown" Token 401 InvalidToken Never
        "The token's status list has a value for it that means nothing here, or ends before its entry"
    TokenStatusUnchecked "token_status_unchecked" Token 401 InvalidToken Never
        "The token says where its status is told, and nobody looks there: its issuer has no `status_list` in the operator's file, the list's host is not one of `hosts`, or it is told by something else than a list. `status_list: { ignore: true }` lets such tokens pass"

    ClientUnknown "client_unknown" Client 403 None Yes
        "The client is not in the registry, and the API wants registered clients"
    ClientExpired "client_expired" Client 403 None Yes
        "The client's registration has ended"

    BindingMissing "binding_missing" Binding 401 InvalidToken Yes
        "The API demands a sender-constrained token of a kind that this token is not"
    BindingMethodUnknown "binding_method_unknown" Binding 401 InvalidToken Yes
        "The token's `cnf` holds no constraint that can be checked here"
    BindingSchemeMismatch "binding_scheme_mismatch" Binding 401 InvalidToken Yes
        "The Authorization scheme does not fit the token: a DPoP-bound token came as Bearer, or another one as DPoP"
    CertificateMissing "certificate_missing" Binding 401 InvalidToken Yes
        "The token is bound to a certificate and none was presented"
    CertificateMalformed "certificate_malformed" Binding 401 InvalidToken Yes
        "The client certificate, or the header that carries it, cannot be read"
    CertificateMismatch "certificate_mismatch" Binding 401 InvalidToken Yes
        "The token is bound to another certificate"
    CertificateUntrusted "certificate_untrusted" Binding 401 InvalidToken Yes
        "The client certificate does not lead to the trust bundle, or came over a hop that is not trusted"
    CertificateRevoked "certificate_revoked" Binding 401 InvalidToken Never
        "The client certificate is revoked"
    CertificateStatusUnknown "certificate_status_unknown" Binding 401 InvalidToken Never
        "Nobody says whether the client certificate is revoked: no list of its issuer is there or is fresh; or it came as a hash alone where certificates are revoked by serial number"
    ProofMissing "proof_missing" Binding 400 InvalidRequest Yes
        "The scheme is DPoP and there is no DPoP header"
    ProofDuplicated "proof_duplicated" Binding 401 InvalidDpopProof Yes
        "There is more than one DPoP proof"
    ProofMalformed "proof_malformed" Binding 401 InvalidDpopProof Yes
        "The proof is not one strict JWS with the claims it must have"
    ProofTypeUnexpected "proof_type_unexpected" Binding 401 InvalidDpopProof Yes
        "The proof's `typ` is not `dpop+jwt`"
    ProofAlgorithmForbidden "proof_algorithm_forbidden" Binding 401 InvalidDpopProof Never
        "The proof's `alg` is not allowed"
    ProofKeyForbidden "proof_key_forbidden" Binding 401 InvalidDpopProof Never
        "The proof's key is private, symmetric, weak, malformed or not for its `alg`"
    ProofSignatureInvalid "proof_signature_invalid" Binding 401 InvalidDpopProof Never
        "The proof's signature is wrong"
    ProofMethodMismatch "proof_method_mismatch" Binding 401 InvalidDpopProof Yes
        "The proof is for another HTTP method"
    ProofTargetMismatch "proof_target_mismatch" Binding 401 InvalidDpopProof Yes
        "The proof is for another URI"
    ProofStale "proof_stale" Binding 401 InvalidDpopProof Yes
        "The proof is too old or has expired"
    ProofFromFuture "proof_from_future" Binding 401 InvalidDpopProof Yes
        "The proof was made too far in the future"
    ProofTokenMismatch "proof_token_mismatch" Binding 401 InvalidDpopProof Yes
        "The proof is for another access token (`ath`)"
    ProofKeyMismatch "proof_key_mismatch" Binding 401 InvalidToken Yes
        "The token is bound to another key than the proof's"
    ProofNonceRequired "proof_nonce_required" Binding 401 UseDpopNonce Yes
        "The proof carries no nonce of ours that is still good"
    ProofReplayed "proof_replayed" Binding 401 InvalidDpopProof Yes
        "The proof has been used before"
    ProofPredatesMemory "proof_predates_memory" Binding 401 InvalidDpopProof Yes
        "The proof was made before the memory of spent proofs begins, so nobody can say that it is unused"
    ProofShareExceeded "proof_share_exceeded" Binding 429 None Yes
        "The client has filled its share of the memory of spent proofs"

    ScopeInsufficient "scope_insufficient" Policy 403 InsufficientScope Yes
        "The token lacks a scope that the operation wants"
    PolicyNotPermitted "policy_not_permitted" Policy 403 None Yes
        "No policy permits the request"
    PolicyForbidden "policy_forbidden" Policy 403 None Yes
        "A policy forbids the request"
    PolicyGuardrail "policy_guardrail" Policy 403 None Never
        "A guardrail forbids the request"

    FaultPolicyErrored "fault_policy_errored" Fault 503 None Never
        "A policy could not be evaluated"
    FaultKeysUnavailable "fault_keys_unavailable" Fault 503 None Never
        "The issuer's keys could not be had"
    FaultIntrospectionUnavailable "fault_introspection_unavailable" Fault 503 None Never
        "The issuer could not be asked about the token, or its answer was none"
    FaultStatusListUnavailable "fault_status_list_unavailable" Fault 503 None Never
        "The token's status list could not be had, or what was had is none that counts"
    FaultBundleMissing "fault_bundle_missing" Fault 503 None Never
        "No bundle has been loaded yet"
    FaultRevocationsStale "fault_revocations_stale" Fault 503 None Never
        "A source of revocations has been silent for too long to say that something is not revoked"
    FaultSpentStoreFull "fault_spent_store_full" Fault 503 None Never
        "The memory of spent proofs is full"
    FaultSpentStoreUnavailable "fault_spent_store_unavailable" Fault 503 None Never
        "The memory of spent proofs, which replicas share, did not answer in time"
    FaultOverloaded "fault_overloaded" Fault 503 None Never
        "More checks are under way than the limit"
    FaultDeadline "fault_deadline" Fault 503 None Never
        "The decision was not ready in time"
    FaultInternal "fault_internal" Fault 500 None Never
        "A defect of keybound"
}

impl Denial {
    /// The stable code.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        self.row().slug
    }

    /// The gRPC code for the CheckResponse. Never 0: Envoy allows on 0 alone.
    #[must_use]
    pub const fn grpc_code(self) -> NonZeroI32 {
        match self.row().status {
            400 => INVALID_ARGUMENT,
            401 => UNAUTHENTICATED,
            403 => PERMISSION_DENIED,
            429 => RESOURCE_EXHAUSTED,
            503 => UNAVAILABLE,
            _ => INTERNAL,
        }
    }
}

/// A code of `google.rpc.Code`; whatever is written here, the result is not 0.
const fn code(value: i32) -> NonZeroI32 {
    match NonZeroI32::new(value) {
        Some(code) => code,
        None => NonZeroI32::MAX,
    }
}
const INVALID_ARGUMENT: NonZeroI32 = code(3);
const PERMISSION_DENIED: NonZeroI32 = code(7);
const RESOURCE_EXHAUSTED: NonZeroI32 = code(8);
const INTERNAL: NonZeroI32 = code(13);
const UNAVAILABLE: NonZeroI32 = code(14);
const UNAUTHENTICATED: NonZeroI32 = code(16);
