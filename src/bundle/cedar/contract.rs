//! A schema against what keybound gives to policies: `decision::policy::attributes` is the other side of the contract.
//!
//! An attribute that is never given, or of another type, or not always there though declared required, would make
//! policies on it error, and every request with them.

use super::declared::{AppliedAction, Attribute, Declared, Type};
use super::{Action, PathParameter};
use crate::decision::limits;
use crate::decision::policy::attributes::{self, Kind, Presence};
use crate::decision::token::{ClaimSpec, ClaimType};
use crate::problem::Findings;
use crate::yaml::shape::did_you_mean;

/// The entity types, and what each may declare.
const ENTITIES: [(&str, &[attributes::Attribute]); 3] =
    [("Client", attributes::CLIENT), ("Anonymous", &[]), ("Api", attributes::API)];

/// What a schema comes to.
pub(super) struct Contract {
    pub actions: Vec<Action>,
    pub claims: Vec<ClaimSpec>,
}

/// Checks a schema and reads the claims and path parameters that it declares.
pub(super) fn check(declared: &Declared, findings: &mut Findings<'_>) -> Contract {
    check_entities(declared, findings);
    for (name, at) in declared.annotations.iter().filter(|(name, _)| name != "doc") {
        refuse_annotation(name, *at, "@claim(\"…\") stands before a claim, @doc(\"…\") anywhere", findings);
    }
    let mut contract = Contract { actions: Vec::new(), claims: Vec::new() };
    let mut first: Option<(&str, Vec<ClaimSpec>)> = None;
    for action in &declared.actions {
        let mut reader = Reader { action, findings, claims: None, path: Vec::new() };
        reader.check_principals();
        reader.check_record(&action.context, attributes::CONTEXT, "context");
        let (claims, path) = (reader.claims, reader.path);
        match (&first, claims) {
            (None, Some(claims)) => first = Some((&action.name, claims)),
            (Some((other, agreed)), Some(claims)) if *agreed != claims => findings.error(
                findings.offset(action.at),
                format!("actions \"{}\" and \"{other}\" declare different `context.token.claims`", action.name),
                "declare one type, such as `type Claims = { … };`, and use it in every action",
            ),
            _ => {}
        }
        let applies_to = |name: &str| {
            action.principals.iter().any(|each| each == name) && action.resources.iter().any(|each| each == "Api")
        };
        contract.actions.push(Action {
            name: action.name.clone(),
            for_clients: applies_to("Client"),
            for_anonymous: applies_to("Anonymous"),
            path,
            at: action.at,
        });
    }
    contract.claims = first.map(|(_, claims)| claims).unwrap_or_default();
    contract
}

fn check_entities(declared: &Declared, findings: &mut Findings<'_>) {
    for (name, table) in ENTITIES {
        let Some(entity) = declared.entities.iter().find(|entity| entity.name == name) else {
            findings.error(
                findings.offset(0),
                format!("entity type `{name}` is not declared"),
                if name == "Anonymous" {
                    "add: entity Anonymous;".to_owned()
                } else {
                    format!("add: entity {name} = {{ … }};")
                },
            );
            continue;
        };
        check_attributes(&entity.attributes, table, name, findings);
        for attribute in &entity.attributes {
            let row = table.iter().find(|row| row.name == attribute.name);
            if attribute.required && row.is_some_and(|row| row.presence != Presence::Always) {
                refuse_required(attribute, &format!("{name}.{}", attribute.name), findings);
            }
        }
    }
    for entity in &declared.entities {
        let at = findings.offset(entity.at);
        if !ENTITIES.iter().any(|(name, _)| *name == entity.name) {
            findings.error(
                at,
                format!("entity type `{}` is none that keybound knows", entity.name),
                "remove it: principals are Client and Anonymous, resources are Api, and nothing would fill others",
            );
        } else if let Some(more) = entity.more {
            findings.error(
                at,
                format!("entity type `{}` has {more}, which keybound never fills", entity.name),
                "declare attributes only, or none",
            );
        }
    }
}

/// The context of one action.
struct Reader<'r, 'f> {
    action: &'r AppliedAction,
    findings: &'r mut Findings<'f>,
    claims: Option<Vec<ClaimSpec>>,
    path: Vec<PathParameter>,
}

impl Reader<'_, '_> {
    fn check_principals(&mut self) {
        let at = self.findings.offset(self.action.at);
        let strange = |names: &[String], known: &[&str]| names.iter().any(|name| !known.contains(&name.as_str()));
        if strange(&self.action.principals, &["Client", "Anonymous"]) || strange(&self.action.resources, &["Api"]) {
            self.findings.error(
                at,
                format!("action \"{}\" applies to other types than keybound asks about", self.action.name),
                "write: appliesTo { principal: Client, resource: Api, … }, with [Client, Anonymous] for public operations",
            );
        }
    }

    fn check_record(&mut self, declared: &[Attribute], table: &[attributes::Attribute], path: &str) {
        check_attributes(declared, table, path, self.findings);
        for attribute in declared {
            let Some(row) = table.iter().find(|row| row.name == attribute.name) else { continue };
            let path = format!("{path}.{}", attribute.name);
            let anonymous = self.action.principals.iter().any(|each| each == "Anonymous");
            let always = match row.presence {
                Presence::Always => true,
                Presence::ForClients => !anonymous,
                Presence::Sometimes => false,
            };
            if attribute.required && !always {
                refuse_required(attribute, &path, self.findings);
            }
            match (&row.kind, &attribute.kind) {
                (Kind::Record(table), Type::Record(members)) => self.check_record(members, table, &path),
                (Kind::Claims, Type::Record(members)) => self.claims = Some(claims(members, 1, self.findings)),
                (Kind::PathParameters, Type::Record(members)) => self.read_path(members),
                _ => {}
            }
        }
    }

    fn read_path(&mut self, members: &[Attribute]) {
        for parameter in members {
            refuse_annotations(parameter, self.findings);
            if !matches!(parameter.kind, Type::Text) {
                self.findings.error(
                    self.findings.offset(parameter.at),
                    format!("path parameter `{}` is declared {}", parameter.name, parameter.kind.words()),
                    format!("write `{}: String`: what stands in a path is text", parameter.name),
                );
            }
            self.path.push(PathParameter {
                name: parameter.name.clone(),
                required: parameter.required,
                at: parameter.at,
            });
        }
    }
}

/// Names, types and annotations; required or not is for the caller.
fn check_attributes(declared: &[Attribute], table: &[attributes::Attribute], path: &str, findings: &mut Findings<'_>) {
    for attribute in declared {
        refuse_annotations(attribute, findings);
        let at = findings.offset(attribute.at);
        let Some(row) = table.iter().find(|row| row.name == attribute.name) else {
            findings.error(
                at,
                format!("`{path}.{}` is nothing that keybound gives to policies", attribute.name),
                did_you_mean(&attribute.name, table.iter().map(|row| row.name)),
            );
            continue;
        };
        if !fits(&row.kind, &attribute.kind) {
            let mark = if attribute.required { "" } else { "?" };
            findings.error(
                at,
                format!("`{path}.{}` is declared {}", attribute.name, attribute.kind.words()),
                format!("write `{}{mark}: {}`", attribute.name, row.kind.words()),
            );
        }
    }
}

fn fits(kind: &Kind, declared: &Type) -> bool {
    match (kind, declared) {
        (Kind::Text, Type::Text)
        | (Kind::Long, Type::Long)
        | (Kind::Bool, Type::Bool)
        | (Kind::Datetime, Type::Datetime)
        | (Kind::Ip, Type::Ip)
        | (Kind::Record(_) | Kind::Claims | Kind::PathParameters, Type::Record(_)) => true,
        (Kind::TextSet, Type::Set(element)) => matches!(**element, Type::Text),
        _ => false,
    }
}

fn refuse_required(attribute: &Attribute, path: &str, findings: &mut Findings<'_>) {
    findings.error(
        findings.offset(attribute.at),
        format!("`{path}` is declared required, but it is not always there"),
        format!("write `{}?: …`, and test for it with `has` before it is used", attribute.name),
    );
}

fn refuse_annotations(attribute: &Attribute, findings: &mut Findings<'_>) {
    for (name, _) in attribute.annotations.iter().filter(|(name, _)| name != "doc") {
        refuse_annotation(
            name,
            attribute.at,
            "only claims are renamed, with @claim(\"…\"); @doc(\"…\") may stand anywhere",
            findings,
        );
    }
}

fn refuse_annotation(name: &str, at: usize, remedy: &str, findings: &mut Findings<'_>) {
    findings.error(findings.offset(at), format!("the annotation @{name} means nothing here"), remedy);
}

/// The claims to read: all optional, of types that a token can hold.
fn claims(declared: &[Attribute], depth: usize, findings: &mut Findings<'_>) -> Vec<ClaimSpec> {
    let mut specs: Vec<ClaimSpec> = Vec::new();
    for attribute in declared {
        let at = findings.offset(attribute.at);
        let name = &attribute.name;
        if attribute.required {
            findings.error(
                at,
                format!("claim `{name}` is declared required, and a token may come without it"),
                format!("write `{name}?: {}`, and test for it with `has`", attribute.kind.words()),
            );
        }
        let claim = claim_name(attribute, findings);
        if specs.iter().any(|spec| spec.claim == claim) {
            findings.error(at, format!("claim `{claim}` is declared twice"), "keep one attribute per claim");
        }
        if depth > limits::JSON_DEPTH {
            findings.error(at, "no token nests as deep as this claim", "declare fewer levels");
        } else if let Some(kind) = claim_type(&attribute.kind, depth, findings) {
            specs.push(ClaimSpec { attribute: name.clone(), claim, kind });
        } else {
            findings.error(
                at,
                format!("claim `{name}` is declared {}, which no token holds", attribute.kind.words()),
                "write String, Long, Bool, datetime, a Set of them, or a record of optional ones",
            );
        }
    }
    specs
}

/// The attribute's own name, or what `@claim("…")` says.
fn claim_name(attribute: &Attribute, findings: &mut Findings<'_>) -> String {
    let at = findings.offset(attribute.at);
    let mut claim = attribute.name.clone();
    for (name, value) in &attribute.annotations {
        match name.as_str() {
            "doc" => {}
            "claim" if value.is_empty() => {
                findings.error(at, "@claim names no claim", "write @claim(\"the claim's name in the token\")");
            }
            "claim" => claim.clone_from(value),
            _ => refuse_annotation(name, attribute.at, "known here: @claim(\"…\"), @doc(\"…\")", findings),
        }
    }
    claim
}

fn claim_type(kind: &Type, depth: usize, findings: &mut Findings<'_>) -> Option<ClaimType> {
    Some(match kind {
        Type::Text => ClaimType::Text,
        Type::Long => ClaimType::Long,
        Type::Bool => ClaimType::Bool,
        Type::Datetime => ClaimType::Date,
        Type::Set(element) => ClaimType::Set(Box::new(claim_type(element, depth.saturating_add(1), findings)?)),
        Type::Record(members) => ClaimType::Record(claims(members, depth.saturating_add(1), findings)),
        Type::Ip | Type::Other(_) => return None,
    })
}
