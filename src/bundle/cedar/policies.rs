//! `*.cedar`: each policy on its own, then all of them against the schema.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{Effect, Policy, PolicyId, PolicySet, ValidationError, ValidationMode, Validator};

use super::reach::{self, Places};
use super::remembered::{Parsed, Remembered};
use super::scan::{self, Token};
use super::schema::ReadSchema;
use super::written::WrittenPolicy;
use super::{bounds, lint, report};
use crate::bundle::files::{GUARDRAILS, is_policy_file};
use crate::bundle::words::{NAME_REMEDY, check_prose, is_name, is_prose};
use crate::decision::client::{ClientId, Registration};
use crate::decision::policy::{AuthoredPolicy, Evaluation, IndexRefused, PolicyIndex};
use crate::decision::route::Api;
use crate::decision::token::ClaimSpec;
use crate::problem::{Findings, Position, Problem};

/// Every policy of the bundle, file by file.
pub(in crate::bundle) struct Policies<'f> {
    files: Vec<PolicyFile<'f>>,
}

struct PolicyFile<'f> {
    name: &'f str,
    source: &'f str,
    findings: Findings<'f>,
    policies: Vec<WrittenPolicy<'f>>,
}

/// Where the `@id`s are that are taken: the file's name, its text, and the place in it. Lines are counted only for who is told them: for
/// each policy, that would take longer than all the rest.
type Taken<'f> = HashMap<String, (&'f str, &'f str, usize)>;

impl<'f> Policies<'f> {
    /// Reads every policy file. `known` are policies that are valid under the schema that they will be validated against.
    pub fn read(texts: &BTreeMap<&'f str, &'f str>, known: Option<&Remembered>) -> Self {
        let mut taken = Taken::new();
        let files = texts.iter().filter(|(name, _)| is_policy_file(name));
        Self { files: files.map(|(name, source)| PolicyFile::read(name, source, known, &mut taken)).collect() }
    }

    fn all(&self) -> impl Iterator<Item = &WrittenPolicy<'f>> {
        self.files.iter().flat_map(|file| &file.policies)
    }

    /// All of them, to be remembered if the bundle is taken. `schema` is the text of the schema.
    pub fn remembered(&self, schema: &str, claims: &Arc<[ClaimSpec]>) -> Remembered {
        Remembered::new(schema, claims, self.all())
    }

    /// Validates all policies, strictly and with warnings as errors, and looks for what Cedar allows and nobody means.
    pub fn validate(&mut self, schema: &ReadSchema) {
        // Cedar validates each policy alone.
        let new = self.all().filter(|written| !written.valid).map(|written| written.policy().clone());
        // Ids are unique: the stand-ins too.
        let Ok(set) = PolicySet::from_policies(new) else { return };
        let result = Validator::new(schema.schema.clone()).validate(&set, ValidationMode::Strict);
        // One policy is judged once per principal and action: what is wrong in it is told once. What is impossible because
        // of an error is no finding of its own, nor is what is wrong for other actions because one is not declared.
        let mut told = HashSet::new();
        let mut broken = HashSet::new();
        let undeclared = |error: &&ValidationError| matches!(error, ValidationError::UnrecognizedActionId(_));
        let (first, others): (Vec<_>, Vec<_>) = result.validation_errors().partition(undeclared);
        let astray: HashSet<_> = first.iter().map(|error| error.policy_id().clone()).collect();
        let others = others.into_iter().filter(|error| !astray.contains(error.policy_id()));
        for error in first.into_iter().chain(others) {
            broken.insert(error.policy_id().clone());
            if told.insert((error.policy_id().clone(), report::offset(error))) {
                self.report(error.policy_id(), error, |text| report::undeclared(error, text, schema.names()));
            }
        }
        for warning in result.validation_warnings().filter(|warning| !broken.contains(warning.policy_id())) {
            if told.insert((warning.policy_id().clone(), report::offset(warning))) {
                self.report(warning.policy_id(), warning, |_| None);
            }
        }
        for file in &mut self.files {
            for written in &file.policies {
                lint::check_forbid(written, &mut file.findings);
            }
        }
    }

    /// `remedy` is given the text from where the diagnostic points.
    fn report(&mut self, id: &PolicyId, diagnostic: &dyn miette::Diagnostic, remedy: impl Fn(&str) -> Option<String>) {
        for file in &mut self.files {
            if let Some(written) = file.policies.iter().find(|written| written.policy().id() == id) {
                let at = written.start.saturating_add(report::offset(diagnostic).unwrap_or_default());
                let remedy = remedy(file.source.get(at..).unwrap_or_default());
                report::add(diagnostic, file.source, written.start, remedy, &mut file.findings);
            }
        }
    }

    /// Looks for guardrails that are passed by leaving the token out, and gives the operations that no policy can permit.
    /// Where something is wrong with a policy, nothing is known.
    pub fn check_reach(
        &mut self,
        schema: &ReadSchema,
        apis: &[Api],
        clients: &HashMap<ClientId, Registration>,
    ) -> Places {
        let broken = self.files.iter().any(|file| file.findings.has_errors());
        let Some(groups) = schema.groups().ok().filter(|_| !broken) else { return Places::new() };
        for file in self.files.iter_mut().filter(|file| file.name == GUARDRAILS) {
            reach::check_guardrails(&file.policies, &groups, apis, &mut file.findings);
        }
        reach::unpermitted(self.all(), &groups, apis, clients)
    }

    /// Checks every client and API that a policy names.
    pub fn check_names(&mut self, known: &lint::Names<'_>) {
        for file in &mut self.files {
            for written in &file.policies {
                known.check(written, &mut file.findings);
            }
        }
    }

    /// What was found, and the policies by action.
    pub fn finish(
        self,
        schema: Option<ReadSchema>,
        evaluation: Evaluation,
        problems: &mut Vec<Problem>,
    ) -> Option<PolicyIndex> {
        let mut authored = Vec::new();
        for file in self.files {
            problems.extend(file.findings.into_problems());
            let guardrail = file.name == GUARDRAILS;
            authored.extend(file.policies.into_iter().map(|written| AuthoredPolicy {
                policy: written.parsed.policy,
                guardrail,
                reason: written.reason,
            }));
        }
        let schema = schema.filter(|_| !problems.iter().any(Problem::is_error))?;
        match schema.index(&authored, evaluation) {
            Ok(index) => Some(index),
            Err(IndexRefused(why)) => {
                let what = format!("the policies cannot be put together: {why}");
                problems.push(Problem::at("schema.cedarschema", "", 1, 1, what, "correct ids and action groups"));
                None
            }
        }
    }
}

impl<'f> PolicyFile<'f> {
    fn read(name: &'f str, source: &'f str, known: Option<&Remembered>, taken: &mut Taken<'f>) -> Self {
        let mut file = Self { name, source, findings: Findings::new(name, source), policies: Vec::new() };
        let tokens = scan::tokens(source);
        if name == GUARDRAILS && tokens.is_empty() {
            file.no_guardrails();
        }
        for statement in scan::statements(&tokens) {
            file.read_policy(statement, known, taken);
        }
        file
    }

    /// What is cut off may have been all guardrails.
    fn no_guardrails(&mut self) {
        let at = self.findings.offset(0);
        if self.source.trim().is_empty() {
            let remedy = "put the guardrails back, or say in a comment that there are to be none";
            self.findings.error(at, "the file of guardrails is empty", remedy);
        } else {
            let what =
                "there is no guardrail: what other policies permit is forbidden by nothing that outlasts observe mode";
            self.findings.warning(at, what, "if that is meant, it may stay so; if not, put the guardrails back");
        }
    }

    fn read_policy(&mut self, statement: &[Token<'f>], known: Option<&Remembered>, taken: &mut Taken<'f>) {
        let (Some(first), Some(last)) = (statement.first(), statement.last()) else { return };
        let text = self.source.get(first.at..last.end()).unwrap_or_default();
        // `?` is in slots alone.
        if let Some(slot) = statement.iter().find(|token| token.is("?")) {
            self.findings.error(
                self.findings.offset(slot.at),
                "this is a template, and nothing fills its slots",
                "write a policy: name the principal and the resource, or none",
            );
            return;
        }
        if let Some(token) = bounds::too_deep(statement) {
            self.findings.error(
                self.findings.offset(token.at),
                "the policy nests too deep from here on, or has too long a chain of operators",
                "ask a set, such as [\"a\", \"b\"].contains(…), or write several policies",
            );
            return;
        }
        let known = known.and_then(|known| known.find(text));
        let valid = known.is_some();
        let mut parsed = if let Some(known) = known {
            known
        } else {
            match Policy::parse(None, text) {
                Ok(policy) => Parsed::new(policy),
                Err(errors) => return report::add(&errors, self.source, first.at, None, &mut self.findings),
            }
        };
        let policy = &parsed.policy;
        let (annotations, rest) = scan::annotations(statement);
        let effect = rest.first().map_or(first.at, |token| token.at);
        let place = |name: &str| annotations.iter().find(|each| each.name == name).map_or(effect, |each| each.at);
        self.check_annotations(policy, &place);
        if self.name == GUARDRAILS && policy.effect() != Effect::Forbid {
            self.findings.error(
                self.findings.offset(effect),
                "a guardrail permits nothing",
                "write `forbid`, or move the policy to another file",
            );
        }
        let id = self.check_id(policy, place("id"), taken).unwrap_or_else(|| {
            let Position { line, column } = self.findings.offset(effect);
            format!("{}:{line}:{column}", self.name)
        });
        let reason = policy.annotation("reason").unwrap_or_default().to_owned();
        let id = PolicyId::new(id);
        if *policy.id() != id {
            parsed.policy = policy.new_id(id);
        }
        self.policies.push(WrittenPolicy { parsed, valid, text, reason, start: first.at, tokens: rest.to_vec() });
    }

    fn check_annotations(&mut self, policy: &Policy, place: &dyn Fn(&str) -> usize) {
        for (name, value) in policy.annotations() {
            if matches!(name, "id" | "reason") {
                continue;
            }
            let at = self.findings.offset(place(name));
            match name {
                "mode" if value == "shadow" => self.findings.error(
                    at,
                    "@mode(\"shadow\") is not supported yet",
                    "leave it out: the policy decides; or keep the policy out of the bundle",
                ),
                "mode" => self.findings.error(
                    at,
                    format!("@mode(\"{value}\") is no mode"),
                    "leave @mode out: the policy decides",
                ),
                _ => self.findings.error(
                    at,
                    format!("the annotation @{name} means nothing"),
                    "known here: @id(\"…\"), @reason(\"…\"); remarks go into comments",
                ),
            }
        }
        let at = place("reason");
        match policy.annotation("reason") {
            Some(reason) if is_prose(reason) => {}
            Some(reason) => check_prose(reason, "@reason", self.findings.offset(at), &mut self.findings),
            None => self.findings.error(
                self.findings.offset(at),
                "the policy has no @reason",
                "add @reason(\"…\") before it: one sentence that logs and denials may show",
            ),
        }
    }

    /// The policy's `@id`, if it is sound and its own.
    fn check_id(&mut self, policy: &Policy, at: usize, taken: &mut Taken<'f>) -> Option<String> {
        let Some(id) = policy.annotation("id") else {
            self.findings.error(
                self.findings.offset(at),
                "the policy has no @id",
                "add @id(\"…\") before it: its name in decisions, logs and tests",
            );
            return None;
        };
        if !is_name(id) {
            self.findings.error(self.findings.offset(at), format!("`{id}` is no id of a policy"), NAME_REMEDY);
            return None;
        }
        if let Some((file, source, first)) = taken.get(id) {
            let line = Position::at_offset(source, *first).line;
            let what = format!("the id `{id}` is taken by {file}, line {line}");
            self.findings.error(self.findings.offset(at), what, "give each policy its own id");
            return None;
        }
        taken.insert(id.to_owned(), (self.name, self.source, at));
        Some(id.to_owned())
    }
}
