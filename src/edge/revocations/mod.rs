//! Where revocations come from, and the list they fill.

pub mod crl;
pub mod list;
