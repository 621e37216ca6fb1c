//! The judgement.

pub mod binding;
pub mod certificate;
pub mod jose;
pub mod token;
