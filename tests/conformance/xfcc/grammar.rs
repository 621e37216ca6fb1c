//! The grammar of the header, and the certificate in an element.

use super::{hash, malformed, with};
use crate::expect::{allow, bearer_binding};
use crate::row::Row;
use crate::support::pki;
use crate::support::pki::percent_encoded;

pub fn rows() -> Vec<Row> {
    [xf_01(), xf_02(), xf_03(), xf_04_05(), xf_08(), xf_09(), xf_10()].concat()
}

fn xf_01() -> Vec<Row> {
    let (hash, hex) = (hash(), pki().client.hash());
    let bad = |sentence: &str, value: String| with("XF-01", sentence, value, malformed());
    vec![
        with("XF-01", "an element of one pair is allowed", &hash, allow()),
        with("XF-01", "an element of several pairs is allowed", format!("By=x;{hash};URI=y"), allow()),
        with("XF-01", "keys may be in lower case", format!("hash={hex}"), allow()),
        with("XF-01", "keys may be in upper case", format!("HASH={hex}"), allow()),
        with("XF-01", "hexadecimal digits may be in upper case", format!("Hash={}", hex.to_uppercase()), allow()),
        with("XF-01", "the hash may be in quotes", format!("Hash=\"{hex}\""), allow()),
        bad("an empty value is refused", String::new()),
        bad("a word is refused", "x".to_owned()),
        bad("a key without a value is refused", format!("{hash};By")),
        bad("a value without a key is refused", format!("{hash};=x")),
        bad("a semicolon at the end is refused", format!("{hash};")),
        bad("a comma at the end is refused", format!("{hash},")),
        bad("a comma at the beginning is refused", format!(",{hash}")),
        bad("two semicolons are refused", format!("{hash};;By=x")),
        bad("a space before a key is refused", format!("By=x; {hash}")),
        bad("a space in a key is refused", format!("Ha sh={hex}")),
        bad("a tab in a value is refused", format!("{hash};By=a\tb")),
        bad("a hash that is cut short is refused", format!("Hash={}", &hex[..62])),
        bad("a hash with a digit more is refused", format!("Hash={hex}0")),
        bad("a hash that is no hexadecimal is refused", format!("Hash={}zz", &hex[..62])),
        bad("an empty hash is refused", "Hash=".to_owned()),
        bad("an element without Hash and Cert is refused", "By=x;URI=y".to_owned()),
        bad("17 elements are refused", vec![hash.as_str(); 17].join(",")),
        bad("129 pairs are refused", format!("{hash}{}", ";DNS=x".repeat(128))),
    ]
}

fn xf_02() -> Vec<Row> {
    let hash = hash();
    let bad = |sentence: &str, value: String| with("XF-02", sentence, value, malformed());
    vec![
        with("XF-02", "`,`, `;` and `=` in quotes are text", format!("Subject=\"a,b;c=d\";{hash}"), allow()),
        with(
            "XF-02",
            "an escaped quote in quotes is text",
            format!("Subject=\"O=Example\\, \\\"Inc\\\"\";{hash}"),
            allow(),
        ),
        with("XF-02", "an empty text in quotes is allowed", format!("Subject=\"\";{hash}"), allow()),
        with(
            "XF-02",
            "URI, DNS and By without quotes are allowed",
            format!("By=spiffe://x/y;{hash};URI=spiffe://a/b;DNS=c.test"),
            allow(),
        ),
        bad("an equals sign without quotes is refused", format!("URI=a=b;{hash}")),
        bad("a quote within a value is refused", format!("URI=a\"b\";{hash}")),
        bad("a quote at the end of a value is refused", format!("URI=ab\";{hash}")),
        bad("text after a closing quote is refused", format!("Subject=\"a\"b;{hash}")),
        bad("two quoted texts for one value are refused", format!("Subject=\"a\"\"b\";{hash}")),
        bad("a quote that does not close is refused", format!("{hash};Subject=\"a")),
        bad("a quote that closes after an escaped one only is refused", format!("{hash};Subject=\"a\\\"")),
        with(
            "XF-02",
            "a backslash before a backslash does not escape the quote",
            format!("Subject=\"a\\\\\";{hash}"),
            allow(),
        ),
    ]
}

fn xf_03() -> Vec<Row> {
    let hash = hash();
    let good_with = |sentence: &str, value: String| with("XF-03", sentence, value, allow());
    vec![
        good_with("By may stand twice", format!("By=a;By=b;{hash}")),
        good_with("URI may stand twice", format!("{hash};URI=a;URI=b")),
        good_with("DNS may stand twice", format!("{hash};DNS=a;DNS=b")),
        good_with("URI may be empty", format!("{hash};URI=")),
        good_with("By may be absent", hash.clone()),
    ]
}

fn xf_04_05() -> Vec<Row> {
    let (hash, leaf) = (hash(), &pki().client);
    let bad = |sentence: &str, value: String| with("XF-04", sentence, value, malformed());
    let certificate = format!("Cert=\"{}\"", leaf.encoded());
    vec![
        bad("Hash twice is refused", format!("{hash};{hash}")),
        bad("Hash twice in two letter cases is refused", format!("{hash};{}", hash.to_lowercase())),
        bad("Cert twice is refused", format!("{certificate};{certificate}")),
        bad("Chain twice is refused", format!("{hash};Chain=\"x\";Chain=\"x\"")),
        bad("Subject twice is refused", format!("{hash};Subject=\"x\";Subject=\"y\"")),
        with(
            "XF-04",
            "each of them once is allowed",
            format!("{hash};{certificate};Chain=\"{}\";Subject=\"x\"", leaf.encoded_chain()),
            allow(),
        ),
        with("XF-05", "a key that nobody knows is ignored", format!("{hash};X-New=1"), allow()),
        with("XF-05", "and may stand twice", format!("X=1;{hash};X=2"), allow()),
        with("XF-05", "a key like Hash is another key", format!("Hash2=x;{hash}"), allow()),
    ]
}

fn xf_08() -> Vec<Row> {
    let hash = hash();
    vec![
        with(
            "XF-08",
            "a quote that a client left open before our proxy's element is refused",
            format!("By=x;Subject=\"a,{hash}"),
            malformed(),
        ),
        with(
            "XF-08",
            "so is one that swallows the element and closes in it",
            format!("Subject=\"a,{hash};Subject=\"b\""),
            malformed(),
        ),
        with(
            "XF-08",
            "a balanced element of a client stands left of ours and does not count",
            format!("Hash={};Subject=\"a\",{hash}", pki().other.hash()),
            allow(),
        ),
    ]
}

fn xf_09() -> Vec<Row> {
    let (client, other) = (&pki().client, &pki().other);
    let pairs = |hash: &str, certificate: &str| format!("Hash={hash};Cert=\"{certificate}\"");
    vec![
        with("XF-09", "Hash and Cert that agree are allowed", pairs(&client.hash(), &client.encoded()), allow()),
        with("XF-09", "Cert alone is allowed", format!("Cert=\"{}\"", client.encoded()), allow()),
        with(
            "XF-09",
            "Hash of the client with Cert of another is refused",
            pairs(&client.hash(), &other.encoded()),
            malformed(),
        ),
        with(
            "XF-09",
            "Hash of another with Cert of the client is refused",
            pairs(&other.hash(), &client.encoded()),
            malformed(),
        ),
        with(
            "XF-09",
            "both of another are another certificate",
            pairs(&other.hash(), &other.encoded()),
            bearer_binding("certificate_mismatch"),
        ),
    ]
}

fn xf_10() -> Vec<Row> {
    let client = &pki().client;
    let certificate = |text: String| format!("Cert=\"{text}\"");
    let bad = |sentence: &str, text: String| with("XF-10", sentence, certificate(text), malformed());
    let encoded = client.encoded();
    vec![
        with("XF-10", "URL-encoded PEM is allowed", certificate(encoded.clone()), allow()),
        with("XF-10", "a `+` that is not encoded is a `+`", certificate(encoded.replace("%2B", "+")), allow()),
        with(
            "XF-10",
            "escapes in lower case are allowed",
            certificate(encoded.replace("%2F", "%2f").replace("%0A", "%0a")),
            allow(),
        ),
        bad("an escape that is cut short is refused", format!("{encoded}%0")),
        bad("an escape that is no hexadecimal is refused", encoded.replacen("%0A", "%0G", 1)),
        bad("a `+` for a space is refused", encoded.replacen("%20", "+", 1)),
        bad("two certificates are refused", format!("{encoded}{encoded}")),
        bad("text after the certificate is refused", format!("{encoded}x")),
        bad("text before the certificate is refused", format!("x{encoded}")),
        bad("another label is refused", encoded.replace("CERTIFICATE", "PUBLIC%20KEY")),
        bad("no PEM is refused", "x".to_owned()),
        bad("an empty text is refused", String::new()),
        bad(
            "PEM of what is no certificate is refused",
            percent_encoded("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ),
        bad("a byte after the certificate in the PEM is refused", percent_encoded(&with_a_byte_more(&client.der))),
    ]
}

fn with_a_byte_more(der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode([der, &[0]].concat());
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}
