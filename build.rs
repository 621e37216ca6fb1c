//! Compiles `proto/` into Rust with protox: no `protoc` on the machine is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["proto/ext_authz.proto"], ["proto"])?;
    tonic_prost_build::configure().build_client(false).build_server(false).bytes(".").compile_fds(files)?;
    Ok(())
}
