//! A record as it stands in Redis: where, and with a MAC before its JSON. Whoever can write to Redis chooses every byte that is read here.
//!
//! Refused, in this order: what is too long to be read at all, what no key of the fleet has signed, what is no record, what stands in
//! another's place, what is over a limit. Only what is signed is parsed.

use super::mac::FleetKeys;
use crate::edge::revocations::entry::Record;

/// The longest value that is read: an entry at its limits, every character of it escaped, stays below it.
pub const SEALED_BYTES: usize = 64 * 1024;

/// Why a value does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is longer than any record.
    TooLong,
    /// No key of the fleet has signed it.
    Unverified,
    /// It is no record, though it is signed: another version wrote it.
    Unreadable,
    /// It is signed, and of another place.
    Misplaced,
    /// It is signed, and over a limit.
    Malformed,
}

impl Refusal {
    /// As metrics and the log have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Unverified => "unverified",
            Self::Unreadable => "unreadable",
            Self::Misplaced => "misplaced",
            Self::Malformed => "malformed",
        }
    }
}

/// Where a record stands: an entry by its id, a cancel by the id of what it takes back and by its source.
#[must_use]
pub fn place_of(record: &Record) -> String {
    match record {
        Record::Entry(entry) => entry.id.to_string(),
        Record::Cancel(cancel) => format!("{}/cancel/{}", cancel.entry, cancel.source),
    }
}

/// A record as it is written; nothing without a key.
#[must_use]
pub fn seal(keys: &FleetKeys, prefix: &str, record: &Record) -> Option<Vec<u8>> {
    let text = serde_json::to_vec(record).ok()?;
    keys.seal(prefix, &text).filter(|sealed| sealed.len() <= SEALED_BYTES)
}

/// The record at a place.
///
/// # Errors
/// [`Refusal`].
pub fn read(keys: &FleetKeys, prefix: &str, place: &[u8], sealed: &[u8]) -> Result<Record, Refusal> {
    if sealed.len() > SEALED_BYTES {
        return Err(Refusal::TooLong);
    }
    let text = keys.open(prefix, sealed).ok_or(Refusal::Unverified)?;
    let record: Record = serde_json::from_slice(text).map_err(|_| Refusal::Unreadable)?;
    if place_of(&record).as_bytes() != place {
        return Err(Refusal::Misplaced);
    }
    record.check().map_err(|_| Refusal::Malformed)?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::decision::limits::IDENTIFIER_BYTES;
    use crate::decision::revocation::{EntryId, Target};
    use crate::edge::revocations::entry::{
        ADMIN, ASKED_BY_BYTES, CASE_BYTES, Cancel, Entry, NAME_BYTES, REASON_BYTES, SERIAL_BYTES, SOURCE_BYTES,
    };

    fn keys() -> FleetKeys {
        FleetKeys::new(&[vec![7; 32]])
    }

    fn entry() -> Entry {
        Entry {
            id: EntryId([5; 16]),
            source: ADMIN.to_owned(),
            target: Target::Issuer { issuer: "https://as.test".to_owned() },
            not_issued_after: None,
            expires_at: Some(1_900_000_000),
            reported_at: 1_800_000_000_123,
            asked_at: 1_800_000_000_456,
            asked_by: "soc".to_owned(),
            reason: "an exercise".to_owned(),
            case: None,
        }
    }

    fn cancel() -> Cancel {
        let Entry { id, source, asked_at, asked_by, reason, case, expires_at, .. } = entry();
        Cancel { entry: id, source, asked_at, asked_by, reason, case, entry_expires_at: expires_at }
    }

    fn both() -> [Record; 2] {
        [Record::Entry(entry()), Record::Cancel(cancel())]
    }

    #[test]
    fn what_is_written_is_read_where_it_stands_and_nowhere_else() {
        for record in both() {
            let (place, sealed) = (place_of(&record), seal(&keys(), "keybound", &record).unwrap());
            assert_eq!(read(&keys(), "keybound", place.as_bytes(), &sealed), Ok(record.clone()));
            let another = place.replace("05050505", "06060606");
            for elsewhere in [another.as_str(), "", "epoch", &format!("{place}/cancel/admin"), &format!("{place} ")] {
                assert_eq!(
                    read(&keys(), "keybound", elsewhere.as_bytes(), &sealed),
                    Err(Refusal::Misplaced),
                    "{elsewhere}"
                );
            }
            assert_eq!(read(&keys(), "other", place.as_bytes(), &sealed), Err(Refusal::Unverified));
        }
        let [entry, cancel] = both().map(|record| seal(&keys(), "keybound", &record).unwrap());
        let places = both().map(|record| place_of(&record));
        assert_eq!(read(&keys(), "keybound", places[1].as_bytes(), &entry), Err(Refusal::Misplaced));
        assert_eq!(read(&keys(), "keybound", places[0].as_bytes(), &cancel), Err(Refusal::Misplaced));
    }

    #[test]
    fn what_is_no_record_of_ours_is_refused_by_its_first_fault() {
        let place = place_of(&Record::Entry(entry()));
        let told = |sealed: &[u8]| read(&keys(), "keybound", place.as_bytes(), sealed).unwrap_err();
        let signed = |text: &str| keys().seal("keybound", text.as_bytes()).unwrap();
        assert_eq!(told(b""), Refusal::Unverified);
        assert_eq!(told(&vec![0; SEALED_BYTES]), Refusal::Unverified);
        assert_eq!(told(&vec![0; SEALED_BYTES + 1]), Refusal::TooLong);
        assert_eq!(told(&signed(&"x".repeat(SEALED_BYTES))), Refusal::TooLong, "before it is verified");
        for text in ["", "{}", "[]", "{\"entry\":{}}", "{\"entry\":null}", "\u{0}"] {
            assert_eq!(told(&signed(text)), Refusal::Unreadable, "{text}");
        }
        let text = serde_json::to_string(&Record::Entry(entry())).unwrap();
        let unknown = text.replace("\"reason\"", "\"more\":1,\"reason\"");
        assert_eq!(told(&signed(&unknown)), Refusal::Unreadable, "a member that we would drop");
        let endless = Record::Entry(Entry { reason: "x".repeat(REASON_BYTES + 1), ..entry() });
        assert_eq!(told(&seal(&keys(), "keybound", &endless).unwrap()), Refusal::Malformed);
    }

    #[test]
    fn the_longest_record_fits() {
        let escaped = |bytes: usize| "\u{1}".repeat(bytes);
        for target in [
            Target::Session { issuer: escaped(IDENTIFIER_BYTES), sid: escaped(IDENTIFIER_BYTES) },
            Target::CertificateSerial { issuer: escaped(NAME_BYTES), serial: "ab".repeat(SERIAL_BYTES / 2) },
        ] {
            let record = Record::Entry(Entry {
                source: "x".repeat(SOURCE_BYTES),
                target,
                asked_by: "\"".repeat(ASKED_BY_BYTES),
                reason: "\"".repeat(REASON_BYTES),
                case: Some("\"".repeat(CASE_BYTES)),
                ..entry()
            });
            record.check().unwrap();
            let sealed = seal(&keys(), "keybound", &record).unwrap();
            assert_eq!(read(&keys(), "keybound", place_of(&record).as_bytes(), &sealed), Ok(record));
        }
    }
}
