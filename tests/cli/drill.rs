//! `keybound drill revoke` with what cannot be meant: it is told, nobody is asked, and nothing is shown.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

/// Claims: an issuer and a `jti`, and no `sid`.
const TOKEN: &str = "e30.eyJpc3MiOiJodHRwczovL2FzLnRlc3QiLCJqdGkiOiJhIn0.c2VjcmV0LXNpZ25hdHVyZQ";

#[test]
fn a_drill_that_cannot_be_meant_asks_nobody_and_never_shows_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (bearer, token) = (file("bearer", "0123456789abcdef0123456789abcdef"), file("token", TOKEN));
    // Whoever came here would be waited for.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    nobody.set_nonblocking(true).unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_keybound")).args(["drill", "revoke"]).args(arguments).output();
        let output = output.unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!said.contains("c2VjcmV0") && !said.contains("0123456789abcdef"), "{said}");
        (output.status.code(), said)
    };
    let admin = ["--admin", &url, "--bearer-file", &bearer];
    let target = ["--target", &url];
    let canary = ["--token-file", &token];
    let endpoint = ["--token-endpoint", &url];
    let beyond = directory.path().join("missing/record.json").display().to_string();
    let one = format!("one={url}");
    let whole = [&target[..], &canary].concat();
    let with = |more: &[&'static str]| [&whole[..], more].concat();
    for (arguments, told) in [
        (canary.to_vec(), "--target"),
        (target.to_vec(), "--token-file"),
        ([&target[..], &endpoint].concat(), "--client-id"),
        ([&whole[..], &endpoint, &["--client-id", "a"]].concat(), "cannot be used with"),
        ([&target[..], &endpoint, &["--client-id", "a"]].concat(), "nothing shows who the client is"),
        (with(&["--dpop"]), "cannot be used with"),
        (with(&["--certificate-file", "x"]), "--certificate-key-file"),
        (with(&["--force"]), "--record"),
        (with(&["--interval", "5ms"]), "10ms at least"),
        (with(&["--objective", "soon"]), "write a time as 500ms, 5s or 2m"),
        (with(&["--method", "get"]), "capital letters"),
        (with(&["--denied-status", "42"]), "42"),
        (with(&["--revoke", "issuer"]), "possible values: token, subject, client, session, proof-key, certificate"),
        (with(&["--revoke", "proof-key"]), "no DPoP key"),
        (with(&["--revoke", "certificate"]), "no certificate"),
        (with(&["--revoke", "session"]), "does not say its issuer and its `sid`"),
        (with(&["--issuer", "https://other.test", "--revoke", "client"]), "the token is of https://as.test"),
        (with(&["--entry-point", "http://192.0.2.1/"]), "http:// is for loopback addresses only"),
        ([&whole[..], &["--entry-point", &one, "--entry-point", &one]].concat(), "two ways in are called `one`"),
        ([&whole[..], &["--dpop-key-file", &bearer]].concat(), "no PKCS#8 key"),
        ([&whole[..], &["--ca-file", &bearer]].concat(), "PEM"),
        ([&whole[..], &["--record", &beyond]].concat(), "cannot be written"),
        ([&whole[..], &["--record", &token]].concat(), "is there already"),
    ] {
        let (status, said) = run(&[&arguments[..], &admin].concat());
        assert_eq!(status, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
    assert!(run(&[&whole[..], &["--admin", &url]].concat()).1.contains("--bearer-file"));
    assert!(nobody.accept().is_err(), "somebody was asked");
    assert_eq!(fs::read_to_string(&token).unwrap(), TOKEN);
    let partial = fs::read_dir(directory.path()).unwrap().flatten();
    assert_eq!(partial.count(), 2, "half of a record stays");

    let (status, help) = run(&["--help"]);
    assert_eq!(status, Some(0));
    for told in ["EVERY token of the canary's client", "Exit code 0", "is in no output", "--take-back", "via ADDRESS"] {
        assert!(help.contains(told), "`{told}` is missing: {help}");
    }
}
