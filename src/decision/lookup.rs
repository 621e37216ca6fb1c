//! Maps of what operators and authors wrote, in which every request looks up words of its own. A request never adds to them, so a
//! fast hash will do, and each process has its own secret.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

/// A map.
pub type Lookup<K, V> = HashMap<K, V, RandomState>;

/// A set.
pub type LookupSet<K> = HashSet<K, RandomState>;
