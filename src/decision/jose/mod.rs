//! JOSE.

pub mod algorithm;
