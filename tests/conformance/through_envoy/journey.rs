//! One row, request by request, and what the client saw.

use std::sync::Arc;

use keybound::edge::introspection::Nobody;
use keybound::edge::status_lists::NoLists;

use super::client::{Answer, Client};
use super::edge::{Door, Edge, Neighbours, ROUTE};
use super::service::{Behind, REACHED, Stage};
use super::told::Codes;
use crate::expect::Expect;
use crate::invariants;
use crate::row::{Envoy, Row, Sending};
use crate::support::{Encoding, Leaf, Memory, NOW, Outcome, Request, SaysThis, ServesThis, Setting, pki};

/// The APIs that some row's route names.
const HINTS: [&str; 3] = ["items", "open", ""];

/// What a request that Envoy writes anew, and that is allowed then, is served as.
const AS_GOOD: [&str; 2] = ["GET rs.example.com /items/7", "GET rs.example.com:443 /items/7"];

/// A row says that no client can send it, and why.
pub struct CannotSend(pub &'static str);

/// Everything that the rows go through.
pub struct Journey {
    edge: Edge,
    behind: Behind,
    client: Client,
    ids: Vec<String>,
    unsound: Vec<String>,
}

/// What became of a row.
pub struct Made(Vec<Seen>);

/// What became of one request.
struct Seen {
    request: Request,
    /// None if the connection ended without one.
    answer: Option<Answer>,
    /// How often the service was asked.
    asked: usize,
}

impl Made {
    pub fn requests(&self) -> usize {
        self.0.len()
    }
}

impl Journey {
    pub fn begin() -> Self {
        let memory = Memory::new(1, 100);
        let first = Stage {
            snapshot: Setting::Standard.snapshot(),
            spent: memory.shared(),
            introspection: Arc::new(Nobody),
            status_lists: Arc::new(NoLists),
            point: "edge",
        };
        let behind = Behind::start(first);
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let neighbours = Neighbours {
            keybound: behind.keybound,
            upstream: behind.upstream,
            certificate: (&certificate, &key),
            hints: &HINTS,
        };
        let edge = Edge::start(&neighbours);
        Self { edge, behind, client: Client::new(&certificate), ids: Vec::new(), unsound: Vec::new() }
    }

    /// Sends the requests of a row, each at its time.
    pub fn make(&mut self, row: &Row, encoding: Encoding) -> Result<Made, CannotSend> {
        if let Envoy::CannotSend(why) = row.envoy {
            self.must_be_unsendable(row);
            return Err(CannotSend(why));
        }
        let (proofs, share_percent) = row.room;
        let mut memory = Memory::new(proofs, share_percent);
        let mut all = Vec::new();
        let mut outcomes = Vec::new();
        for step in &row.steps {
            if let Some(lost) = step.lost {
                memory.forget(NOW + lost);
            }
            let request = match (&step.send, all.last()) {
                (Sending::Made(make), _) => make(&outcomes).build(),
                (Sending::Again, Some(Seen { request, .. })) => request.clone(),
                (Sending::Again, None) => panic!("nothing to send again"),
            };
            if let Some(why) = unsendable(&request) {
                self.unsound.push(format!("{} {}: no client can send it: {why}", row.id, row.sentence));
                break;
            }
            let stage = Stage {
                snapshot: request.setting.snapshot(),
                spent: memory.shared(),
                introspection: SaysThis::of(&request),
                status_lists: ServesThis::of(&request),
                point: request.point,
            };
            self.behind.set(stage, NOW + step.after);
            let seen = self.send(request, encoding);
            outcomes.push(outcome(seen.answer.as_ref(), ""));
            all.push(seen);
        }
        Ok(Made(all))
    }

    fn send(&mut self, request: Request, encoding: Encoding) -> Seen {
        let port = self.edge.port(Door { encoding, forwards: takes_headers(request.setting) });
        let before = self.behind.asked();
        let answer = self.client.send(port, connection_of(&request), &bytes(&request));
        self.ids.extend(answer.iter().filter_map(Answer::id));
        Seen { request, answer, asked: self.behind.asked() - before }
    }

    /// A row that only says so hides from Envoy.
    fn must_be_unsendable(&mut self, row: &Row) {
        let requests = row.steps.iter().filter_map(|step| match &step.send {
            Sending::Made(make) => Some(make(&[]).build()),
            Sending::Again => None,
        });
        let ends_line = |request: &Request| request.headers.iter().any(|(_, value)| value.contains(&b'\n'));
        if !requests.into_iter().any(|request| unsendable(&request).is_some() || ends_line(&request)) {
            self.unsound.push(format!("{} {}: a client can send it", row.id, row.sentence));
        }
    }

    /// Rows that do not say rightly whether a client can send them.
    pub fn unsound(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unsound)
    }

    /// What the access log says of every request.
    pub fn end(self) -> Codes {
        Codes::read(self.edge.access_log(), &self.ids)
    }
}

/// Settings whose certificates come in headers stand behind a hop that writes them.
fn takes_headers(setting: Setting) -> bool {
    !matches!(
        setting,
        Setting::Standard
            | Setting::VerifiedByEnvoy
            | Setting::VerifiedByKeybound
            | Setting::WithoutCertificates
            | Setting::WithoutBundle
            | Setting::Fapi2
            | Setting::OnlyEs256
            | Setting::Revoked
            | Setting::Stale
            | Setting::Listed
            | Setting::ListRequired
            | Setting::ListedBySigner
            | Setting::FreshUntilNow
    )
}

/// Why no client can send it, if none can.
fn unsendable(request: &Request) -> Option<&'static str> {
    if request.edit_message.is_some() || request.edit_bytes.is_some() {
        Some("the change is to Envoy's message")
    } else if connection_of(request).is_some_and(|leaf| leaf.key_pem.is_empty()) {
        Some("the key of the published certificate is not published")
    } else if request.peer.as_ref().is_some_and(|peer| connection_of(request).map_or("", |leaf| leaf.identity) != peer)
    {
        Some("nobody has a certificate with this identity")
    } else {
        None
    }
}

/// The certificate that the connection shows: the request's, or that of the peer that is in front.
fn connection_of(request: &Request) -> Option<&'static Leaf> {
    let identified = |peer: &str| [&pki().gateway, &pki().other].into_iter().find(|leaf| leaf.identity == peer);
    request.certificate.or_else(|| request.peer.as_deref().and_then(identified))
}

/// In HTTP/1.1.
fn bytes(request: &Request) -> Vec<u8> {
    let Request { method, path, authority, .. } = request;
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\n").into_bytes();
    for (name, value) in &request.headers {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    if let Some(api) = &request.api_hint {
        bytes.extend(format!("{ROUTE}: to-{api}\r\n").into_bytes());
    }
    bytes.extend(b"\r\n");
    bytes
}

impl Answer {
    fn id(&self) -> Option<String> {
        self.all("x-request-id").into_iter().next()
    }
}

fn outcome(answer: Option<&Answer>, code: &'static str) -> Outcome {
    let all = |name: &str| answer.map(|answer| answer.all(name)).unwrap_or_default();
    Outcome {
        code,
        status: answer.map_or(0, |answer| answer.status),
        challenge: all("www-authenticate"),
        nonce: all("dpop-nonce"),
    }
}

/// Codes are words of the program, of which there are few.
fn word(code: &str) -> &'static str {
    let denials = keybound::decision::denial::Denial::ALL.iter().map(|denial| denial.slug());
    let mut words = denials.chain(["allowed", "public", "observed", "answered"]);
    words.find(|word| *word == code).unwrap_or_default()
}

impl Made {
    /// What is not as the row says.
    pub fn wrong(&self, row: &Row, encoding: &str, codes: &Codes) -> Vec<String> {
        let mut wrong = Vec::new();
        for (index, (seen, step)) in self.0.iter().zip(&row.steps).enumerate() {
            let last = index + 1 == self.0.len();
            let id = seen.answer.as_ref().and_then(Answer::id).unwrap_or_default();
            let outcome = outcome(seen.answer.as_ref(), word(codes.of_request(&id)));
            let mut found = match (&row.envoy, last) {
                (Envoy::Stops(status), true) => seen.must_be_stopped(Some(*status)),
                (Envoy::TurnsAway, true) => seen.must_be_stopped(None),
                (Envoy::Becomes(expect), true) => seen.must_be(expect, &outcome, &AS_GOOD.map(str::to_owned)),
                _ => seen.must_be(&step.expect, &outcome, &[seen.as_sent()]),
            };
            found.extend(invariants::broken(&seen.request, &outcome));
            let place = format!("{} [{encoding}, request {}] {}", row.id, index + 1, row.sentence);
            wrong.extend(found.into_iter().map(|what| format!("{place}: {what}")));
        }
        wrong
    }
}

impl Seen {
    /// What the API was asked for.
    fn reached(&self) -> Option<String> {
        self.answer.as_ref()?.all(REACHED).pop()
    }

    /// What the client asked for, the port of its authority apart.
    fn as_sent(&self) -> String {
        let Request { method, authority, path, .. } = &self.request;
        let port = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit()));
        format!("{method} {} {path}", port.map_or(authority.as_str(), |(host, _)| host))
    }

    /// What is decided must be what is served.
    fn must_be(&self, expect: &Expect, outcome: &Outcome, served: &[String]) -> Vec<String> {
        let mut wrong = Vec::new();
        if !expect.is(outcome) {
            let actual = crate::expect::outcome_in_full(outcome);
            wrong.push(format!(
                "\n    expected {}\n    actual   {actual}, asked {} times",
                expect.in_full(),
                self.asked
            ));
        }
        match self.reached() {
            Some(reached) if !expect.allows() => wrong.push(format!("WRONG ALLOW: the API was reached: {reached}")),
            Some(reached) if !served.contains(&reached) => {
                wrong.push(format!("the API was asked for {reached}, not {}", served.join(" or ")));
            }
            None if expect.allows() => wrong.push("the API was not reached".to_owned()),
            _ => {}
        }
        if self.asked > 1 {
            wrong.push(format!("one request was asked about {} times", self.asked));
        }
        wrong
    }

    /// Envoy answers with this status, or ends the connection, and asks nobody.
    fn must_be_stopped(&self, status: Option<u16>) -> Vec<String> {
        let mut wrong = Vec::new();
        let actual = self.answer.as_ref().map(|answer| answer.status);
        if actual != status || self.asked > 0 {
            wrong.push(format!("Envoy was to stop it with {status:?}: {actual:?}, asked {} times", self.asked));
        }
        wrong.extend(self.reached().map(|reached| format!("WRONG ALLOW: the API was reached: {reached}")));
        wrong
    }
}
