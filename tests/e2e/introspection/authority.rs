//! A real authorization server (oidc-provider), and its clients' side: tokens are got and revoked over HTTP.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use keybound::edge::clock;
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

use crate::lab::process::Process;
use crate::lab::{place, secrets, until};
use crate::support::issuers::AUDIENCE;
use crate::support::pki::GATEWAY;
use crate::support::{Jws, base64url, fresh_id, keys, pki};

/// The server, until it is dropped.
pub struct Authority {
    pub issuer: String,
    secret: String,
    certificate: String,
    process: Mutex<Process>,
}

impl Authority {
    /// Starts it; its files, and those of keybound as its client, are in this directory.
    pub fn start(directory: &Path) -> Self {
        let port = place::free_port();
        let write = |name: &str, text: &str| -> PathBuf {
            let path = directory.join(name);
            std::fs::write(&path, text).expect("a written file");
            path
        };
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = made.cert.pem();
        let (secret, own) = (fresh_id() + &fresh_id(), KeyPair::generate().expect("a key"));
        for each in [&secret, &made.signing_key.serialize_pem(), &own.serialize_pem()] {
            secrets::keep(each);
        }
        write("secret", &format!("{secret}\n"));
        write("own.key", &own.serialize_pem());
        let tls = json!({
            "certificate": write("as.crt", &certificate),
            "key": write("as.key", &made.signing_key.serialize_pem()),
            "client_ca": write("as-clients.crt", &pki().root_pem),
        });
        let (x, y) = own.der_bytes()[1..].split_at(32);
        let jwk =
            json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y), "use": "sig", "alg": "ES256"});
        let by = |id: &str, method: &str| json!({"client_id": id, "token_endpoint_auth_method": method});
        let with = |mut client: Value, name: &str, value: Value| {
            client[name] = value;
            client
        };
        let with_secret = |client: Value| with(client, "client_secret", json!(secret));
        let clients = [
            with(with_secret(by("robot", "client_secret_post")), "dpop_bound_access_tokens", json!(true)),
            with(
                with_secret(by("mtls-robot", "client_secret_post")),
                "tls_client_certificate_bound_access_tokens",
                json!(true),
            ),
            with(
                with(by("jwt-robot", "private_key_jwt"), "jwks", json!({"keys": [jwk]})),
                "dpop_bound_access_tokens",
                json!(true),
            ),
            with_secret(by("keybound-basic", "client_secret_basic")),
            with_secret(by("keybound-post", "client_secret_post")),
            with_secret(by("keybound-signed", "client_secret_basic")),
            with(by("keybound-jwt", "private_key_jwt"), "jwks", json!({"keys": [jwk]})),
            with(by("keybound-tls", "tls_client_auth"), "tls_client_auth_san_uri", json!(GATEWAY)),
        ];
        let config = json!({"port": port, "tls": tls, "resource": AUDIENCE, "clients": clients});
        let config = write("as.json", &config.to_string()).display().to_string();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/introspection/as.mjs");
        let (output, log) = (directory.join("as.output.log"), directory.join("as.log"));
        let mut process = Process::start(Path::new("node"), &[script, &config], &output, &log);
        until("the authorization server listens", Duration::from_secs(30), || {
            process.must_run();
            std::fs::read_to_string(&output).is_ok_and(|said| said.contains("listening")).then_some(())
        });
        Self { issuer: format!("https://localhost:{port}"), secret, certificate, process: Mutex::new(process) }
    }

    /// It is gone.
    pub fn kill(&self) {
        self.process.lock().expect("no panic").kill();
    }

    async fn post(&self, client: &str, path: &str, form: &[(&str, &str)], proof: Option<String>) -> (u16, Value) {
        let trusted = reqwest::Certificate::from_pem(self.certificate.as_bytes()).expect("a certificate");
        let mut builder = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]);
        if client == "mtls-robot" {
            let leaf = &pki().client;
            let pem = format!("{}{}{}", leaf.pem(), leaf.chain_pem, leaf.key_pem);
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).expect("an identity"));
        }
        let own = [("client_id", client), ("client_secret", self.secret.as_str())];
        let pairs = form
            .iter()
            .chain(&own)
            .map(|(name, value)| format!("{name}={}", value.replace(':', "%3A").replace('/', "%2F")));
        let mut request = builder.build().expect("a client").post(format!("{}{path}", self.issuer));
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        let answer = request.body(pairs.collect::<Vec<_>>().join("&")).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.text().await.expect("a body");
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    /// A token of `robot`, bound by DPoP to the clients' key, or of `mtls-robot`, bound to its certificate.
    pub async fn token(&self, client: &str) -> String {
        let claims = json!({
            "jti": fresh_id(), "htm": "POST", "htu": format!("{}/token", self.issuer), "iat": clock::now(),
        });
        let mut proof = Jws::new("dpop+jwt", "ES256", &keys().client, claims);
        proof.header["jwk"] = keys().client.jwk();
        let proof = (client == "robot").then(|| proof.compact());
        let form = [("grant_type", "client_credentials"), ("scope", "items.read"), ("resource", AUDIENCE)];
        let (status, body) = self.post(client, "/token", &form, proof).await;
        assert_eq!((status, body["error"].as_str()), (200, None), "{}", body["error_description"]);
        let token = body["access_token"].as_str().expect("a token").to_owned();
        assert!(!token.contains('.'), "it is opaque");
        secrets::keep(&token);
        token
    }

    /// RFC 7009.
    pub async fn revoke(&self, client: &str, token: &str) {
        assert_eq!(self.post(client, "/token/revocation", &[("token", token)], None).await.0, 200);
    }
}
