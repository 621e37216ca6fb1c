//! What the operator has configured, and the snapshot that comes of it. One row of a table is judged in one setting.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use keybound::decision::binding::ProofRules;
use keybound::decision::binding::nonce::NonceKeys;
use keybound::decision::certificate::{CertificateRules, CertificateSource, ChainTrust, TrustBundle, XfccRules};
use keybound::decision::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound::decision::policy::{Estate, Evaluation};
use keybound::decision::route::Api;
use keybound::decision::snapshot::{Bundle, Snapshot};
use keybound::decision::status_list::{Signer, StatusPolicy, StatusRules};
use keybound::edge::revocations::list::RevocationList;
use keybound::edge::status_lists::Shelf;

use super::NOW;
use super::inventory::{apis, inventory, registry};
use super::issuers::{LEGACY, SERVER, SIGNER, issuers};
use super::pki::{GATEWAY, WAYPOINT, pki};
use super::policies::policies;
use super::request::STATUS_HOST;
use super::revoked::{revoked, stale};

/// A configuration of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setting {
    /// Certificates from `source.certificate`; nobody vouches for their chain.
    Standard,
    /// Envoy vouches for the chain.
    VerifiedByEnvoy,
    /// Our own trust bundle of root and intermediate vouches for it.
    VerifiedByKeybound,
    /// No certificate source.
    WithoutCertificates,
    /// No bundle has been loaded yet.
    WithoutBundle,
    /// The profile `fapi2`.
    Fapi2,
    /// Proofs may use ES256 alone.
    OnlyEs256,
    /// Certificates from the last element of `x-forwarded-client-cert`.
    Xfcc,
    /// From the last element; the gateway is the listed peer.
    XfccFromGateway,
    /// From the last element but one; the gateway is the listed hop.
    XfccBehindGateway,
    /// From the last element but two; the gateway and the waypoint are the listed hops.
    XfccBehindTwo,
    /// From the last element, whose `By` must name us.
    XfccWithBy,
    /// From the last element; Envoy vouches for the chain.
    XfccVerifiedByEnvoy,
    /// From the last element; our own trust bundle of the root alone vouches for the chain.
    XfccVerifiedByKeybound,
    /// Certificates from `Client-Cert`, whoever the peer is.
    ClientCert,
    /// From `Client-Cert`; the gateway is the listed hop.
    ClientCertBehindGateway,
    /// As standard, with something of every kind revoked.
    Revoked,
    /// The same, with certificates from the last element of `x-forwarded-client-cert`.
    RevokedXfcc,
    /// As standard, with a source of revocations that has been silent for too long.
    Stale,
    /// As standard, with status lists that the first issuer signs itself; the legacy one's are ignored.
    Listed,
    /// The same, and each token of the first issuer must name one.
    ListRequired,
    /// The same as the first, but that somebody else signs the lists.
    ListedBySigner,
    /// As standard, with a source of revocations that is good until the time of the tests.
    FreshUntilNow,
}

/// Our own identity, which `By` names.
pub const OURSELVES: &str = "spiffe://example.org/ns/edge/sa/keybound";

/// Proofs are this old at most.
pub const MAX_AGE: i64 = 60;
/// Proofs are this far ahead at most.
pub const FUTURE_SKEW: i64 = 10;
/// Status lists have this many bytes at most.
pub const MOST_LIST_BYTES: usize = 256 * 1024;
/// Nonces live this long.
pub const NONCE_LIFETIME: i64 = 300;

const MINTING_KEY: [u8; 32] = [0x4b; 32];
/// The key that minted before; it still verifies.
const PREVIOUS_KEY: [u8; 32] = [0x4c; 32];

impl Setting {
    /// The snapshot, built once.
    pub fn snapshot(self) -> Arc<Snapshot> {
        static SNAPSHOTS: LazyLock<Mutex<HashMap<Setting, Arc<Snapshot>>>> = LazyLock::new(Mutex::default);
        let mut snapshots = SNAPSHOTS.lock().expect("no panic while building");
        Arc::clone(snapshots.entry(self).or_insert_with(|| Arc::new(self.build())))
    }

    /// The same, but that policies are all asked by Cedar's own authorizer. Built once.
    pub fn whole(self) -> Arc<Snapshot> {
        static SNAPSHOTS: LazyLock<Mutex<HashMap<Setting, Arc<Snapshot>>>> = LazyLock::new(Mutex::default);
        let mut snapshots = SNAPSHOTS.lock().expect("no panic while building");
        let build = || {
            let bundle = Arc::new(Bundle { policies: policies(Evaluation::Whole), ..bundle_of(apis()) });
            let snapshot = self.build();
            Arc::new(Snapshot { bundle: snapshot.bundle.as_ref().map(|_| bundle), ..snapshot })
        };
        Arc::clone(snapshots.entry(self).or_insert_with(build))
    }

    /// A snapshot of its own, for a test that changes it.
    pub fn build(self) -> Snapshot {
        let (tokens, proofs) = self.algorithms();
        Snapshot {
            tokens: keybound::edge::known::memories(16).0,
            leaves: keybound::edge::known::memories(16).1,
            status_lists: Arc::new(Shelf::default()),
            issuers: issuers(tokens, |issuer| self.status(issuer)),
            revocations: Arc::new(self.revocations()),
            certificates: Arc::new(self.certificates()),
            trust: self.trust().map(Arc::new),
            proofs: Arc::new(ProofRules {
                algorithms: AlgorithmSet::new(proofs),
                max_age_seconds: MAX_AGE,
                future_skew_seconds: FUTURE_SKEW,
                nonce_lifetime_seconds: NONCE_LIFETIME,
            }),
            nonces: Arc::new(NonceKeys::new(&MINTING_KEY, &[PREVIOUS_KEY.to_vec()])),
            metadata: false,
            bundle: (self != Self::WithoutBundle).then(|| Arc::new(bundle_of(apis()))),
        }
    }

    fn status(self, issuer: &str) -> StatusPolicy {
        let (required, signer) = match self {
            Self::Listed => (false, None),
            Self::ListRequired => (true, None),
            Self::ListedBySigner => {
                (false, Some(Signer { issuer: SIGNER.to_owned(), algorithms: AlgorithmSet::new(&[Algorithm::Es256]) }))
            }
            _ => return StatusPolicy::default(),
        };
        let origins = [STATUS_HOST, "status.example.com:8443"].map(|host| format!("https://{host}")).to_vec();
        match issuer {
            SERVER => StatusPolicy::Checked(StatusRules { origins, required, signer, most_bytes: MOST_LIST_BYTES }),
            LEGACY => StatusPolicy::Ignored,
            _ => StatusPolicy::default(),
        }
    }

    fn revocations(self) -> RevocationList {
        match self {
            Self::Revoked | Self::RevokedXfcc => revoked(),
            Self::Stale => stale(NOW - 1),
            Self::FreshUntilNow => stale(NOW),
            _ => RevocationList::new([]),
        }
    }

    fn algorithms(self) -> (&'static [Algorithm], &'static [Algorithm]) {
        match self {
            Self::Fapi2 => (&AlgorithmSet::FAPI2, &AlgorithmSet::FAPI2),
            Self::OnlyEs256 => (&AlgorithmSet::TOKENS, &[Algorithm::Es256]),
            _ => (&AlgorithmSet::TOKENS, &AlgorithmSet::PROOFS),
        }
    }

    fn certificates(self) -> CertificateRules {
        let xfcc = |hop: usize, trusted_hops: &[&str], by: Option<&str>| {
            CertificateSource::Xfcc(XfccRules {
                hop,
                trusted_hops: trusted_hops.iter().map(|hop| (*hop).to_owned()).collect(),
                by: by.map(str::to_owned),
            })
        };
        let (source, chain) = match self {
            Self::Standard
            | Self::WithoutBundle
            | Self::Fapi2
            | Self::OnlyEs256
            | Self::Revoked
            | Self::Stale
            | Self::Listed
            | Self::ListRequired
            | Self::ListedBySigner
            | Self::FreshUntilNow => (CertificateSource::EnvoyPeerCertificate, ChainTrust::Nobody),
            Self::VerifiedByEnvoy => (CertificateSource::EnvoyPeerCertificate, ChainTrust::Envoy),
            Self::VerifiedByKeybound => (CertificateSource::EnvoyPeerCertificate, ChainTrust::Keybound),
            Self::WithoutCertificates => (CertificateSource::None, ChainTrust::Nobody),
            Self::Xfcc | Self::RevokedXfcc => (xfcc(1, &[], None), ChainTrust::Nobody),
            Self::XfccBehindGateway => (xfcc(2, &[GATEWAY], None), ChainTrust::Nobody),
            Self::XfccFromGateway => (xfcc(1, &[GATEWAY], None), ChainTrust::Nobody),
            Self::XfccBehindTwo => (xfcc(3, &[GATEWAY, WAYPOINT], None), ChainTrust::Nobody),
            Self::XfccWithBy => (xfcc(1, &[], Some(OURSELVES)), ChainTrust::Nobody),
            Self::XfccVerifiedByEnvoy => (xfcc(1, &[], None), ChainTrust::Envoy),
            Self::XfccVerifiedByKeybound => (xfcc(1, &[], None), ChainTrust::Keybound),
            Self::ClientCert => (CertificateSource::ClientCert { trusted_hops: vec![] }, ChainTrust::Nobody),
            Self::ClientCertBehindGateway => {
                (CertificateSource::ClientCert { trusted_hops: vec![GATEWAY.to_owned()] }, ChainTrust::Nobody)
            }
        };
        CertificateRules { source, chain }
    }

    fn trust(self) -> Option<TrustBundle> {
        let pem = match self {
            // `source.certificate` is the leaf alone, so the bundle must hold the intermediate.
            Self::VerifiedByKeybound => format!("{}{}", pki().root_pem, pki().client.chain_pem),
            Self::XfccVerifiedByKeybound => pki().root_pem.clone(),
            _ => return None,
        };
        Some(TrustBundle::from_pem(pem.as_bytes()).expect("a trust bundle"))
    }
}

/// The bundle with these APIs.
pub fn bundle_of(apis: Vec<Api>) -> Bundle {
    let (inventory, clients) = (inventory(apis), registry());
    let estate = Estate::new(&inventory, &clients);
    Bundle { revision: "tests".to_owned(), inventory, clients, policies: policies(Evaluation::Indexed), estate }
}

/// A nonce of ours for an API.
pub fn nonce(api: &str, minted: i64) -> String {
    NonceKeys::new(&MINTING_KEY, &[]).mint(api, minted)
}

/// A nonce that another replica minted with the previous key.
pub fn nonce_of_previous_key(api: &str, minted: i64) -> String {
    NonceKeys::new(&PREVIOUS_KEY, &[]).mint(api, minted)
}

/// A nonce of somebody else, such as the authorization server.
pub fn nonce_of_nobody(api: &str, minted: i64) -> String {
    NonceKeys::new(&[0x01; 32], &[]).mint(api, minted)
}
