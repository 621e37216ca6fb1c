//! The bare server of the load benchmark once more, with jemalloc instead of the system's allocator. `load` starts it; by itself it does
//! nothing.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark may stop at the first surprise")]

#[path = "../load/floor.rs"]
mod floor;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    if std::env::var_os("KEYBOUND_BENCH_ROLE").is_some() {
        floor::serve();
    }
}
