//! The client certificate.

/// Where the client certificate comes from, and who vouches for it. Made by `config/`, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRules {
    /// Exactly one source; another one's header is ignored.
    pub source: CertificateSource,
    /// Who has verified the chain; without it the names in a certificate are not evidence.
    pub chain: ChainTrust,
}

/// The one place that the client certificate is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// There is none: a certificate-bound token cannot be used.
    None,
    /// `source.certificate` of the CheckRequest (`include_peer_certificate`).
    EnvoyPeerCertificate,
    /// The `x-forwarded-client-cert` header.
    Xfcc(XfccRules),
    /// The `Client-Cert` header (RFC 9440), set by a terminating proxy in front. The direct peer must be listed,
    /// unless the list is empty.
    ClientCert {
        /// Identities (`source.principal`) of the proxies that may set the header.
        trusted_hops: Vec<String>,
    },
}

/// How the right element of `x-forwarded-client-cert` is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XfccRules {
    /// Which element, counted from the right; 1 is the last one, what the direct peer wrote.
    pub hop: usize,
    /// Identities (URI) that every element right of the chosen one, and the direct peer, must carry.
    pub trusted_hops: Vec<String>,
    /// Our own identity, if the element's `By` must name it.
    pub by: Option<String>,
}

/// Who vouches for the chain above the client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainTrust {
    /// Nobody: only the thumbprint is evidence.
    Nobody,
    /// Envoy has verified it (`trusted_ca`, and no `ACCEPT_UNTRUSTED`).
    Envoy,
    /// We verify it against our own trust bundle.
    Keybound,
}
