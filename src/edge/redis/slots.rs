//! Which node of a Redis Cluster a key belongs to.

use redis::Value;

use crate::config::RedisAddress;

/// Slots of a cluster.
const SLOTS: u16 = 16_384;
/// Names that are tried for a key that a node holds; a node with a single slot is found in a sixth of them on average.
const NAMES: u32 = 100_000;

/// The slot of a key without braces: CRC-16/XMODEM, as the specification of Redis Cluster has it.
#[must_use]
pub fn slot_of(key: &[u8]) -> u16 {
    let crc = key.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    crc % SLOTS
}

/// A range of slots, both ends in it, and the node that is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    first: u16,
    last: u16,
    /// Whose it is.
    pub owner: RedisAddress,
}

/// Who has which slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots(Vec<Range>);

impl Slots {
    /// Reads the answer of CLUSTER SLOTS. A node without an address has that of `asked`.
    #[must_use]
    pub fn read(answer: &Value, asked: &RedisAddress) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let range = |range: &Value| {
            let Value::Array(fields) = range else { return None };
            let [first, last, Value::Array(owner), ..] = fields.as_slice() else { return None };
            let [host, port, ..] = owner.as_slice() else { return None };
            let host = text(host).filter(|host| !host.is_empty() && *host != "?").unwrap_or(&asked.host).to_owned();
            let owner = RedisAddress { host, port: number(port)? };
            Some(Range { first: number(first)?, last: number(last)?, owner })
        };
        let ranges: Option<Vec<_>> = ranges.iter().map(range).collect();
        ranges.filter(|ranges| !ranges.is_empty()).map(Self)
    }

    /// Each node once, in the order of their addresses.
    #[must_use]
    pub fn owners(&self) -> Vec<RedisAddress> {
        let mut owners: Vec<_> = self.0.iter().map(|range| range.owner.clone()).collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    /// Whose a slot is.
    #[must_use]
    pub fn owner(&self, slot: u16) -> Option<&RedisAddress> {
        self.0.iter().find(|range| (range.first..=range.last).contains(&slot)).map(|range| &range.owner)
    }

    /// Whether every slot is somebody's.
    #[must_use]
    pub fn are_whole(&self) -> bool {
        let mut ranges: Vec<_> = self.0.iter().map(|range| (range.first, range.last)).collect();
        ranges.sort_unstable();
        let end = ranges.iter().try_fold(0_u16, |next, (first, last)| (*first == next).then(|| last.saturating_add(1)));
        end == Some(SLOTS)
    }

    /// The first of the keys `prefix` and a number that a node holds: the same for every replica that sees the same slots.
    #[must_use]
    pub fn key_at(&self, owner: &RedisAddress, prefix: &str) -> Option<String> {
        let mut names = (0..NAMES).map(|number| format!("{prefix}{number}"));
        names.find(|key| self.owner(slot_of(key.as_bytes())) == Some(owner))
    }
}

fn number(value: &Value) -> Option<u16> {
    if let Value::Int(number) = value { u16::try_from(*number).ok() } else { None }
}

fn text(value: &Value) -> Option<&str> {
    if let Value::BulkString(bytes) = value { core::str::from_utf8(bytes).ok() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn range(first: i64, last: i64, host: &str, port: i64) -> Value {
        let owner =
            Value::Array(vec![Value::BulkString(host.into()), Value::Int(port), Value::BulkString("id".into())]);
        Value::Array(vec![Value::Int(first), Value::Int(last), owner])
    }

    fn asked() -> RedisAddress {
        RedisAddress { host: "seed".to_owned(), port: 1 }
    }

    #[test]
    fn a_slot_is_what_redis_says() {
        // The vector of the specification, and what CLUSTER KEYSLOT says.
        assert_eq!(slot_of(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b"foo"), 12_182);
        assert_eq!(slot_of(b""), 0);
    }

    #[test]
    fn every_slot_finds_its_owner() {
        let answer = Value::Array(vec![range(8_000, 16_383, "b", 7), range(0, 7_999, "", 6)]);
        let slots = Slots::read(&answer, &asked()).unwrap();
        assert!(slots.are_whole());
        assert_eq!(slots.owner(7_999), Some(&RedisAddress { host: "seed".to_owned(), port: 6 }));
        assert_eq!(slots.owner(8_000), Some(&RedisAddress { host: "b".to_owned(), port: 7 }));
        assert_eq!(slots.owners().len(), 2);
        for owner in slots.owners() {
            let key = slots.key_at(&owner, "keybound:epoch:").unwrap();
            assert_eq!(slots.owner(slot_of(key.as_bytes())), Some(&owner));
        }
        let lone = Value::Array(vec![range(0, 0, "a", 6), range(1, 16_383, "b", 6)]);
        let lone = Slots::read(&lone, &asked()).unwrap();
        let key = lone.key_at(&RedisAddress { host: "a".to_owned(), port: 6 }, "keybound:epoch:").unwrap();
        assert_eq!(slot_of(key.as_bytes()), 0, "a node with one slot has its key too");
    }

    #[test]
    fn what_is_no_map_of_slots_is_refused_and_a_hole_is_seen() {
        let holed = Value::Array(vec![range(0, 100, "a", 6), range(102, 16_383, "b", 6)]);
        let holed = Slots::read(&holed, &asked()).unwrap();
        assert!(!holed.are_whole() && holed.owner(101).is_none());
        for bad in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![range(0, 70_000, "a", 6)]),
        ] {
            assert_eq!(Slots::read(&bad, &asked()), None, "{bad:?}");
        }
    }
}
