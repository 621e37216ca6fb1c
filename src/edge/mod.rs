//! Everything that touches the outside: sockets, files, the clock, tasks. It decides nothing.
//!
//! A check comes in through [`listen`], [`connection`] and [`service`], is judged in [`gate`] (bytes in, answer out; it waits for partners
//! alone), and leaves through [`reply`]. [`keeper`] publishes what decisions read; [`health`] says whether to ask at all.

pub mod clock;
pub mod connection;
pub mod discovery;
pub mod door;
pub mod drill;
pub mod fetch;
pub mod files;
pub mod frame;
pub mod gate;
pub mod health;
pub mod introspection;
pub mod jwks;
pub mod keeper;
pub mod known;
pub mod listen;
pub mod material;
pub mod patience;
pub mod plain;
pub mod proto;
pub mod public;
mod random;
pub mod redis;
pub mod reply;
pub mod revocations;
pub mod serve;
pub mod service;
pub mod spent;
pub mod status_lists;
pub mod wire;
pub mod writer;
