//! The Redis that replicas share: addresses, TLS, password, and whether it can be trusted to keep anything. What is kept there is the
//! business of who asks for a connection.
//!
//! Files are read at every connect, so that a new password or certificate is taken without a restart. The server's certificate is
//! verified against the host that is configured. What Redis says of an error is told by its code alone: it may quote what it was sent.

pub mod epoch;
pub mod examine;
mod sentinel;
pub mod slots;

use std::path::PathBuf;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisError, TlsCertificates,
};

use crate::config::{Redis, RedisAddress};
use crate::edge::{files, random};
use crate::problem::Problem;

/// A password, at most.
const PASSWORD_BYTES: u64 = 4096;
/// Commands that wait to be written, at most; more wait to wait.
const WAITING: usize = 4096;

/// Makes connections.
#[derive(Clone, Debug)]
pub struct Dialer {
    redis: Redis,
}

/// Who is at the other end: each knows us by its own name and password.
#[derive(Clone, Copy)]
enum Role {
    Redis,
    Sentinel,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum NoConnection {
    /// A file is missing or broken.
    #[error("{0}")]
    File(Problem),
    /// Redis, or the way to it.
    #[error("{}", words(.0))]
    Redis(#[from] RedisError),
    /// It took too long.
    #[error("no answer in time")]
    Late,
}

impl Dialer {
    /// Connections to this one.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// What is configured.
    #[must_use]
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Reads every file that a connect reads, and nothing else.
    ///
    /// # Errors
    /// One is missing or broken.
    pub fn check_files(&self) -> Result<(), Problem> {
        let address = RedisAddress { host: "localhost".to_owned(), port: 1 };
        let roles = if self.redis.sentinel.is_some() { &[Role::Redis, Role::Sentinel][..] } else { &[Role::Redis] };
        let made = roles.iter().try_for_each(|role| self.client(*role, &address).map(drop));
        match made {
            Ok(()) => Ok(()),
            Err(NoConnection::File(problem)) => Err(problem),
            Err(NoConnection::Redis(_) | NoConnection::Late) => {
                let tls = self.redis.tls.as_ref();
                let named = tls.and_then(|tls| tls.certificate.as_ref().or(tls.ca_file.as_ref()));
                let path = named.cloned().unwrap_or_else(|| PathBuf::from("redis"));
                let what = "this holds no certificate and key that TLS can use".to_owned();
                Err(files::whole(&path, what, "give PEM, the certificate and its key"))
            }
        }
    }

    /// A connection that is driven by the runtime that this is called on.
    ///
    /// # Errors
    /// [`NoConnection`].
    pub async fn connect(
        &self,
        address: &RedisAddress,
        at_most: Duration,
    ) -> Result<MultiplexedConnection, NoConnection> {
        self.connect_as(Role::Redis, address, at_most).await
    }

    async fn connect_as(
        &self,
        role: Role,
        address: &RedisAddress,
        at_most: Duration,
    ) -> Result<MultiplexedConnection, NoConnection> {
        let (dialer, to) = (self.clone(), address.clone());
        // Files may be on a disk that is slow: checks on this thread do not wait for it.
        let client =
            tokio::task::spawn_blocking(move || dialer.client(role, &to)).await.map_err(|_| NoConnection::Late)??;
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(at_most))
            // Who sends a command has a deadline of their own.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(WAITING);
        let connecting = client.get_multiplexed_async_connection_with_config(&settings);
        Ok(tokio::time::timeout(at_most, connecting).await.map_err(|_| NoConnection::Late)??)
    }

    fn client(&self, role: Role, address: &RedisAddress) -> Result<Client, NoConnection> {
        let Redis { tls, sentinel, .. } = &self.redis;
        let (username, password_file, database) = match (role, sentinel) {
            // Sentinels have no databases, and a password of their own.
            (Role::Sentinel, Some(sentinel)) => (&sentinel.username, &sentinel.password_file, &0),
            (Role::Redis, _) | (Role::Sentinel, None) => {
                (&self.redis.username, &self.redis.password_file, &self.redis.database)
            }
        };
        // Redis need not allow CLIENT SETINFO for us.
        let mut settings = RedisConnectionInfo::default().set_db(i64::from(*database)).set_skip_set_lib_name();
        if let Some(path) = password_file {
            settings = settings.set_password(password(path)?);
        }
        if let Some(username) = username {
            settings = settings.set_username(username);
        }
        let (host, port) = (address.host.clone(), address.port);
        let to = match tls {
            Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            None => ConnectionAddr::Tcp(host, port),
        };
        let tcp = TcpSettings::default().set_nodelay(true);
        let info = to.into_connection_info()?.set_redis_settings(settings).set_tcp_settings(tcp);
        let Some(tls) = tls else { return Ok(Client::open(info)?) };
        let file = |path: &PathBuf| files::read(path, files::FILE_BYTES).map_err(NoConnection::File);
        let client_tls = match (&tls.certificate, &tls.key) {
            (Some(certificate), Some(key)) => {
                Some(ClientTlsConfig { client_cert: file(certificate)?, client_key: file(key)? })
            }
            _ => None,
        };
        let root_cert = tls.ca_file.as_ref().map(file).transpose()?;
        Ok(Client::build_with_tls(info, TlsCertificates { client_tls, root_cert })?)
    }
}

fn password(path: &std::path::Path) -> Result<String, NoConnection> {
    let bytes = files::read(path, PASSWORD_BYTES).map_err(NoConnection::File)?;
    let refuse = |what: &str| {
        let remedy = "write the password alone on one line, in UTF-8";
        NoConnection::File(files::whole(path, what.to_owned(), remedy))
    };
    let text = String::from_utf8(bytes).map_err(|_| refuse("this password is not UTF-8"))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(refuse("there is no password in this file")),
        password if password.contains('\n') => Err(refuse("there is more than a password in this file")),
        password => Ok(password.to_owned()),
    }
}

/// What went wrong, without a word of what was sent.
#[must_use]
pub fn words(error: &RedisError) -> String {
    match error.code() {
        Some(code) => format!("Redis says {code}"),
        None if error.is_timeout() => "no answer in time".to_owned(),
        None if error.is_connection_refusal() => "nobody listens there".to_owned(),
        None if error.is_connection_dropped() => "the connection has ended".to_owned(),
        // The words of the system or of TLS, which knows nothing of what is sent.
        None if error.is_io_error() => format!("the connection failed: {error}"),
        None => error.category().to_owned(),
    }
}

/// A pause, up to half as long again, so that a fleet does not come all at once.
#[must_use]
pub fn spread(pause: Duration) -> Duration {
    let part = random::sixteen().and_then(|random| random.first().copied()).unwrap_or_default();
    pause.saturating_add(pause.saturating_mul(u32::from(part)).checked_div(512).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::config::{Layout, RedisTls};

    fn dialer(directory: &std::path::Path, password: &str) -> Dialer {
        std::fs::write(directory.join("password"), password).unwrap();
        Dialer::new(Redis {
            layout: Layout::Single,
            addresses: Vec::new(),
            sentinel: None,
            tls: None,
            username: Some("keybound".to_owned()),
            password_file: Some(directory.join("password")),
            database: 0,
            timeout: Duration::from_millis(50),
            key_prefix: "keybound".to_owned(),
        })
    }

    #[test]
    fn a_password_is_one_line() {
        let directory = tempfile::tempdir().unwrap();
        for good in ["hush", "hush\n", "hush\r\n", "two words"] {
            assert!(dialer(directory.path(), good).check_files().is_ok(), "{good}");
        }
        for bad in ["", "\n", "hush\nhush\n"] {
            let problem = dialer(directory.path(), bad).check_files().unwrap_err();
            assert!(!problem.to_string().contains("hush"), "{problem}");
        }
    }

    #[test]
    fn a_missing_or_broken_file_is_told_without_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let mut missing = dialer(directory.path(), "hush");
        missing.redis.password_file = Some(directory.path().join("none"));
        assert!(missing.check_files().unwrap_err().to_string().contains("cannot be read"));
        let mut broken = dialer(directory.path(), "hush");
        let file = directory.path().join("broken.pem");
        std::fs::write(&file, "-----BEGIN PRIVATE KEY-----\nhush\n").unwrap();
        let tls = RedisTls { ca_file: None, certificate: Some(file.clone()), key: Some(file) };
        broken.redis.tls = Some(tls);
        let problem = broken.check_files().unwrap_err();
        assert!(!problem.to_string().contains("hush"), "{problem}");
    }
}
