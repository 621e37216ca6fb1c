//! What keybound and Envoy tell: logs by decision or request, metrics, readiness.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::place::until;

/// How long a line may take to be flushed.
const FLUSH: Duration = Duration::from_secs(5);

/// A GET on a plain HTTP port of ours: status, head, body. `None` if nobody listens.
pub fn get(port: u16, host: &str, path: &str) -> Option<(u16, String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head.to_ascii_lowercase(), body.to_owned()))
}

/// How much has been written so far.
pub fn length(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |metadata| metadata.len())
}

/// The first line that fits, waited for: logs are written by threads of their own.
pub fn line(what: &str, log: &Path, fits: impl Fn(&Value) -> bool) -> Value {
    line_after(what, log, 0, fits)
}

/// The same, from a place in the log on.
pub fn line_after(what: &str, log: &Path, mut at: u64, fits: impl Fn(&Value) -> bool) -> Value {
    until(what, FLUSH, || {
        let bytes = rest_of(log, at);
        // A line that is still being written is looked at again.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        at += whole as u64;
        bytes[..whole].split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).find(&fits)
    })
}

/// What was written after a place.
pub fn rest_of(log: &Path, at: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(mut file) = std::fs::File::open(log) {
        file.seek(SeekFrom::Start(at)).expect("a place in the log");
        file.read_to_end(&mut bytes).expect("a readable log");
    }
    bytes
}

/// The samples of a metric whose labels include these, added up.
pub fn metric(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let wanted: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        let (found, labels) = series.split_once('{').unwrap_or((series, ""));
        (found == name && wanted.iter().all(|label| labels.contains(label))).then(|| value.parse::<f64>().ok())?
    };
    text.lines().filter_map(sample).sum::<f64>()
}
