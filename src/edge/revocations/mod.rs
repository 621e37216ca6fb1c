//! Where revocations come from, and the list they fill.

pub mod list;
