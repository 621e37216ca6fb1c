//! One byte of the CheckRequest itself changed: denied, unless what is judged is the same.

use keybound::edge::wire;

use crate::support::wire::encode;
use crate::support::{Encoding, Memory, NOW, Request, good, good_both, good_mtls, good_nonce, judge};

/// What a decision about these requests reads of a message, in one spelling.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    method: Vec<u8>,
    host: Vec<u8>,
    path: Vec<u8>,
    credential: Vec<(Vec<u8>, Vec<u8>)>,
    certificate: Vec<u8>,
}

/// Whether a certificate counts: to a token that names only a key, any will do.
fn read(message: &[u8], by_certificate: bool, by_path: bool) -> Option<Read> {
    let raw = wire::read(message).ok()?;
    let path = raw.path.split(|byte| *byte == b'?').next().unwrap_or_default();
    // Where nothing names the path, another operation that the token is good for is another good request.
    let item = path.strip_prefix(b"/items/").filter(|item| !item.is_empty() && !item.contains(&b'/'));
    let good = !by_path && (item.is_some() || path == b"/items");
    let read = |name: &[u8]| name == b"authorization" || name == b"dpop";
    let mut credential: Vec<_> = raw
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), one_spelling(value)))
        .filter(|(name, _)| read(name))
        .collect();
    credential.sort();
    Some(Read {
        method: raw.method.to_vec(),
        host: raw.host.to_ascii_lowercase(),
        path: if good { b"/items".to_vec() } else { path.to_vec() },
        credential,
        certificate: if by_certificate { escapes_in_capitals(raw.peer_certificate) } else { Vec::new() },
    })
}

/// The scheme in capitals, white space left out.
fn one_spelling(value: &[u8]) -> Vec<u8> {
    let value: Vec<u8> = value.trim_ascii().to_vec();
    let scheme = value.iter().position(|byte| *byte == b' ').unwrap_or(0);
    let (scheme, rest) = value.split_at(scheme);
    [&scheme.to_ascii_uppercase(), rest.trim_ascii_start()].concat()
}

fn escapes_in_capitals(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for at in 0..text.len() {
        if text[at] == b'%' {
            for digit in text.iter_mut().skip(at + 1).take(2) {
                digit.make_ascii_uppercase();
            }
        }
    }
    text
}

#[test]
fn one_byte_of_a_message_changed_is_a_denial_unless_the_same_is_judged() {
    let bases = [
        ("DPoP", good().build(), false, true),
        ("DPoP with a nonce", good_nonce().build(), false, true),
        ("certificate", good_mtls().build(), true, false),
        ("both", good_both().build(), true, true),
    ];
    let (mut tried, mut same) = (0_usize, 0_usize);
    for (name, request, by_certificate, by_path) in &bases {
        for encoding in Encoding::BOTH {
            let message = encode(request, encoding);
            let unchanged = read(&message, *by_certificate, *by_path).expect("a good message");
            for at in 0..message.len() {
                for bit in 0..8 {
                    let mut changed = message.clone();
                    changed[at] ^= 1 << bit;
                    tried += 1;
                    let allowed = allows(request, &changed);
                    let is_same = read(&changed, *by_certificate, *by_path).is_some_and(|read| read == unchanged);
                    same += usize::from(allowed);
                    assert!(
                        !allowed || is_same,
                        "{name} ({encoding:?}): byte {at} of {}, bit {bit}, is allowed",
                        message.len()
                    );
                }
            }
            for end in 0..message.len() {
                let is_same = read(&message[..end], *by_certificate, *by_path).is_some_and(|read| read == unchanged);
                assert!(!allows(request, &message[..end]) || is_same, "{name} ({encoding:?}): cut at {end} is allowed");
            }
        }
    }
    assert!(tried > 50_000, "only {tried} changes were tried");
    assert!(same * 10 < tried, "{same} of {tried} changes did not matter: what is tried must matter");
}

fn allows(request: &Request, message: &[u8]) -> bool {
    let mut request = request.clone();
    let message = message.to_vec();
    request.edit_bytes = Some(std::sync::Arc::new(move |_| message.clone()));
    judge(&request, Encoding::Raw, &Memory::new(10, 100), NOW).status == 200
}
