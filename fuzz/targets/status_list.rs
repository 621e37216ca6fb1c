//! Any header and payload, signed by the issuer, and any bytes as the list's stream: what is read is good by a second reading.
//!
//! The input is a header, a payload and a stream, a line each for the first two. Where the payload's `lst` is `(lst)`, the stream stands in
//! its place.
#![no_main]

use std::sync::{Arc, LazyLock};

use keybound::decision::jose::base64url_of;
use keybound::decision::status_list::ListReader;
use keybound::decision::token::Issuers;
use keybound_fuzz::json;
use keybound_fuzz::support::setting::MOST_LIST_BYTES;
use keybound_fuzz::support::issuers::SERVER;
use keybound_fuzz::support::{Jws, LIST, NOW, Setting, keys};
use libfuzzer_sys::fuzz_target;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

static ISSUERS: LazyLock<Issuers> = LazyLock::new(|| Setting::Listed.build().issuers);

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |byte| *byte == b'\n').map(<[u8]>::to_vec);
    let mut part = || parts.next().unwrap_or_default();
    let (header, payload, stream) = (part(), part(), part());
    let text = String::from_utf8_lossy(&payload).replace("(lst)", &base64url_of(&stream));
    let payload = if std::str::from_utf8(&payload).is_ok() { text.into_bytes() } else { payload };
    let mut list = Jws::new("statuslist+jwt", "ES256", &keys().server, serde_json::json!({}));
    let (as_header, as_payload) = (header.clone(), payload.clone());
    list.replace_header(move |_| as_header.clone());
    list.replace_claims(move |_| as_payload.clone());
    let issuer = ISSUERS.find(SERVER).expect("an issuer");
    let reader = ListReader::of(issuer, &Arc::from(LIST)).expect("its lists count");
    let Ok(read) = reader.read(list.compact().as_bytes(), NOW) else { return };
    let (header, claims) = (json(&header), json(&payload));
    assert!(header["typ"].as_str().is_some_and(|kind| kind.ends_with("statuslist+jwt")), "another kind of JWT");
    assert!(header["alg"] == "ES256" && header.get("crit").is_none());
    assert_eq!(claims["sub"], LIST);
    assert!(claims["iat"].as_f64().is_some_and(|issued| issued <= NOW as f64 + 10.0), "from the future");
    assert!(claims.get("exp").is_none_or(|end| end.as_f64().is_some_and(|end| end > NOW as f64)), "it has expired");
    assert!(claims.get("ttl").is_none_or(|ttl| ttl.as_f64().is_some_and(|ttl| ttl > 0.0)));
    let bits = claims["status_list"]["bits"].as_u64().expect("bits");
    let lst = claims["status_list"]["lst"].as_str().expect("a list");
    let stream = keybound_fuzz::support::from_base64url(lst);
    let entries = decompress_to_vec_zlib_with_limit(&stream, MOST_LIST_BYTES).expect("a stream");
    let count = entries.len() as u64 * 8 / bits;
    let last = u32::try_from(count).expect("few");
    assert_eq!(read.value(last), None, "beyond the list");
    if last > 0 {
        let (first, most) = (read.value(0).expect("an entry"), u64::from(u8::MAX) >> (8 - bits));
        assert_eq!(u64::from(first), u64::from(entries[0]) & most);
        let value = read.value(last - 1).expect("the last entry");
        assert_eq!(u64::from(value), u64::from(entries[entries.len() - 1]) >> (8 - bits));
    }
});
