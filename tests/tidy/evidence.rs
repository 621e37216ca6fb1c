//! Evidence: what a step proves is held by a type that nobody else can make, copy or fill in. That only its own room fills in
//! private fields is the compiler's to hold.

use crate::source::{Source, Token, src};

/// The types that prove something by being there.
const EVIDENCE: &[&str] = &[
    "RequestFacts",
    "PresentedCredential",
    "IssuedToken",
    "SecurityEvent",
    "VerifiedToken",
    "LiveToken",
    "StandingToken",
    "PeerCertificate",
    "CheckedProof",
    "BoundSender",
    "ProvenSender",
    "Authorised",
];

/// What would make evidence out of evidence, or out of nothing.
const FORBIDDEN: &[&str] =
    &["Clone", "Copy", "Default", "Serialize", "Deserialize", "DeserializeOwned", "From", "FromStr", "TryFrom"];

/// The one place where a type is defined: its file and the index of its name.
fn definition(name: &str) -> (&'static Source, usize) {
    let found: Vec<_> = src()
        .iter()
        .flat_map(|source| {
            let pairs = source.tokens.windows(2).enumerate();
            let here = pairs.filter(|(_, two)| two[0].is("struct") && two[1].is(name) && !two[1].test);
            here.map(move |(index, _)| (source, index + 1))
        })
        .collect();
    let [one] = found.as_slice() else { panic!("`struct {name}` is defined {} times", found.len()) };
    *one
}

/// The words of the attributes before an item whose keyword is at `index`.
fn attributes(tokens: &[Token], index: usize) -> Vec<&str> {
    let mut words = Vec::new();
    let mut at = index;
    while at > 0 {
        let before = &tokens[at - 1];
        let visibility = ["pub", "(", ")", "crate", "super", "in", "::"].iter().any(|sign| before.is(sign));
        if before.is("]") {
            let open = (0..at).rev().find(|open| tokens[*open].is("#") && tokens[*open + 1].is("[")).unwrap_or(0);
            words.extend(tokens[open..at].iter().map(|token| token.text.as_str()));
            at = open;
        } else if visibility {
            at -= 1;
        } else {
            break;
        }
    }
    words
}

#[test]
fn evidence_derives_nothing_that_makes_it() {
    let mut offences = Vec::new();
    for name in EVIDENCE {
        let (source, index) = definition(name);
        let derived = attributes(&source.tokens, index - 1).into_iter().filter(|word| FORBIDDEN.contains(word));
        offences.extend(derived.map(|word| format!("{name} derives {word}")));
    }
    crate::none(offences, "evidence that can be made without its step");
}

#[test]
fn evidence_implements_nothing_that_makes_it() {
    let mut offences = Vec::new();
    for source in src() {
        for (index, two) in source.tokens.windows(2).enumerate() {
            if !(two[0].is("for") && EVIDENCE.iter().any(|name| two[1].is(name))) {
                continue;
            }
            let start = (0..index).rev().find(|at| source.tokens[*at].is("impl")).unwrap_or(index);
            let traits = source.tokens[start..index].iter().filter(|token| FORBIDDEN.iter().any(|word| token.is(word)));
            offences
                .extend(traits.map(|token| format!("{}: {} for {}", source.at(token.line), token.text, two[1].text)));
        }
    }
    crate::none(offences, "evidence that can be made without its step");
}

#[test]
fn evidence_has_no_public_fields() {
    let mut offences = Vec::new();
    for name in EVIDENCE {
        let (source, index) = definition(name);
        let body =
            (index..source.tokens.len()).find(|at| ["{", "(", ";"].iter().any(|sign| source.tokens[*at].is(sign)));
        let open = body.unwrap();
        if !source.tokens[open].is(";") {
            let fields = &source.tokens[open..source.closing(open)];
            offences.extend(fields.iter().filter(|token| token.is("pub")).map(|token| source.at(token.line)));
        }
    }
    crate::none(offences, "a field of evidence that others may fill in");
}
