//! The processes of the run and their files.

pub mod config;
pub mod cores;
pub mod process;

#[allow(dead_code, reason = "the end-to-end suite uses the rest of it")]
#[path = "../../../tests/e2e/lab/envoy.rs"]
mod envoy;
#[allow(dead_code, reason = "the end-to-end suite uses the rest of it")]
#[path = "../../../tests/e2e/lab/place.rs"]
pub mod place;
#[allow(dead_code, reason = "the end-to-end suite uses the rest of it")]
#[path = "../../../tests/e2e/lab/told.rs"]
pub mod told;
