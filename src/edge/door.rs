//! The TLS of one listener: what new connections are met with, and who among the callers is let in.
//!
//! The files are read by the keeper, at the start and when their content changes; a handshake uses what was there when it began.
//! No session is resumed, so each connection shows a certificate that is good now. Connections that stand, stand.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Tls;
use crate::decision::certificate;
use crate::edge::files::whole;
use crate::edge::patience::Seldom;
use crate::problem::Problem;

/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Handshakes of one listener at once: far above the connections of any Envoy, far below the least number of descriptors that a
/// process may have (1024 by custom). Whoever connects and says nothing takes no more than these.
const HANDSHAKES: usize = 256;
/// Characters of a caller's name that are logged.
const NAME_SHOWN: usize = 128;

/// Who may connect, and how.
pub struct Door {
    listener: String,
    tls: ArcSwap<ServerConfig>,
    /// URI or DNS names; `None` lets in whoever has a certificate of the client CA, or anyone if there is no client CA.
    callers: Option<Vec<String>>,
    manner: Manner,
    places: Arc<Semaphore>,
    failed: Mutex<Seldom>,
    turned_away: Mutex<Seldom>,
}

/// What a listener asks of TLS beyond its files.
#[derive(Clone, Copy, Default)]
pub struct Manner {
    /// HTTP/1.1 is spoken too, not HTTP/2 alone.
    pub http1: bool,
    /// Who has no certificate is let in: it shows who it is in another way.
    pub certificate_optional: bool,
}

/// What the files of a TLS listener hold.
pub struct DoorFiles {
    /// PEM: our chain.
    pub certificate: Vec<u8>,
    /// PEM: its key.
    pub key: Vec<u8>,
    /// PEM: the CA of the callers, if they are asked who they are.
    pub client_ca: Option<Vec<u8>>,
}

impl Door {
    /// Opens that of a listener with what the files hold now. `tls` says which they are.
    ///
    /// # Errors
    /// What is wrong, and in which file.
    pub fn open(listener: &str, tls: &Tls, files: &DoorFiles) -> Result<Self, Problem> {
        Self::open_as(Manner::default(), listener, tls, files)
    }

    /// [`Door::open`] in this manner.
    ///
    /// # Errors
    /// As [`Door::open`].
    pub fn open_as(manner: Manner, listener: &str, tls: &Tls, files: &DoorFiles) -> Result<Self, Problem> {
        Ok(Self {
            listener: listener.to_owned(),
            tls: ArcSwap::from(server_config(tls, files, manner)?),
            callers: tls.callers.clone(),
            manner,
            places: Arc::new(Semaphore::new(HANDSHAKES)),
            failed: Mutex::default(),
            turned_away: Mutex::default(),
        })
    }

    /// From now on handshakes use what the files hold now.
    ///
    /// # Errors
    /// As [`Door::open`]; then nothing changes.
    pub fn renew(&self, tls: &Tls, files: &DoorFiles) -> Result<(), Problem> {
        self.tls.store(server_config(tls, files, self.manner)?);
        Ok(())
    }

    /// A place for one more handshake, waited for. It is kept until the handshake is over.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Shakes hands and looks who it is.
    pub async fn admit<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Option<TlsStream<S>> {
        let acceptor = TlsAcceptor::from(self.tls.load_full());
        let why = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => return self.listed(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("not over after {} seconds", HANDSHAKE.as_secs()),
        };
        if let Some(times) = due(&self.failed) {
            tracing::warn!(listener = self.listener, why, times, "a TLS handshake on a listener failed");
        }
        None
    }

    fn listed<S>(&self, stream: TlsStream<S>) -> Option<TlsStream<S>> {
        let Some(callers) = &self.callers else { return Some(stream) };
        let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let names = leaf.and_then(|leaf| certificate::names_of(leaf));
        if names.as_ref().is_some_and(|names| is_among(callers, &names.uris, &names.dns_names)) {
            return Some(stream);
        }
        let names: Vec<_> = names.into_iter().flat_map(|names| names.uris.into_iter().chain(names.dns_names)).collect();
        if let Some(times) = due(&self.turned_away) {
            // Whom the operator may want to list; the client CA has vouched for the name.
            let caller = names.first().map(|name| name.chars().take(NAME_SHOWN).collect::<String>());
            let listener = &self.listener;
            tracing::warn!(
                listener,
                caller,
                times,
                "a caller that is not listed was turned away from a check listener"
            );
        }
        None
    }
}

/// Whether a caller with these names is listed. What reads like a URI is compared with URIs alone, and other names with DNS names
/// alone: a DNS name may be spelled like a URI (CVE-2022-21656 is of this kind).
fn is_among(callers: &[String], uris: &[String], dns_names: &[String]) -> bool {
    callers.iter().any(|caller| is_named(caller, uris, dns_names))
}

/// Whether this caller is the one with these names.
pub(super) fn is_named(caller: &String, uris: &[String], dns_names: &[String]) -> bool {
    if caller.contains("://") { uris } else { dns_names }.contains(caller)
}

/// Whether to tell, and how often it came. Where the count cannot be had, it is told.
fn due(seldom: &Mutex<Seldom>) -> Option<u64> {
    seldom.lock().map_or(Some(1), |mut seldom| seldom.due(Instant::now()))
}

/// Errors of the PEM reader quote lines of the file, so they are not passed on.
fn server_config(tls: &Tls, files: &DoorFiles, manner: Manner) -> Result<Arc<ServerConfig>, Problem> {
    let Ok(key) = PrivateKeyDer::from_pem_slice(&files.key) else {
        return Err(whole(
            &tls.key,
            "no PEM private key can be read from this file".to_owned(),
            "give the key, in PEM",
        ));
    };
    let chain = certificates(&tls.certificate, &files.certificate)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let unfit = |path: &Path, error: &dyn core::fmt::Display, remedy| whole(path, error.to_string(), remedy);
    let fit = "give a certificate chain, leaf first, and the private key of the leaf";
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unfit(&tls.certificate, &error, fit))?;
    let builder = match (&tls.client_ca, &files.client_ca) {
        (Some(path), Some(authorities)) => {
            let roots = "give PEM certificates of the CAs that callers' certificates chain to";
            let mut store = RootCertStore::empty();
            for certificate in certificates(path, authorities)? {
                store.add(certificate).map_err(|error| unfit(path, &error, roots))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
            let verifier = if manner.certificate_optional { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| unfit(path, &error, roots))?)
        }
        // A CA that is named and not read must not turn into nobody being asked.
        (Some(path), None) => return Err(whole(path, "this file was not read".to_owned(), "name a file")),
        (None, _) => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|error| {
        let what = format!("this certificate and the key in {} cannot be used together: {error}", tls.key.display());
        whole(&tls.certificate, what, fit)
    })?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    if manner.http1 {
        config.alpn_protocols.push(b"http/1.1".to_vec());
    }
    // Nothing is resumed: a session would let a caller in after its certificate has expired, or its CA has gone.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().unwrap_or_default();
    if all.is_empty() {
        let what = "no PEM certificates can be read from this file".to_owned();
        return Err(whole(path, what, "give certificates in PEM"));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::path::PathBuf;

    use super::*;

    fn files() -> DoorFiles {
        let made = rcgen::generate_simple_self_signed(["keybound.test".to_owned()]).unwrap();
        let pem = made.cert.pem().into_bytes();
        DoorFiles { client_ca: Some(pem.clone()), certificate: pem, key: made.signing_key.serialize_pem().into_bytes() }
    }

    fn tls() -> Tls {
        let path = |name: &str| PathBuf::from(name);
        Tls { certificate: path("a.crt"), key: path("a.key"), client_ca: Some(path("ca.crt")), callers: None }
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_name_and_changes_nothing() {
        let good = files();
        let door = Door::open("edge", &tls(), &good).unwrap();
        let before = door.tls.load_full();
        let cut = |pem: &[u8]| pem.get(..pem.len() / 2).unwrap().to_vec();
        let broken: [(&str, DoorFiles); 6] = [
            ("a.crt", DoorFiles { certificate: Vec::new(), ..files() }),
            ("a.crt", DoorFiles { certificate: cut(&good.certificate), ..files() }),
            ("a.crt", DoorFiles { key: files().key, ..files() }),
            ("a.key", DoorFiles { key: cut(&good.key), ..files() }),
            ("ca.crt", DoorFiles { client_ca: Some(b"x".to_vec()), ..files() }),
            ("ca.crt", DoorFiles { client_ca: None, ..files() }),
        ];
        for (file, broken) in broken {
            let problem = door.renew(&tls(), &broken).unwrap_err();
            assert_eq!(problem.place.file, file, "{problem}");
            assert!(Arc::ptr_eq(&before, &door.tls.load_full()), "{problem}");
        }
        door.renew(&tls(), &files()).unwrap();
        assert!(!Arc::ptr_eq(&before, &door.tls.load_full()));
    }

    #[test]
    fn no_session_is_resumed() {
        let config = server_config(&tls(), &files(), Manner::default()).unwrap();
        assert!(!config.session_storage.can_cache() && config.send_tls13_tickets == 0 && !config.ticketer.enabled());
    }

    #[test]
    fn a_name_is_listed_as_what_it_is() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let callers = list(&["spiffe://mesh.test/edge", "edge.mesh.test"]);
        let (uri, dns) = (list(&["spiffe://mesh.test/edge"]), list(&["edge.mesh.test"]));
        assert!(is_among(&callers, &uri, &[]) && is_among(&callers, &[], &dns));
        assert!(!is_among(&callers, &dns, &uri), "a DNS name spelled like a URI, and a URI spelled like a DNS name");
    }

    #[test]
    fn a_key_that_is_no_pem_is_not_quoted() {
        let key = b"-----BEGIN PRIVATE KEY MIIsecret\nsecret\n".to_vec();
        let problem = Door::open("edge", &tls(), &DoorFiles { key, ..files() }).err().unwrap();
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
    #[tokio::test]
    async fn silent_callers_take_no_more_than_the_places_there_are() {
        let door = Door::open("edge", &tls(), &files()).unwrap();
        let mut places = Vec::new();
        for _ in 0..HANDSHAKES {
            places.push(door.place().await.unwrap());
        }
        let brief = Duration::from_millis(50);
        assert!(tokio::time::timeout(brief, door.place()).await.is_err(), "one more waits");
        places.pop();
        assert!(tokio::time::timeout(brief, door.place()).await.is_ok(), "and gets the place that is left");
    }
}
