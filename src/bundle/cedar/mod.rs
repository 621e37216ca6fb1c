//! The Cedar files of a bundle: the schema, and the policies against it.
//!
//! Cedar parses and validates, strictly and with warnings as errors; what is checked beside it is what Cedar cannot know:
//! which attributes are given, which ids and reasons keybound needs, which names of clients and APIs exist.

mod bounds;
mod contract;
mod declared;
mod lint;
mod outline;
mod policies;
mod reach;
mod remembered;
mod report;
mod scan;
mod schema;
mod scope;
mod vocabulary;
mod written;

pub(super) use lint::Names;
pub(super) use policies::Policies;
pub(super) use reach::Places;
pub use remembered::Remembered;
#[cfg(test)]
pub(super) use schema::ReadSchema;
pub(super) use schema::read;

#[cfg(test)]
pub(super) fn is_too_deep(policy: &str) -> bool {
    bounds::too_deep(&scan::tokens(policy)).is_some()
}

/// An action that applies to something.
pub(super) struct Action {
    pub name: String,
    pub for_clients: bool,
    pub for_anonymous: bool,
    /// What `context.http.path` declares.
    path: Vec<PathParameter>,
    at: usize,
}

struct PathParameter {
    name: String,
    required: bool,
    at: usize,
}
