//! keybound

pub mod bundle;
pub mod config;
pub mod decision;
pub mod problem;
mod yaml;

/// The messages of Envoy's external authorization API, compiled from `proto/`.
pub mod proto {
    #![allow(missing_docs, clippy::pedantic, reason = "generated code")]
    tonic::include_proto!("envoy.service.auth.v3");
}
