//! The epoch: what tells that a Redis remembers all it was told.
//!
//! A key beside what is kept says since when it is, and by which process. If it is missing or another one, or the process is another
//! one, something may have been forgotten: a new epoch begins. What follows from it is the business of who keeps something: proofs made
//! before it are refused by every replica, revocations are told anew by all who hold them.

/// What a Redis says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// The process, and the history that it writes: another one of either, and what was written may be gone.
    pub identity: String,
}

/// Why a Redis must not be trusted to keep what it is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It forgets when it is full.
    #[error("it evicts ({0}): set maxmemory-policy noeviction")]
    Evicts(String),
    /// Writes go elsewhere.
    #[error("it is a replica: name the one that is written to")]
    Replica,
    /// It reads what it had from its disk.
    #[error("it is loading")]
    Loading,
    /// It does not say what must be known.
    #[error("INFO does not say {0}")]
    Silent(&'static str),
}

impl Census {
    /// Reads what INFO says; every section that matters must be in it.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn read(info: &str) -> Result<Self, Unfit> {
        let field = |name: &'static str| field(info, name).ok_or(Unfit::Silent(name));
        if self::field(info, "loading").is_some_and(|loading| loading != "0") {
            return Err(Unfit::Loading);
        }
        if field("role")? != "master" {
            return Err(Unfit::Replica);
        }
        let policy = field("maxmemory_policy")?;
        if field("maxmemory")? != "0" && policy != "noeviction" {
            return Err(Unfit::Evicts(policy.to_owned()));
        }
        let identity = format!("{}:{}", field("run_id")?, field("master_replid")?);
        if !is_word(&identity) {
            return Err(Unfit::Silent("run_id"));
        }
        Ok(Self { identity })
    }
}

fn field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    let value = |line: &'i str| line.split_once(':').filter(|(found, _)| *found == name).map(|(_, value)| value);
    info.lines().find_map(value).map(str::trim)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An epoch of one Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// When it began, Unix seconds, by the clock of the replica that began it.
    pub since: i64,
    /// The process that remembers.
    pub identity: String,
    /// No two epochs are the same, though they begin in the same second.
    name: String,
}

/// The first word of an epoch: who reads another one knows that it was written by another version.
const VERSION: &str = "1";

impl Epoch {
    /// An epoch that begins now.
    #[must_use]
    pub fn begin(now: i64, census: &Census, random: [u8; 16]) -> Self {
        let name = random.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        Self { since: now, identity: census.identity.clone(), name }
    }

    /// Reads the value of the key; `None` if it is none of ours.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let words: Vec<_> = core::str::from_utf8(value).ok()?.split(' ').collect();
        let [VERSION, since, identity, name] = words.as_slice() else { return None };
        (is_word(identity) && is_word(name)).then_some(())?;
        Some(Self { since: since.parse().ok()?, identity: (*identity).to_owned(), name: (*name).to_owned() })
    }
}

impl core::fmt::Display for Epoch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{VERSION} {} {} {}", self.since, self.identity, self.name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const INFO: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n# Replication\r\nrole:master\r\nmaster_replid:def\r\n\
        master_replid2:000\r\n# Memory\r\nmaxmemory:0\r\nmaxmemory_human:0B\r\nmaxmemory_policy:noeviction\r\n";

    #[test]
    fn a_redis_that_keeps_all_it_is_told_is_fit() {
        assert_eq!(Census::read(INFO).unwrap().identity, "abc:def");
        let bounded = INFO.replace("maxmemory:0", "maxmemory:1000000");
        assert!(Census::read(&bounded).is_ok());
        let unbounded = INFO.replace("noeviction", "allkeys-lru");
        assert!(Census::read(&unbounded).is_ok(), "without maxmemory nothing is evicted");
    }

    #[test]
    fn a_redis_that_may_forget_is_refused() {
        let evicting = INFO.replace("maxmemory:0", "maxmemory:1000000").replace("noeviction", "volatile-ttl");
        assert_eq!(Census::read(&evicting), Err(Unfit::Evicts("volatile-ttl".to_owned())));
        assert_eq!(Census::read(&INFO.replace("role:master", "role:slave")), Err(Unfit::Replica));
        assert_eq!(Census::read(&format!("{INFO}loading:1\r\n")), Err(Unfit::Loading));
        for name in ["run_id", "role", "master_replid", "maxmemory", "maxmemory_policy"] {
            let silent = INFO.replace(&format!("\n{name}:"), "\nother:");
            assert_eq!(Census::read(&silent), Err(Unfit::Silent(name)), "{name}");
        }
    }

    #[test]
    fn an_epoch_is_read_as_it_is_written_and_nothing_else_is() {
        let census = Census::read(INFO).unwrap();
        let epoch = Epoch::begin(1_000, &census, [7; 16]);
        assert_eq!(Epoch::parse(epoch.to_string().as_bytes()), Some(epoch.clone()));
        assert_ne!(epoch, Epoch::begin(1_000, &census, [8; 16]));
        for bad in
            ["", "1", "1 x abc:def 00", "2 1000 abc:def 00", "1 1000  00", "1 1000 abc:def 00 more", "1 1000 abc:def "]
        {
            assert_eq!(Epoch::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Epoch::parse(&[0xff]), None);
    }
}
