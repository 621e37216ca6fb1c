#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod damage;
mod example;
mod forgetful;
mod introspection;
mod policy_files;
mod reach;
mod remembered;
mod schema_file;
mod slices;
mod slips;
mod yaml_files;

use std::sync::LazyLock;

use super::*;
use crate::decision::jose::algorithm::AlgorithmSet;
use crate::decision::policy::Evaluation;
use crate::decision::status_list::StatusPolicy;
use crate::decision::token::{IssuerRules, TokenType};
use crate::problem::Severity;

/// 2026-12-01, 00:00 UTC.
const NOW: i64 = 1_796_083_200;

const SCHEMA: &str = "\
entity Client = { issuer: String, kind: String, purposes: Set<String>, owner?: String };
entity Anonymous;
entity Api = { sensitivity: String };
type Claims = { acr?: String, @claim(\"https://x.test/level\") level?: Long, since?: datetime };
type Token = { issuer: String, subject?: String, scopes: Set<String>, claims: Claims };
type Proof = { method: String, age_seconds?: Long };
type Http = { method: String, host: String };
action \"read\", \"write\";
action \"items.list\" in [\"read\"]
  appliesTo { principal: Client, resource: Api, context: { token: Token, proof: Proof, http: Http, now: datetime } };
action \"items.get\" in [\"read\"]
  appliesTo { principal: Client, resource: Api, context: { token: Token, http: { path: { item_id: String } } } };
action \"notes.add\" in [\"write\"]
  appliesTo { principal: [Client, Anonymous], resource: Api, context: { token?: Token, proof?: Proof, http: Http } };
action \"health\"
  appliesTo { principal: Anonymous, resource: Api, context: { http: Http } };
";

const MAIN: &str = "\
// Who may read.
@id(\"read-items\")
@reason(\"Clients that sell read items\")
permit (principal is Client, action in Action::\"read\", resource == Api::\"items\")
when { principal.purposes.contains(\"selling\") };

@id(\"shop-reads\")
@reason(\"The shop reads all\")
permit (principal == Client::\"https://as.test#shop\", action == Action::\"items.list\", resource)
when { context.token.claims has acr && context.token.claims.acr == \"gold\" };

@id(\"add-notes\")
@reason(\"All clients add notes\")
permit (principal is Client, action == Action::\"notes.add\", resource);
";

const GUARDRAILS: &str = "\
@id(\"no-agents\")
@reason(\"Agents write nothing\")
forbid (principal is Client, action in Action::\"write\", resource)
when { principal.kind == \"agent\" };
";

const APIS: &str = "\
apis:
  - id: items
    owner: items-team
    sensitivity: high
    hosts:
      items.test: https://items.test
    issuers: [https://as.test]
    audiences: [https://api.test]
    proof: required
    max_token_lifetime_seconds: 300
    operations:
      - { method: GET, path: /items, action: items.list, scopes: [items.read] }
      - { method: [GET, HEAD], path: '/items/{item_id}', action: items.get }
      - { method: GET, path: /health, action: health, public: true }
    exceptions:
      - client: { issuer: https://as.test, id: shop }
        waives: proof
        reason: not ready
        owner: shop-team
        expires: 2027-03-31
  - id: notes
    owner: notes-team
    sensitivity: low
    hosts: { notes.test: https://notes.test }
    issuers: [https://as.test, https://other.test]
    proof: dpop
    clients: any
    mode: observe
    relax: [binding]
    operations:
      - { method: POST, path: /notes, action: notes.add }
";

const CLIENTS: &str = "\
clients:
  - issuer: https://as.test
    id: shop
    owner: shop-team
    kind: service
    purposes: [selling]
    expires: 2027-06-30
  - { issuer: https://other.test, id: shop, owner: others, kind: partner }
";

/// The good bundle, with files put in place of its own or beside them.
fn bundle(changed: &[(&str, &str)]) -> Files {
    let good = [
        ("schema.cedarschema", SCHEMA),
        ("main.cedar", MAIN),
        ("guardrails.cedar", GUARDRAILS),
        ("apis.yaml", APIS),
        ("clients.yaml", CLIENTS),
    ];
    let kept = good.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    let all = kept.chain(changed).map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
    Files::new(all).unwrap()
}

fn good(file: &str) -> &'static str {
    match file {
        "schema.cedarschema" => SCHEMA,
        "main.cedar" => MAIN,
        "guardrails.cedar" => GUARDRAILS,
        "apis.yaml" => APIS,
        "clients.yaml" => CLIENTS,
        other => panic!("{other}"),
    }
}

fn issuer(name: &str, audience: &str) -> IssuerRules {
    IssuerRules {
        issuer: name.into(),
        audiences: vec![audience.into()],
        algorithms: AlgorithmSet::new(&AlgorithmSet::TOKENS),
        expiry_skew_seconds: 0,
        future_skew_seconds: 10,
        max_lifetime_seconds: Some(3_600),
        client_claim: "client_id".into(),
        scope_claim: "scope".into(),
        token_type: TokenType::AtJwt,
        signed_answers: None,
        status: StatusPolicy::default(),
    }
}

fn issuers() -> Vec<IssuerRules> {
    vec![issuer("https://as.test", "https://api.test"), issuer("https://other.test", "https://other-api.test")]
}

fn surroundings(issuers: &[IssuerRules]) -> Surroundings<'_> {
    static ASKED: LazyLock<[String; 1]> = LazyLock::new(|| ["https://as.test".to_owned()]);
    let asked = &*ASKED;
    Surroundings { issuers, asked, fapi2: false, certificates: true, evaluation: Evaluation::Indexed, now: NOW }
}

fn load_in(files: &Files, change: impl FnOnce(&mut Surroundings<'_>)) -> Result<(Bundle, Vec<Problem>), Vec<Problem>> {
    let issuers = issuers();
    let mut surroundings = surroundings(&issuers);
    change(&mut surroundings);
    let loaded = load(files, &surroundings);
    // What is remembered of the good bundle changes nothing, whatever is changed in this one.
    let again = load_again(files, &surroundings, &mut remembered());
    // Which of several principals, or mistakes of a schema, Cedar tells of first is not the same twice, nor which 200 of many problems
    // are told.
    let places = |loaded: &Result<(Bundle, Vec<Problem>), Vec<Problem>>| {
        let problems = loaded.as_ref().map_or_else(|problems| problems, |(_, warnings)| warnings);
        let told = if problems.len() < 200 { problems.as_slice() } else { &[] };
        let place = |problem: &Problem| {
            let schema = problem.place.file == "schema.cedarschema";
            (problem.severity, problem.place.file.clone(), (!schema).then(|| problem.place.clone()))
        };
        (problems.len(), told.iter().map(place).collect::<Vec<_>>())
    };
    assert_eq!((loaded.is_ok(), places(&loaded)), (again.is_ok(), places(&again)));
    loaded
}

/// The good bundle.
fn remembered() -> Remembered {
    let (issuers, mut remembered) = (issuers(), Remembered::default());
    load_again(&bundle(&[]), &surroundings(&issuers), &mut remembered).ok().unwrap();
    remembered
}

/// One change to a file of the good bundle; `^` marks where the problem must be reported, and is taken out.
fn change(file: &str, from: &str, to: &str) -> (String, Option<(usize, usize)>) {
    assert_eq!(good(file).matches(from).count(), 1, "{from:?} must be in the good {file} once");
    let marked = good(file).replace(from, to);
    let place = marked.find('^').map(|offset| {
        let before = &marked[..offset];
        (before.matches('\n').count() + 1, before.chars().rev().take_while(|each| *each != '\n').count() + 1)
    });
    (marked.replace('^', ""), place)
}

/// Refuses `refused` with exactly one error, at its `^` in that file.
fn refuse(file: &str, from: &str, refused: &str, what: &str, remedy: &str) {
    let (text, place) = change(file, from, refused);
    let problems = load_in(&bundle(&[(file, &text)]), |_| {}).err().unwrap_or_else(|| panic!("taken: {refused}"));
    let errors: Vec<_> = problems.iter().filter(|problem| problem.is_error()).collect();
    assert_eq!(errors.len(), 1, "{refused}: {problems:#?}");
    let error = errors[0];
    assert_eq!(error.place.file, file, "{error}");
    assert_eq!(Some((error.place.line, error.place.column)), place, "{error}");
    assert!(error.what.contains(what), "{error}");
    assert!(error.remedy.contains(remedy), "{error}");
}

/// Takes the good bundle with one change, without a warning.
fn take(file: &str, from: &str, to: &str) -> Bundle {
    let (text, _) = change(file, from, to);
    let (bundle, warnings) =
        load_in(&bundle(&[(file, &text)]), |_| {}).unwrap_or_else(|problems| panic!("{to}: {problems:#?}"));
    assert_eq!(warnings, [], "{to}");
    bundle
}

/// Refuses the one and takes the other.
fn row(file: &str, from: &str, refused: &str, what: &str, remedy: &str, allowed: &str) {
    refuse(file, from, refused, what, remedy);
    take(file, from, allowed);
}

/// Takes a change with exactly one warning, at its `^`.
fn warn(file: &str, from: &str, to: &str, what: &str, remedy: &str) {
    let (text, place) = change(file, from, to);
    let (_, warnings) =
        load_in(&bundle(&[(file, &text)]), |_| {}).unwrap_or_else(|problems| panic!("{to}: {problems:#?}"));
    assert_eq!(warnings.len(), 1, "{to}: {warnings:#?}");
    let warning = &warnings[0];
    assert_eq!((warning.severity, warning.place.file.as_str()), (Severity::Warning, file), "{warning}");
    assert_eq!(Some((warning.place.line, warning.place.column)), place, "{warning}");
    assert!(warning.what.contains(what) && warning.remedy.contains(remedy), "{warning}");
}

#[test]
fn the_good_bundle_is_taken_without_a_warning() {
    let (loaded, warnings) = load_in(&bundle(&[]), |_| {}).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(loaded.inventory.apis().len(), 2);
    assert_eq!(loaded.clients.iter().count(), 2);
    let claims: Vec<_> =
        loaded.policies.claims().iter().map(|spec| (spec.attribute.as_str(), spec.claim.as_str())).collect();
    assert_eq!(claims, [("acr", "acr"), ("level", "https://x.test/level"), ("since", "since")]);
}

#[test]
fn the_revision_is_that_of_names_and_contents() {
    let revision = |changed: &[(&str, &str)]| bundle(changed).revision();
    let good = revision(&[]);
    assert_eq!(good.len(), 64);
    assert_eq!(good, revision(&[("main.cedar", MAIN)]), "the order in which they come does not matter");
    let mut seen = vec![good];
    for changed in [("a", "bc"), ("ab", "c"), ("abc", ""), ("main.cedar", GUARDRAILS), ("tests/x.yaml", "")] {
        let revision = revision(&[changed]);
        assert!(!seen.contains(&revision), "{changed:?}");
        seen.push(revision);
    }
}

#[test]
fn problems_of_all_files_are_told_at_once_each_with_its_place() {
    let changed = [
        ("schema.cedarschema", SCHEMA.replace("issuer: String, kind", "issuer: Long, kind")),
        ("main.cedar", MAIN.replace("@reason(\"The shop reads all\")\n", "")),
        ("apis.yaml", APIS.replace("sensitivity: low", "sensitivity: none").replace("id: notes", "ident: notes")),
        ("clients.yaml", CLIENTS.replace("kind: partner", "kind: unregistered")),
    ];
    let changed: Vec<_> = changed.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let problems = load_in(&bundle(&changed), |_| {}).err().unwrap();
    let places: Vec<_> = problems
        .iter()
        .map(|problem| (problem.place.file.as_str(), problem.place.line, problem.place.column))
        .collect();
    assert_eq!(
        places,
        [
            ("apis.yaml", 21, 5),
            ("apis.yaml", 21, 5),
            ("apis.yaml", 23, 18),
            ("clients.yaml", 8, 66),
            ("main.cedar", 8, 1),
            ("schema.cedarschema", 1, 19),
        ],
        "{problems:#?}"
    );
    assert!(problems.iter().all(|problem| !problem.remedy.is_empty() && problem.source_line.is_some()));
}

#[test]
fn files_that_are_missing_or_that_nobody_reads_are_told() {
    let only = |name: &str| {
        let files = Files::new([(name.to_owned(), good(name).as_bytes().to_vec())]).unwrap();
        let problems = load_in(&files, |_| {}).err().unwrap();
        problems
            .iter()
            .filter(|problem| problem.what.contains("is missing"))
            .map(|problem| problem.place.file.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(only("main.cedar"), ["apis.yaml", "clients.yaml", "guardrails.cedar", "schema.cedarschema"]);
    assert_eq!(only("apis.yaml"), ["clients.yaml", "guardrails.cedar", "policies.cedar", "schema.cedarschema"]);

    let with = |name: &str| load_in(&bundle(&[(name, "")]), |_| {}).map(|(_, warnings)| warnings.len());
    for (name, what) in
        [("Guardrails.cedar", "guardrails"), ("team/x.cedar", "not be read"), ("x.CEDAR", "not be read")]
    {
        let problems = with(name).unwrap_err();
        assert!(
            problems.iter().any(|problem| problem.place.file == name && problem.what.contains(what)),
            "{problems:#?}"
        );
    }
    for (name, warnings) in
        [("notes.txt", 1), ("main.cedar~", 1), ("README.md", 0), ("tests/a.yaml", 0), ("b.cedar", 0)]
    {
        assert_eq!(with(name).ok(), Some(warnings), "{name}");
    }
}

#[test]
fn limits_bound_what_is_read() {
    let file = |name: &str, bytes: usize| (name.to_owned(), vec![b' '; bytes]);
    let refused = |files: Vec<(String, Vec<u8>)>| {
        Files::new(files).err().map(|problems| problems[0].what.clone()).unwrap_or_default()
    };
    assert!(refused(vec![file("a", 4 * 1024 * 1024 + 1)]).contains("bytes"));
    assert!(
        refused((0..5).map(|index| file(&index.to_string(), 4 * 1024 * 1024)).collect()).contains("bundle has more")
    );
    assert!(refused((0..513).map(|index| file(&index.to_string(), 0)).collect()).contains("bundle has more"));
    assert!(refused(vec![file("a", 0), file("a", 0)]).contains("twice"));
    assert!(refused(vec![file("a\nb", 0)]).contains("name"));
    assert_eq!(refused((0..512).map(|index| file(&index.to_string(), 1)).collect()), "");
}

#[test]
fn what_nobody_sees_is_refused_where_it_stands() {
    for (hidden, code) in [
        ("\u{202e}", "202E"),
        ("\u{200b}", "200B"),
        ("\u{0}", "0000"),
        ("\r", "000D"),
        ("\u{2028}", "2028"),
        ("\u{feff}", "FEFF"),
    ] {
        let text = MAIN.replace("may read", &format!("may{hidden} read"));
        let problems = load_in(&bundle(&[("main.cedar", &text)]), |_| {}).err().unwrap();
        let problem =
            problems.iter().find(|problem| problem.what.contains(code)).unwrap_or_else(|| panic!("{problems:#?}"));
        assert_eq!((problem.place.line, problem.place.column, &problem.source_line), (1, 11, &None));
    }
    let files = Files::new([("main.cedar".to_owned(), b"// a\n// \xff".to_vec())]).unwrap();
    let problems = load_in(&files, |_| {}).err().unwrap();
    let problem = problems.iter().find(|problem| problem.what.contains("UTF-8")).unwrap();
    assert_eq!((problem.place.line, problem.place.column), (2, 4));
    let windows = MAIN.replace('\n', "\r\n");
    assert!(load_in(&bundle(&[("main.cedar", &windows)]), |_| {}).is_ok());
}
