//! The messages of Envoy's external authorization API, compiled from `proto/ext_authz.proto`.
#![allow(missing_docs, clippy::pedantic, reason = "generated code")]

tonic::include_proto!("envoy.service.auth.v3");

/// The compiled description of `proto/`, for gRPC reflection.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
