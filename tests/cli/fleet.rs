//! The keys with which replicas tell each other of revocations: read by `check` as by the start.

use std::fs;

use super::{good, keybound};

#[test]
fn check_reads_the_keys_of_the_fleet_and_tells_nothing_of_them() {
    let directory = good();
    let path = directory.path().join("keybound.yaml");
    let shared = "redis: { addresses: [\"127.0.0.1:1\"] }\nrevocations: { shared: { key_files: [fleet.key] } }\n";
    let text = fs::read_to_string(&path).unwrap() + shared;
    let line = text.lines().count();
    fs::write(&path, text).unwrap();
    let said = || String::from_utf8(keybound(&directory, "check").stdout).unwrap();
    assert!(said().contains(&format!("keybound.yaml:{line}:")) && said().contains("cannot be read"), "{}", said());
    fs::write(directory.path().join("fleet.key"), "TooShortForAKey").unwrap();
    let told = said();
    assert!(told.contains(&format!("keybound.yaml:{line}:")), "{told}");
    assert!(told.contains("this key of the fleet has 15 bytes") && !told.contains("TooShort"), "{told}");
    fs::write(directory.path().join("fleet.key"), [7; 32]).unwrap();
    assert!(keybound(&directory, "check").status.success(), "{}", said());
}
