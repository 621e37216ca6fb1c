//! One decision is one record, told the same way everywhere: log line, metric, dynamic metadata.
//!
//! No token, proof, certificate or key is part of a record. Metric labels are closed sets: codes, API ids and actions of the
//! inventory, names of listeners.

pub mod log;
pub mod metrics;
pub mod record;
