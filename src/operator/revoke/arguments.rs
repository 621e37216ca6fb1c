//! The arguments of `keybound revoke`, with the help that somebody in an incident reads.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Revoke now, see what is revoked, take it back
#[derive(Args)]
#[command(after_help = "\
WHICH ONE?
  A token leaked                      token --token-file FILE     that token alone, at once
  A person's or robot's laptop is gone
                                      subject --sub …             their tokens until now; new ones pass, some seconds later
  A client's secret leaked            client --client-id …        every token of that client, new ones too, until taken back
  A DPoP key was stolen               proof-key --jkt …           every token bound to that key
  A client certificate was stolen     certificate --certificate-file FILE
                                                                  the certificate, and tokens bound to it
  An issuer's signing key leaked      key --kid …                 every token verified with that key
  An issuer is taken over             issuer --issuer …           every token of it

It bites as soon as the answer is here. Asking again with the same --id is asking once. Exit code 0: done; 3: in force, but not stored
yet (ask again with the same --id); 4: done at this replica, and the others are told when Redis takes it (if that cannot wait, ask each, without --id); 1: not done.")]
pub struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum What {
    /// One token: from a file, which stays here, or by its `jti`
    Token {
        /// A file with the token. Only its issuer and id, or its hash, are sent; never the token
        #[arg(long, value_name = "FILE", required_unless_present = "jti", conflicts_with = "jti")]
        token_file: Option<PathBuf>,
        /// Its `jti`; needs --issuer
        #[arg(long, requires = "issuer", allow_hyphen_values = true)]
        jti: Option<String>,
        /// Its issuer; a JWT in a file names it itself
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
        #[command(flatten)]
        ask: Ask,
    },
    /// One token by the SHA-256 of its text
    TokenHash {
        /// Who issued it
        #[arg(long, value_name = "URL")]
        issuer: String,
        /// The hash, base64url without padding
        #[arg(long, allow_hyphen_values = true)]
        sha256: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// Every token about a subject that was issued until now; new ones pass
    Subject {
        /// Who knows the subject
        #[arg(long, value_name = "URL")]
        issuer: String,
        /// The `sub`
        #[arg(long)]
        sub: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// Every token of a client, new ones too
    Client {
        /// Who knows the client
        #[arg(long, value_name = "URL")]
        issuer: String,
        /// The client's id there
        #[arg(long)]
        client_id: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// Every token of a session that was issued until now
    Session {
        /// Whose session it is
        #[arg(long, value_name = "URL")]
        issuer: String,
        /// The `sid`
        #[arg(long, allow_hyphen_values = true)]
        sid: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// Every token that is verified with a key of an issuer
    Key {
        /// Whose key
        #[arg(long, value_name = "URL")]
        issuer: String,
        /// Its `kid`
        #[arg(long, allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// Every token of an issuer
    Issuer {
        /// The issuer
        #[arg(long, value_name = "URL")]
        issuer: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// Every token that is bound to a DPoP key
    ProofKey {
        /// The key's RFC 7638 thumbprint, base64url (`cnf.jkt` of the tokens)
        #[arg(long, allow_hyphen_values = true)]
        jkt: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// A client certificate, and every token that is bound to it
    Certificate {
        /// PEM file; the first certificate in it
        #[arg(long, value_name = "FILE", required_unless_present = "thumbprint", conflicts_with = "thumbprint")]
        certificate_file: Option<PathBuf>,
        /// SHA-256 of the certificate, base64url (`cnf.x5t#S256` of the tokens)
        #[arg(long, allow_hyphen_values = true)]
        thumbprint: Option<String>,
        #[command(flatten)]
        ask: Ask,
    },
    /// A client certificate of which only issuer and serial number are known
    #[command(long_about = "\
A client certificate of which only issuer and serial number are known.

CAREFUL: a certificate's hash has no serial number. While one such entry is in force, every request whose certificate is known by its
hash alone (Hash= of x-forwarded-client-cert) is denied as certificate_status_unknown, because it could be the one. Revoke by
`certificate` wherever you have the certificate or its thumbprint.")]
    CertificateSerial {
        /// The certificate's issuer, RFC 2253: most specific part first, such as `CN=Clients,O=Example`
        #[arg(long, value_name = "NAME")]
        certificate_issuer: String,
        /// The serial number, lower-case hexadecimal
        #[arg(long)]
        serial: String,
        #[command(flatten)]
        ask: Ask,
    },
}

#[derive(Subcommand)]
pub(super) enum Command {
    #[command(flatten)]
    Revoke(What),
    /// What is revoked, one JSON document a line
    List {
        /// Only of this kind, as entries name it
        #[arg(long)]
        kind: Option<String>,
        /// Only of this issuer
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// One entry: how it stands, and when it first refused something
    Show {
        /// The entry's id
        id: String,
        #[command(flatten)]
        server: Server,
    },
    /// Take back an entry that was asked here: what it names passes again
    Cancel {
        /// The entry's id
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// A case reference: a ticket, say
        #[arg(long)]
        case: Option<String>,
        #[command(flatten)]
        server: Server,
    },
}

/// Why, since when, and whom to ask.
#[derive(Args)]
pub(super) struct Ask {
    /// Why, in a sentence; others will read it
    #[arg(long)]
    pub reason: String,
    /// A case reference: a ticket, say
    #[arg(long)]
    pub case: Option<String>,
    /// When the harm was reported, RFC 3339 (2026-01-31T12:00:00Z); from it the time to revoke is measured
    #[arg(long, value_name = "TIME")]
    pub reported_at: Option<String>,
    /// Only tokens issued at or before this time, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub not_issued_after: Option<String>,
    /// When the entry ends by itself, RFC 3339; by default when no such token can be alive, or never
    #[arg(long, value_name = "TIME")]
    pub expires_at: Option<String>,
    /// The entry's id, 32 hexadecimal digits, to go on with an ask whose answer was lost; one is made by default
    #[arg(long)]
    pub id: Option<String>,
    #[command(flatten)]
    pub server: Server,
}

/// Whom to ask, and how to show who asks.
#[derive(Args)]
pub struct Server {
    /// The admin listener: https://host:port, or http:// on loopback
    #[arg(long, value_name = "URL")]
    pub admin: String,
    /// A file with your bearer
    #[arg(long, value_name = "FILE", required_unless_present = "cert", conflicts_with = "cert")]
    pub bearer_file: Option<PathBuf>,
    /// PEM file with your certificate and its chain; needs --key
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// PEM file with the certificate's key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// PEM file with the CA of the admin listener, and no other is trusted; the system's CAs by default
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}
