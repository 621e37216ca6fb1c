//! Any text as `apis.yaml` or `clients.yaml` beside the shipped rest: a bundle, or problems that point into a file.
#![no_main]

use keybound::bundle::{Files, Surroundings, load};
use keybound::decision::jose::algorithm::AlgorithmSet;
use keybound::decision::policy::Evaluation;
use keybound::decision::status_list::StatusPolicy;
use keybound::decision::token::{IssuerRules, TokenType};
use keybound_fuzz::support::NOW;
use libfuzzer_sys::fuzz_target;

const REST: [(&str, &str); 7] = [
    ("schema.cedarschema", include_str!("../../policies/schema.cedarschema")),
    ("guardrails.cedar", include_str!("../../policies/guardrails.cedar")),
    ("accounts.cedar", include_str!("../../policies/accounts.cedar")),
    ("catalogue.cedar", include_str!("../../policies/catalogue.cedar")),
    ("payments.cedar", include_str!("../../policies/payments.cedar")),
    ("apis.yaml", include_str!("../../policies/apis.yaml")),
    ("clients.yaml", include_str!("../../policies/clients.yaml")),
];

fuzz_target!(|data: &[u8]| {
    let name = if data.windows(8).any(|window| window == b"clients:") { "clients.yaml" } else { "apis.yaml" };
    let rest = REST.iter().filter(|(other, _)| *other != name);
    let files = rest.map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
    let Ok(files) = Files::new(files.chain([(name.to_owned(), data.to_vec())])) else { return };
    let issuers = ["https://as.example.com", "https://partner-as.example.net"].map(rules);
    let evaluation = Evaluation::Indexed;
    let surroundings =
        Surroundings { issuers: &issuers, asked: &[], fapi2: false, certificates: true, evaluation, now: NOW };
    if let Err(problems) = load(&files, &surroundings) {
        assert!(!problems.is_empty(), "refused without a word");
        let lines = data.split(|byte| *byte == b'\n').count();
        for problem in problems.iter().filter(|problem| problem.place.file == name) {
            assert!(problem.place.line <= lines.max(1), "{problem}");
        }
    }
});

fn rules(issuer: &str) -> IssuerRules {
    IssuerRules {
        issuer: issuer.to_owned(),
        audiences: vec!["https://api.example.com".to_owned()],
        algorithms: AlgorithmSet::new(&AlgorithmSet::TOKENS),
        expiry_skew_seconds: 0,
        future_skew_seconds: 10,
        max_lifetime_seconds: Some(3600),
        client_claim: "client_id".to_owned(),
        scope_claim: "scope".to_owned(),
        token_type: TokenType::AtJwt,
        signed_answers: None,
        status: StatusPolicy::default(),
    }
}
