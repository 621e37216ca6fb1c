//! Any `htu` against any path: where we say that they name one target, another reader of URIs says so too.
#![no_main]

use keybound::decision::facts::{RawRequest, RequestFacts};
use keybound::decision::target::{self, Origin};
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let (path, htu) = text.split_once('\n').unwrap_or(("/items/7", text));
    let raw = RawRequest { method: b"GET", host: b"rs.example.com", path: path.as_bytes(), ..RawRequest::default() };
    let Ok(facts) = RequestFacts::new("fuzz", &raw) else { return };
    let origin = Origin::parse("https://rs.example.com").expect("an origin");
    if !target::names(htu, &origin, facts.path()) {
        return;
    }
    // The other reader takes a letter and a colon for a drive, which `..` does not leave, in any scheme.
    let drive = |part: &str| matches!(part.as_bytes(), [letter, b':' | b'|'] if letter.is_ascii_alphabetic());
    if htu.split('/').any(drive) {
        return;
    }
    let named = Url::parse(htu).expect("what names our target is a URI");
    let asked = Url::parse(&format!("https://rs.example.com{}", facts.path())).expect("so is the request's");
    assert_eq!(named.origin(), asked.origin());
    assert!(named.username().is_empty() && named.password().is_none());
    assert_eq!(decoded(named.path()), decoded(asked.path()), "{htu:?} and {path:?}");
});

/// Percent-decoded; escapes that are none stay.
fn decoded(path: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (bytes, mut at, mut decoded) = (path.as_bytes(), 0, Vec::new());
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).expect("a byte"));
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}
