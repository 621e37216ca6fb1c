//! `schema.cedarschema`: Cedar reads it, and what it declares is checked against what keybound gives.

use std::sync::Arc;

use cedar_policy::{Entities, EntityUid, Schema, schema_str_to_json_with_resolved_types};

use super::contract::{self, Contract};
use super::outline::Outline;
use super::reach::Groups;
use super::{Action, bounds, declared, report, scan};
use crate::decision::policy::{AuthoredPolicy, Evaluation, IndexRefused, PolicyIndex};
use crate::decision::route::{Api, Operation};
use crate::decision::token::ClaimSpec;
use crate::problem::Findings;
use crate::yaml::shape::did_you_mean;

/// A schema that Cedar accepts, and what it comes to.
pub(in crate::bundle) struct ReadSchema {
    pub(super) schema: Schema,
    pub actions: Vec<Action>,
    /// The names of all actions, groups too.
    declared: Vec<String>,
    pub claims: Arc<[ClaimSpec]>,
}

/// Reads a schema. One that breaks the contract is there all the same, so that policies can be validated against it.
pub(in crate::bundle) fn read(source: &str, findings: &mut Findings<'_>) -> Option<ReadSchema> {
    let tokens = scan::tokens(source);
    if let Some((token, what)) = bounds::schema_too_deep(&tokens) {
        let at = findings.offset(token.at);
        findings.error(at, format!("the schema has too many {what} from here on"), "declare fewer, or nest them less");
        return None;
    }
    let outline = Outline::of(&tokens);
    for token in &outline.repeated {
        findings.error(
            findings.offset(token.at),
            format!("{} is declared twice in one record", token.text),
            "keep one of the two",
        );
    }
    for token in &outline.foreign {
        findings.error(
            findings.offset(token.at),
            format!("`{}` declarations are not taken", token.text),
            "declare everything in this file, without a namespace: Client, Anonymous, Api and the actions",
        );
    }
    for token in &outline.escaped {
        findings.error(
            findings.offset(token.at),
            format!("{} is a name with an escape in it", token.text),
            "write names as they are read: in apis.yaml, in policies and in logs",
        );
    }
    if findings.has_errors() {
        return None;
    }
    let (schema, warnings) = match Schema::from_cedarschema_str(source) {
        Ok(read) => read,
        Err(error) => {
            report::add(&error, source, 0, None, findings);
            return None;
        }
    };
    // A name that shadows one of Cedar's own would make types mean something else than they say.
    warnings.for_each(|warning| report::add(&warning, source, 0, None, findings));
    let (json, _) = match schema_str_to_json_with_resolved_types(source) {
        Ok(resolved) => resolved,
        Err(error) => {
            report::add(&error, source, 0, None, findings);
            return None;
        }
    };
    let unnamed = serde_json::json!({});
    let Ok(declared) = declared::read(json.get("").unwrap_or(&unnamed), &outline) else {
        findings.error(findings.offset(0), "the schema expands to too many attributes", "nest common types less");
        return None;
    };
    let Contract { actions, claims } = contract::check(&declared, findings);
    let mut names: Vec<_> = schema.actions().map(|action| action.id().unescaped().to_owned()).collect();
    names.sort_unstable();
    Some(ReadSchema { schema, actions, declared: names, claims: claims.into() })
}

impl ReadSchema {
    /// Every action, each with the groups it is in, transitively.
    pub(super) fn groups(&self) -> Result<Groups, IndexRefused> {
        let entities = self.entities()?;
        let own = |action: &EntityUid| {
            let around = entities.ancestors(action).into_iter().flatten();
            (action.id().unescaped().to_owned(), core::iter::once(action).chain(around).cloned().collect())
        };
        Ok(self.schema.actions().map(own).collect())
    }

    /// The names of all actions that are declared.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.declared.iter().map(String::as_str)
    }

    fn entities(&self) -> Result<Entities, IndexRefused> {
        self.schema.action_entities().map_err(|error| IndexRefused(error.to_string()))
    }

    /// Indexes policies by the actions of the schema.
    pub fn index(&self, policies: &[AuthoredPolicy], evaluation: Evaluation) -> Result<PolicyIndex, IndexRefused> {
        let split = |uids: Vec<EntityUid>| {
            let mut uids = uids.into_iter();
            uids.next().map(|action| (action, uids.collect()))
        };
        let actions: Vec<_> = self.groups()?.into_values().filter_map(split).collect();
        PolicyIndex::new(policies, &actions, &self.entities()?, Arc::clone(&self.claims), evaluation)
    }

    /// A path parameter that is declared is in the paths of its action's operations: in all of them if it is required,
    /// else at least in one.
    pub fn check_paths(&self, apis: &[Api], findings: &mut Findings<'_>) {
        for action in &self.actions {
            let operations: Vec<_> = apis
                .iter()
                .flat_map(|api| api.operations.iter().map(move |operation| (api, operation)))
                .filter(|(_, operation)| operation.action == action.name)
                .collect();
            if operations.is_empty() {
                findings.warning(
                    findings.offset(action.at),
                    format!("no operation in apis.yaml is action \"{}\"", action.name),
                    "remove the action, or the operation that should be it says something else",
                );
                continue;
            }
            for parameter in &action.path {
                let name = &parameter.name;
                let lacking = operations.iter().find(|(_, operation)| !has(operation, name));
                if let Some((api, operation)) = lacking.filter(|_| parameter.required) {
                    let known: Vec<_> = operation.path.parameters().collect();
                    findings.error(
                        findings.offset(parameter.at),
                        format!("action \"{}\" of API `{}` has no path parameter `{name}`", action.name, api.id),
                        format!("{}, or write `{name}?: String`", did_you_mean(name, known.into_iter())),
                    );
                }
                let mut everything = apis.iter().flat_map(|api| &api.operations);
                if !parameter.required && !everything.any(|operation| has(operation, name)) {
                    findings.warning(
                        findings.offset(parameter.at),
                        format!("no path in apis.yaml has a parameter `{name}`"),
                        "correct its name, or remove it: what tests for it is never true",
                    );
                }
            }
        }
    }
}

fn has(operation: &Operation, parameter: &str) -> bool {
    operation.path.parameters().any(|name| name == parameter)
}
