//! The commands of operators.

pub mod check;
pub mod schema;
pub mod serve;
