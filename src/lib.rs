//! # keybound
//!
//! keybound answers Envoy's external authorization question (`envoy.service.auth.v3.Authorization/Check`) for APIs that must not
//! accept replayable credentials. It proves who sent a request (a certificate-bound token, RFC 8705, or a DPoP proof, RFC 9449),
//! decides with Cedar what that sender may do, and says why. Whatever goes wrong is a denial with a code.
//!
//! # The bird's eye
//!
//! ```text
//!              edge/ (sockets, files, clock, tasks)                decision/ (pure, synchronous, total)
//!   Envoy ───► listen ─► service ─► gate ─► wire ──────────────► facts ─► route ─► credential ─► token
//!     ▲                              │                                                             │
//!     │                              │                     issuers, asked ◄── Asks(token) ◄────────┤
//!     │                              │         ┌── Needs(spend) ◄── binding ◄── certificate ◄── client
//!     │                              ▼         ▼
//!     │                     spent proofs: one atomic insert ──► settle ─► policy (Cedar) ─► Verdict
//!     │                                                                                        │
//!     └──── reply ◄───────── DecisionRecord ─► log, metrics, dynamic metadata ◄────────────────┘
//!
//!   keeper: files ─► keys, bundle, trust ─► Snapshot, published whole; a check reads one and keeps it
//! ```
//!
//! # The path of a check
//!
//! 1. `edge/listen.rs` accepts, `edge/connection.rs` speaks HTTP/2 on the worker, `edge/service.rs` takes the call and `edge/frame.rs` its
//!    one message, raw, so that no failure becomes a gRPC error, which a mesh may turn into an allow. A check over the bound on work in
//!    flight is denied at once.
//! 2. `edge/gate.rs` is the whole path minus the socket: bytes in, answer out. It waits for partners alone, and for most checks not at all.
//! 3. `edge/wire.rs` reads the fields in place; `decision/facts.rs` refuses what is malformed, too large or can be read in two ways.
//! 4. `decision/mod.rs` walks on one screen: route, credential, token, client, certificate, binding, status. It ends, or asks for
//!    something: that an issuer be asked about the token (`decision/asking.rs`), that its status list be had (`decision/standing.rs`), that
//!    the proof be spent. The gate has it done in `edge/introspection/desk.rs`, `edge/status_lists/desk.rs` and `edge/spent/memory.rs`, or in
//!    `edge/spent/redis/mod.rs` for a whole fleet, and hands the answer back.
//!    `edge/revocations` fills the list that `decision/revocation` looks in, from what was asked at the admin listener and is in its journal,
//!    from what transmitters push, which `decision/security_event` reads, and from what other replicas were told (`edge/revocations/fleet`).
//!    `edge/known.rs` remembers tokens whose signature was verified and certificates that were read: facts, never a verdict.
//! 5. `decision/policy/mod.rs` asks Cedar, but only about the policies that `decision/policy/index.rs` finds: guardrails first, then
//!    scopes, then the policies.
//! 6. `edge/reply.rs` makes the CheckResponse, and is the only one that may; `edge/writer.rs` writes its bytes where they leave from.
//!
//! # The code map
//!
//! | room | is | may name of ours |
//! |---|---|---|
//! | `decision` | the judgement: no async, no I/O, no clock, no protobuf; it is told everything, the time too | nothing |
//! | `problem` | one diagnostic for what people write: file, line, column, remedy | nothing |
//! | `yaml` | YAML whose values know their place, checked against a JSON Schema | `problem` |
//! | `bundle` | what authors write, read and validated into types of `decision` | `decision`, `problem`, `yaml` |
//! | `config` | the operator's file, which becomes a config that cannot be invalid | `decision`, `problem`, `yaml` |
//! | `telemetry` | one record per decision, and all that is written from it | `decision`, `config` |
//! | `edge` | sockets, files, clock, tasks; it decides nothing | all of the above |
//! | `operator` | the commands of operators | all |
//! | `src/main.rs` | arguments to one of the commands | all |
//!
//! Inside the judgement, in the order of the walk:
//!
//! | file | answers | evidence that it makes |
//! |---|---|---|
//! | `decision/facts.rs` | is the request well formed and unambiguous? | `RequestFacts` |
//! | `decision/route.rs` | which operation of which API is meant? | `Route` |
//! | `decision/credential.rs` | which one credential is presented? | `PresentedCredential` |
//! | `decision/token/mod.rs` | does a trusted issuer vouch for it, and is it for us now? | `IssuedToken`, then `VerifiedToken` |
//! | `decision/client.rs` | is the client registered? | |
//! | `decision/certificate/mod.rs` | which certificate has the sender? | `PeerCertificate` |
//! | `decision/revocation/mod.rs` | are token and certificate still good, and does the list know? | `LiveToken` |
//! | `decision/binding/mod.rs` | did the sender show every key that the token names? | `BoundSender`, then `ProvenSender` |
//! | `decision/status_list/mod.rs` | does the status list that the token names say that it is valid? | `StandingToken` |
//! | `decision/policy/mod.rs` | may this sender do this? | `Authorised` |
//!
//! Beside the walk: `decision/denial.rs` holds every way to say no, `decision/leniency.rs` is the only place where one may soften,
//! `decision/limits.rs` has every bound with where its number comes from, `decision/jose` reads tokens and proofs before either has a
//! meaning, `decision/snapshot.rs` is all that a decision may read.
//!
//! # Invariants
//!
//! - `decision` is pure and names nothing of ours; nothing outside it decides.
//! - Each step consumes the evidence of the step before and alone makes the next. Evidence has private fields and neither `Clone`,
//!   `Default` nor serde: a step can be neither skipped nor repeated nor made up.
//! - No request yields a gRPC error, and no denial a status code of 0, on which alone Envoy allows.
//! - A check reads one snapshot, from its first step to its last. The list of revocations alone changes under it: an entry counts at once.
//! - A proof is spent after every other check of it and before policy; spending is one atomic insert, and live entries are not evicted.
//! - Every denial has one row: code, class, status, OAuth error. The code is the same word in logs, metrics, dynamic metadata and
//!   `docs/denials.md`; a caller reads one text per class.
//! - No token, proof, certificate or key is in a log, a metric, an answer, a `Debug` output or a panic message.
//! - A client is (issuer, client id) everywhere: an id is unique only within its issuer.
//! - `aws_lc_rs::signature` is named in `decision/jose/key.rs`, which verifies, and `edge/introspection/assertion.rs`, which signs; the
//!   wall clock in `edge/clock.rs` alone.
//!
//! `tests/tidy.rs` holds them, as far as the text of the source shows them; `tests/protocol.rs` holds the wire.
//!
//! # Where a change goes
//!
//! | to add | touch |
//! |---|---|
//! | a denial | one row in `decision/denial.rs`, a row of the conformance table that provokes it, `docs/denials.md` (it is printed) |
//! | a token type | a file in `decision/token`, an arm in its `mod.rs` |
//! | a binding mechanism | a file in `decision/binding`, a variant of `Confirmation`, an arm in `prove` |
//! | a Cedar attribute | a row and its value in `decision/policy/attributes.rs`, the schema, a policy test |
//! | a name by which something is revoked | a variant of `Target` and its line in `decision/revocation`, a row of the conformance table |
//! | a memory of spent proofs | a file in `edge/spent`, stamped with the suite of `tests/stores` |
//! | a source of revocations | a file in `edge/revocations` that tells its `edge/revocations/book.rs`; what is to outlive a restart goes by `Revocations::take` |
//! | a key in the operator's file | its field in `config`, `deploy/keybound.yaml`, `docs/config.md` (it is printed) |
#![doc = include_str!("why.md")]
#![doc = include_str!("threats.md")]

pub mod bundle;
pub mod config;
pub mod decision;
pub mod edge;
pub mod operator;
pub mod problem;
pub mod telemetry;
mod yaml;
