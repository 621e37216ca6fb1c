//! Envoy's `x-forwarded-client-cert`.

use crate::certificate_binding::good_behind_gateway;
use crate::expect::{Expect, allow, bearer_binding, policy};
use crate::family::Family;
use crate::row::{Row, row};
use crate::support::inventory::host;
use crate::support::pki::{GATEWAY, percent_encoded};
use crate::support::setting::OURSELVES;
use crate::support::{Good, Setting, good, good_mtls, good_mtls_at, good_mtls_by_header, pki};

/// Section 3.10.
pub const FAMILY: Family = Family {
    prefix: "XF",
    title: "x-forwarded-client-cert",
    ids: &["XF-01", "XF-02", "XF-03", "XF-04", "XF-05", "XF-06", "XF-07", "XF-08", "XF-09", "XF-10", "XF-11", "XF-12"],
    rows,
    throughout: &[],
    left_out: &[
        (
            "XF-07",
            "what a proxy forwards is its own configuration; the rows show that the header counts only as the configured source",
        ),
        (
            "XF-11",
            "`Connection: x-forwarded-client-cert` makes Envoy remove the header before it asks: then there is no certificate",
        ),
    ],
};

fn rows() -> Vec<Row> {
    [
        xf_01(),
        xf_02(),
        xf_03(),
        xf_04_05(),
        xf_06(),
        xf_06_hops(),
        xf_06_by(),
        xf_07(),
        xf_08(),
        xf_09(),
        xf_10(),
        xf_11(),
        xf_12(),
        xf_12_chain(),
    ]
    .concat()
}

const NAME: &str = "x-forwarded-client-cert";

/// `Hash=` of the client that the token names.
fn hash() -> String {
    format!("Hash={}", pki().client.hash())
}

/// The good request: the last element has the certificate's hash.
fn good_header() -> Good {
    good_mtls_by_header(Setting::Xfcc, NAME, hash())
}

fn with(id: &'static str, sentence: &str, value: impl AsRef<[u8]>, expect: Expect) -> Row {
    row(id, sentence, good_header().header(NAME, value), expect)
}

fn malformed() -> Expect {
    bearer_binding("certificate_malformed")
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

fn xf_06() -> Vec<Row> {
    let (client, other) = (hash(), format!("Hash={}", pki().other.hash()));
    let mismatch = || bearer_binding("certificate_mismatch");
    vec![
        with("XF-06", "the last element counts", format!("{other},{client}"), allow()),
        with("XF-06", "the first does not", format!("{client},{other}"), mismatch()),
        with("XF-06", "nor one in the middle", format!("{other},{client},{other}"), mismatch()),
        with(
            "XF-06",
            "a comma in quotes does not make an element",
            format!("{other},Subject=\"{other},\";{client}"),
            allow(),
        ),
    ]
}

fn xf_06_hops() -> Vec<Row> {
    let gateway = pki().gateway.hash();
    let (client, other) = (hash(), format!("Hash={}", pki().other.hash()));
    let two = |first: &str, second: &str| {
        good_behind_gateway(Setting::XfccBehindGateway, NAME, format!("{},Hash={gateway};URI={GATEWAY}", hash()))
            .header(NAME, format!("{first},{second}"))
    };
    let hop = |identity: &str| format!("Hash={gateway};URI={identity}");
    let untrusted = || bearer_binding("certificate_untrusted");
    vec![
        row("XF-06", "with two hops the last element but one counts", two(&client, &hop(GATEWAY)), allow()),
        row("XF-06", "what stands further left does not", two(&format!("{other},{client}"), &hop(GATEWAY)), allow()),
        row(
            "XF-06",
            "another certificate there is another one",
            two(&other, &hop(GATEWAY)),
            bearer_binding("certificate_mismatch"),
        ),
        row("XF-06", "with one element there are too few", two(&client, "x").header(NAME, &client), malformed()),
        row(
            "XF-06",
            "a last element by a hop that is not listed is refused",
            two(&client, &hop("spiffe://example.org/other")),
            untrusted(),
        ),
        row(
            "XF-06",
            "a last element without an identity is refused",
            two(&client, &format!("Hash={gateway}")),
            untrusted(),
        ),
        row("XF-06", "a last element with an empty identity is refused", two(&client, &hop("")), untrusted()),
        row(
            "XF-06",
            "an identity that begins like the listed one is not listed",
            two(&client, &hop(&format!("{GATEWAY}2"))),
            untrusted(),
        ),
        row("XF-06", "the case of an identity counts", two(&client, &hop(&GATEWAY.to_uppercase())), untrusted()),
    ]
}

fn xf_06_by() -> Vec<Row> {
    let hash = hash();
    let by = |pairs: &str| {
        let good = good_mtls_by_header(Setting::XfccWithBy, NAME, format!("By={OURSELVES};{hash}"));
        good.header(NAME, format!("{pairs}{hash}"))
    };
    let untrusted = || bearer_binding("certificate_untrusted");
    vec![
        row(
            "XF-06",
            "where By must name us, an element that does is allowed",
            by(&format!("By={OURSELVES};")),
            allow(),
        ),
        row("XF-06", "and one that names us among others", by(&format!("By=x;By={OURSELVES};")), allow()),
        row("XF-06", "an element that names another is refused", by("By=spiffe://example.org/other;"), untrusted()),
        row("XF-06", "an element that names nobody is refused", by(""), untrusted()),
        row(
            "XF-06",
            "an earlier element that names us does not help",
            by(&format!("By={OURSELVES};{hash},")),
            untrusted(),
        ),
    ]
}

fn xf_07() -> Vec<Row> {
    let forged = |good: Good| good.header(NAME, hash());
    vec![
        row(
            "XF-07",
            "where it is not the configured source, the header is ignored",
            forged(good_mtls().without_certificate()),
            bearer_binding("certificate_missing"),
        ),
        row("XF-07", "and what cannot be read in it does no harm", good().header(NAME, "\""), allow()),
        row(
            "XF-07",
            "where it is, the certificate of the connection is ignored",
            good_header().header(NAME, format!("Hash={}", pki().other.hash())).certificate(&pki().client),
            bearer_binding("certificate_mismatch"),
        ),
        row(
            "XF-07",
            "and the header's absence means no certificate",
            good_header().without(NAME).certificate(&pki().client),
            bearer_binding("certificate_missing"),
        ),
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

fn xf_11() -> Vec<Row> {
    let (client, other) = (hash(), format!("Hash={}", pki().other.hash()));
    let two =
        |first: &str, second: &str| good_header().header(NAME, first).and_header("X-Forwarded-Client-Cert", second);
    vec![
        row("XF-11", "two fields are one list: the last element counts", two(&other, &client), allow()),
        row("XF-11", "and not the first", two(&client, &other), bearer_binding("certificate_mismatch")),
        row("XF-11", "a second field that is empty is refused", two(&client, ""), malformed()),
        row(
            "XF-11",
            "a name with underscores is another header",
            good_header().without(NAME).header("x_forwarded_client_cert", &client),
            bearer_binding("certificate_missing"),
        ),
        row(
            "XF-11",
            "and does not count beside the real one",
            good_header().and_header("x_forwarded_client_cert", &other),
            allow(),
        ),
    ]
}

fn xf_12() -> Vec<Row> {
    let hash = hash();
    let workload = |pairs: String| {
        let leaf = &pki().client;
        let good = good_mtls_at(host::WORKLOAD).without_certificate().from_the_start(move |good| {
            good.header(NAME, format!("Cert=\"{}\"", leaf.encoded())).moved_under(Setting::XfccVerifiedByEnvoy)
        });
        good.header(NAME, pairs)
    };
    let identity = pki().client.identity;
    let forbidden = || policy("policy_forbidden");
    vec![
        with(
            "XF-12",
            "a Subject in the form of RFC 2253 is not looked at",
            format!("{hash};Subject=\"CN=client,O=Example\""),
            allow(),
        ),
        with(
            "XF-12",
            "a Subject in the old form is not looked at",
            format!("{hash};Subject=\"/C=US/CN=client\""),
            allow(),
        ),
        row("XF-12", "names come from Cert", workload(format!("Cert=\"{}\"", pki().client.encoded())), allow()),
        row(
            "XF-12",
            "and not from URI, DNS or Subject beside Hash",
            workload(format!("{hash};URI={identity};Subject=\"CN={identity}\"")),
            forbidden(),
        ),
    ]
}

fn xf_12_chain() -> Vec<Row> {
    let leaf = &pki().client;
    let whole = || format!("Cert=\"{}\";Chain=\"{}\"", leaf.encoded(), leaf.encoded_chain());
    let verified =
        |value: String| good_mtls_by_header(Setting::XfccVerifiedByKeybound, NAME, whole()).header(NAME, value);
    let untrusted = || bearer_binding("certificate_untrusted");
    let rogue = &pki().rogue;
    vec![
        row(
            "XF-12",
            "where our own trust bundle vouches, Cert and Chain that lead to its root are allowed",
            verified(whole()),
            allow(),
        ),
        row(
            "XF-12",
            "without the intermediate they do not lead there",
            verified(format!("Cert=\"{}\"", leaf.encoded())),
            untrusted(),
        ),
        row("XF-12", "a hash leads nowhere", verified(hash()), untrusted()),
        row(
            "XF-12",
            "a rogue certificate with its own root does not lead there",
            verified(format!("Cert=\"{}\";Chain=\"{}\"", rogue.encoded(), rogue.encoded_chain())),
            untrusted(),
        ),
        row(
            "XF-12",
            "a Chain that cannot be read is refused",
            verified(format!("Cert=\"{}\";Chain=\"x\"", leaf.encoded())),
            malformed(),
        ),
    ]
}
