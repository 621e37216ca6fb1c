//! The commands of operators.

pub mod check;
pub mod drill;
pub mod revoke;
pub mod schema;
pub mod serve;
