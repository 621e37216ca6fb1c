//! Any bytes that an issuer may publish: keys that verify, or a reason why not.
#![no_main]

use keybound::decision::jose::algorithm::Algorithm;
use keybound::decision::token::Keyring;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(ring) = Keyring::parse(data) else { return };
    assert!(ring.len() <= 128);
    for algorithm in [Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa] {
        let mut candidates = 0;
        for (_, key) in ring.candidates(None, algorithm) {
            candidates += 1;
            assert_eq!(key.family(), algorithm.family());
            assert!(!key.verifies(algorithm, b"message", &[0; 64]), "zeros are nobody's signature");
        }
        assert!(candidates <= 4, "{candidates} keys would be tried");
    }
});
