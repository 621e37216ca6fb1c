//! Random bytes for names, drawn many at a time: the generator takes as long for sixteen as for hundreds.

use std::cell::RefCell;

const AT_ONCE: usize = 1024;

thread_local! {
    static DRAWN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Sixteen random bytes that nobody was given before; `None` if there are none.
pub fn sixteen() -> Option<[u8; 16]> {
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.len() < 16 {
            drawn.resize(AT_ONCE, 0);
            if aws_lc_rs::rand::fill(drawn).is_err() {
                drawn.clear();
            }
        }
        let (rest, sixteen) = drawn.split_last_chunk()?;
        let (left, sixteen) = (rest.len(), *sixteen);
        drawn.truncate(left);
        Some(sixteen)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_sixteen_bytes_are_given_twice() {
        let drawn: BTreeSet<_> = (0..1000).map(|_| sixteen()).collect();
        assert_eq!(drawn.len(), 1000);
        assert!(!drawn.contains(&None));
    }
}
