//! Where spent proofs are remembered. A store is a file here and passes the shared suite in `suite`.

pub mod memory;
