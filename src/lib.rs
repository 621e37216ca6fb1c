//! keybound

pub mod bundle;
pub mod config;
pub mod decision;
pub mod edge;
pub mod operator;
pub mod problem;
pub mod telemetry;
mod yaml;
