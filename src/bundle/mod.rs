//! What policy authors write: schema, policies, inventory and registry, from bytes to a [`Bundle`] that decisions can
//! trust, or the list of all that is wrong with it, each with its place and what would be right.
//!
//! Pure: reading the directory is for others. Proves: every policy has an id and a reason and is valid against the
//! schema; the schema declares nothing that is not given; every operation has an action that applies; every name that one
//! file takes from another exists there. Refuses the bundle as a whole: half of one could be the half without its
//! `forbid`.

mod apis;
mod cedar;
mod clients;
mod files;
mod introspection;
mod leniency;
mod operations;
mod raw;
mod reference;
mod surroundings;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;

use serde_json::Value;

pub use cedar::Remembered;
pub use files::Files;
pub use reference::reference;
pub use surroundings::Surroundings;

use crate::decision::client::Registry;
use crate::decision::policy::Estate;
use crate::decision::snapshot::Bundle;
use crate::problem::{Findings, Problem};
use crate::yaml;

/// Several times what Cedar needs for the deepest text within `cedar::bounds`; pages that nobody touches cost nothing.
pub(crate) const STACK_BYTES: usize = 64 * 1024 * 1024;

/// A bundle with its warnings, or all problems.
type Loaded = Result<(Bundle, Vec<Problem>), Vec<Problem>>;

/// Reads a bundle. `Ok` carries the warnings beside it.
///
/// # Errors
/// Everything that is wrong, warnings included, file by file in the order of the text.
pub fn load(files: &Files, surroundings: &Surroundings<'_>) -> Loaded {
    load_again(files, surroundings, &mut Remembered::default())
}

/// Reads a bundle by what is remembered of the last one that was taken; if this one is, it is remembered. It comes to the same.
///
/// # Errors
/// As [`load`].
pub fn load_again(files: &Files, surroundings: &Surroundings<'_>, remembered: &mut Remembered) -> Loaded {
    // A thread of its own for the stack alone; what panics there refuses the bundle, and the last good one stays.
    let told = std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("keybound-bundle".to_owned()).stack_size(STACK_BYTES);
        let thread =
            builder.spawn_scoped(scope, || read(files, surroundings, remembered)).map_err(|error| error.to_string())?;
        thread.join().map_err(|_| "a defect of keybound".to_owned())
    });
    told.unwrap_or_else(|why| {
        let what = format!("the bundle could not be read: {why}");
        Err(vec![Problem::at(files::SCHEMA, "", 1, 1, what, "put the last good files back, and report it")])
    })
}

fn read(files: &Files, surroundings: &Surroundings<'_>, remembered: &mut Remembered) -> Loaded {
    let (texts, mut problems) = files.texts();
    let text = |name: &str| texts.get(name).copied();
    let findings = |name: &'static str| Findings::new(name, text(name).unwrap_or_default());
    let (mut of_schema, mut of_clients, mut of_apis) =
        (findings(files::SCHEMA), findings(files::CLIENTS), findings(files::APIS));

    let mut schema = text(files::SCHEMA).and_then(|source| cedar::read(source, &mut of_schema));
    let clients = text(files::CLIENTS).and_then(|source| clients::read(source, surroundings, &mut of_clients));
    let actions = schema.as_ref().map(|schema| schema.actions.as_slice());
    let context = surroundings::Context { surroundings, clients: clients.as_ref(), actions };
    let apis = text(files::APIS).and_then(|source| apis::read(source, &context, &mut of_apis));

    let known = remembered.under(text(files::SCHEMA));
    let mut policies = cedar::Policies::read(&texts, known);
    if let (Some(schema), Some(known)) = (&mut schema, known) {
        schema.claims = Arc::clone(known.claims());
    }
    if let Some(schema) = &schema {
        policies.validate(schema);
    }
    let list = apis.as_ref().map(|apis| apis.list.as_slice());
    policies.check_names(&cedar::Names::of(list, clients.as_ref(), surroundings.issuers));
    if let (Some(schema), Some(list)) = (&schema, list) {
        schema.check_paths(list, &mut of_schema);
    }
    // A policy file that is not read may be the one with the permits.
    if let (Some(schema), Some(apis), Some(clients)) = (&schema, &apis, &clients)
        && !problems.iter().any(Problem::is_error)
    {
        let unpermitted = policies.check_reach(schema, &apis.list, clients);
        apis.warn_of_unpermitted(&unpermitted, &mut of_apis);
    }
    let inventory = apis.and_then(|apis| apis.index(&mut of_apis));
    for findings in [of_schema, of_clients, of_apis] {
        problems.extend(findings.into_problems());
    }
    let taken =
        text(files::SCHEMA).zip(schema.as_ref()).map(|(text, schema)| policies.remembered(text, &schema.claims));
    let policies = policies.finish(schema, surroundings.evaluation, &mut problems);
    problems.sort_by(|one, other| one.place.file.cmp(&other.place.file));
    match (inventory, clients, policies) {
        (Some(inventory), Some(clients), Some(policies)) if !problems.iter().any(Problem::is_error) => {
            *remembered = taken.unwrap_or_default();
            let clients = Registry::new(clients);
            let estate = Estate::new(&inventory, &clients);
            let bundle = Bundle { revision: files.revision(), inventory, clients, policies, estate };
            Ok((bundle, problems))
        }
        _ => Err(problems),
    }
}

/// The JSON Schema of `apis.yaml`, for editors; `load` checks with the same one.
#[must_use]
pub fn apis_schema() -> Value {
    yaml::schema_of::<raw::ApisFile>()
}

/// The JSON Schema of `clients.yaml`, for editors; `load` checks with the same one.
#[must_use]
pub fn clients_schema() -> Value {
    yaml::schema_of::<raw::ClientsFile>()
}
