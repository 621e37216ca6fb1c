//! The arguments of `keybound drill revoke`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::edge::drill::entrance::{Lanes, Place};
use crate::operator::revoke::Server;

/// Prove a control by using it
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Revoke a canary, and measure until every way in denies it
    Revoke(Box<Revoke>),
}

/// Revokes a canary, and measures until every way in denies it.
#[derive(Args)]
#[command(after_help = "\
A WAY IN is [NAME=]URL[ via ADDRESS]. The URL is what clients write: the proof names it. `via` says where its host is taken to be, so that
one replica, gateway or region is asked: --entry-point 'west=https://pay.example.com/payments via 10.2.0.5:8443'.

WHAT IS REVOKED is named by the canary itself:
  token              the canary's token, and nothing else
  subject, session   every token of the canary's `sub` or `sid` at its issuer, issued until now; new ones pass
  client             EVERY token of the canary's client, new ones too, until it is taken back: give it a client of its own
  proof-key          EVERY token bound to the canary's DPoP key, until it is taken back
  certificate        the canary's certificate, and EVERY token bound to it, until it is taken back

WHAT COUNTS. First the canary must be allowed at every way in, or nothing is revoked. A way in has held when it denies the canary (401 with
`invalid_token`, or a --denied-status) no later than --objective after the revocation was sent, and for --hold no try is allowed again. A
5xx, no answer, or any other refusal is no denial. Each second try is on a new connection, so that a load balancer spreads them over its
replicas; the others are on one that stays. The token is in no output and no record.

Exit code 0: the objective held at every way in; 1: it did not; 2: there was no drill; 3: it held, and --take-back failed.")]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct Revoke {
    /// A way in that the canary may use: [NAME=]URL[ via ADDRESS]
    #[arg(long, value_name = "WAY IN")]
    pub target: Place,
    /// One more: another replica, gateway, region or API
    #[arg(long = "entry-point", value_name = "WAY IN")]
    pub entry_points: Vec<Place>,
    /// The method of each try
    #[arg(long, default_value = "GET", value_parser = method)]
    pub method: http::Method,
    /// What is revoked; all but `token` hit more than the canary, see below
    #[arg(long = "revoke", value_name = "KIND", default_value = "token")]
    pub kind: Kind,
    /// Take the entry back at the end; needs the permission `cancel`
    #[arg(long)]
    pub take_back: bool,
    #[command(flatten)]
    pub credential: Credential,
    #[command(flatten)]
    pub binding: Binding,
    #[command(flatten)]
    pub measure: Measure,
    /// Why; it is in the entry, and others will read it
    #[arg(long, default_value = "a drill of revocation")]
    pub reason: String,
    /// A case reference: a ticket, say
    #[arg(long)]
    pub case: Option<String>,
    /// Write the record of the drill here, JSON, whole or not at all; `-` is standard output, and nothing else is written there
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Replace a record that is there; without it there is no drill
    #[arg(long, requires = "record")]
    pub force: bool,
    /// What standard output gets
    #[arg(long, default_value = "table")]
    pub format: Format,
    #[command(flatten)]
    pub server: Server,
}

/// Where the canary's token is from.
#[derive(Args)]
pub(super) struct Credential {
    /// A file with the canary's token
    #[arg(long, value_name = "FILE", required_unless_present = "token_endpoint", conflicts_with = "token_endpoint")]
    pub token_file: Option<PathBuf>,
    /// Or where one is had, with the client credentials grant
    #[arg(long, value_name = "URL", requires = "client_id")]
    pub token_endpoint: Option<String>,
    /// The canary's issuer; a JWT names it itself
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// The canary's client
    #[arg(long)]
    pub client_id: Option<String>,
    /// A file with the client's secret; without secret and key the certificate shows who asks
    #[arg(long, value_name = "FILE", conflicts_with = "client_key_file")]
    pub client_secret_file: Option<PathBuf>,
    /// How the secret is sent
    #[arg(long, default_value = "basic", requires = "client_secret_file")]
    pub client_secret_in: SecretIn,
    /// A file with the client's key for `private_key_jwt`: PKCS#8 in PEM, or a JWK
    #[arg(long, value_name = "FILE")]
    pub client_key_file: Option<PathBuf>,
    /// The `kid` of that key
    #[arg(long, requires = "client_key_file")]
    pub client_key_id: Option<String>,
    /// The audience of the client's assertions; by default the issuer, or the token endpoint if no issuer is given
    #[arg(long, value_name = "URL", requires = "client_key_file")]
    pub assertion_audience: Option<String>,
    /// The scopes that are asked for
    #[arg(long, requires = "token_endpoint")]
    pub scope: Option<String>,
    /// The resource that is asked for (RFC 8707)
    #[arg(long, value_name = "URL", requires = "token_endpoint")]
    pub resource: Option<String>,
    /// The audience that is asked for, at servers that take one
    #[arg(long, requires = "token_endpoint")]
    pub audience: Option<String>,
}

/// What the token is bound to, and whom the connections trust.
#[derive(Args)]
pub(super) struct Binding {
    /// Ask for a token that is bound by DPoP, to a key made for this drill
    #[arg(long, conflicts_with_all = ["dpop_key_file", "token_file"])]
    pub dpop: bool,
    /// A file with the DPoP key that the token is, or is to be, bound to: PKCS#8 in PEM or a JWK, P-256 or Ed25519
    #[arg(long, value_name = "FILE")]
    pub dpop_key_file: Option<PathBuf>,
    /// PEM file with the canary's certificate and its chain, for the ways in and the token endpoint
    #[arg(long, value_name = "FILE", requires = "certificate_key_file")]
    pub certificate_file: Option<PathBuf>,
    /// PEM file with its key
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    pub certificate_key_file: Option<PathBuf>,
    /// PEM file with CAs of the ways in and the token endpoint, beside the system's; the admin listener's is --ca
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// How it is measured.
#[derive(Args)]
pub(super) struct Measure {
    /// Every way in must deny for good by then, from when the revocation was sent
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub objective: Duration,
    /// A way in that does not deny by then never does; no less than the objective
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
    /// From one try at a way in to the next; 10ms at least
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = interval)]
    pub interval: Duration,
    /// So long every try must stay denied
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub hold: Duration,
    /// Which connections the tries are made on
    #[arg(long, default_value = "mixed")]
    pub connections: Connections,
    /// A status that is an allow, instead of 2xx; may be repeated
    #[arg(long = "allowed-status", value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..600))]
    pub allowed: Vec<u16>,
    /// A status that is a denial, beside 401 with `invalid_token`; may be repeated
    #[arg(long = "denied-status", value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..600))]
    pub denied: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    Token,
    Subject,
    Client,
    Session,
    ProofKey,
    Certificate,
}

impl Kind {
    /// Whether what is issued later is denied too, until somebody takes the entry back.
    pub const fn stays(self) -> bool {
        matches!(self, Self::Client | Self::ProofKey | Self::Certificate)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SecretIn {
    /// The Authorization header (`client_secret_basic`)
    Basic,
    /// The body (`client_secret_post`)
    Post,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Connections {
    /// A new one, and one that stays, by turns
    Mixed,
    /// A new one for each try
    New,
    /// One that stays
    Kept,
}

impl Connections {
    pub const fn lanes(self) -> Lanes {
        match self {
            Self::Mixed => Lanes::Mixed,
            Self::New => Lanes::New,
            Self::Kept => Lanes::Kept,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A table for people
    Table,
    /// The record
    Json,
}

/// `500ms`, `5s`, `2m`: an hour at most.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1_u64), ("s", 1_000), ("m", 60_000)];
    let millis = units.into_iter().find_map(|(unit, millis)| {
        let number = text.strip_suffix(unit).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
        number.parse::<u64>().ok()?.checked_mul(millis).filter(|millis| (1..=3_600_000).contains(millis))
    });
    millis.map(Duration::from_millis).ok_or_else(|| "write a time as 500ms, 5s or 2m, up to 60m".to_owned())
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < Duration::from_millis(10) { Err("10ms at least".to_owned()) } else { Ok(interval) }
}

fn method(text: &str) -> Result<http::Method, String> {
    let known = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    let method = known.then(|| text.parse().ok()).flatten();
    method.ok_or_else(|| "write a method in capital letters, as GET".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_bounds() {
        let millis = |text: &str| duration(text).ok().map(|time| time.as_millis());
        assert_eq!(["1ms", "5s", "60m"].map(millis), [Some(1), Some(5_000), Some(3_600_000)]);
        for bad in ["", "5", "0s", "-1s", "+1s", "1.5s", "61m", "5h", "s", "5 s", "99999999999999999999s"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
        assert!(interval("9ms").is_err() && interval("10ms").is_ok());
        assert!(method("GET").is_ok() && method("get").is_err() && method("").is_err());
    }

    #[test]
    fn a_way_in_has_a_name_a_url_and_an_address_where_it_is_taken_to_be() {
        let read = |text: &str| text.parse::<Place>();
        let plain = read("https://pay.example.com/a?b=c").unwrap();
        assert_eq!((plain.name, plain.url.as_str(), plain.via), (None, "https://pay.example.com/a?b=c", None));
        let named = read("west=https://pay.example.com/a?b=c via 10.0.0.5:8443").unwrap();
        assert_eq!(named.name.as_deref(), Some("west"));
        assert_eq!((named.url.as_str(), named.via), ("https://pay.example.com/a?b=c", "10.0.0.5:8443".parse().ok()));
        assert_eq!(read("https://a.test:8443/ via ::1").unwrap().via, "[::1]:8443".parse().ok());
        for (bad, told) in [
            ("http://pay.example.com/", "https://"),
            ("pay.example.com", "is no URL"),
            ("we st=https://pay.example.com/", "is no URL"),
            ("https://me:secret@pay.example.com/", "user name"),
            ("https://pay.example.com/ via nowhere", "no address"),
            ("https://pay.example.com:8443/ via 10.0.0.5:443", "two ports"),
            ("https://10.0.0.5/ via 10.0.0.6", "write that address"),
            ("http://127.0.0.1:80/ via 10.0.0.6", "for https:// alone"),
        ] {
            let wrong = read(bad).unwrap_err();
            assert!(wrong.contains(told) && !wrong.contains("secret"), "{bad}: {wrong}");
        }
    }
}
