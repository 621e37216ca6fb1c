//! The load benchmark.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark may stop at the first surprise"
)]

#[path = "../world/mod.rs"]
mod world;

fn main() {
    let policies = std::env::args().nth(1).and_then(|policies| policies.parse().ok()).unwrap_or(10);
    let directory = std::env::temp_dir().join("keybound-world").join(policies.to_string());
    let estate = world::Estate::write(&directory, policies);
    let mut out = std::io::stdout();
    let t = world::token(world::Client::Certificate, world::Algorithm::Rs256);
    std::io::Write::write_all(
        &mut out,
        format!(
            "{} token {} message {} dpop {}\n",
            estate.config().display(),
            t.len(),
            world::bound(&t).len(),
            world::dpop(world::Client::DpopEs256, &t).len()
        )
        .as_bytes(),
    )
    .unwrap();
}
