//! All that a journal holds, page by page: for who tells others of it.

use core::ops::Bound;

use redb::ReadableDatabase as _;

use super::{CANCELS, ENTRIES, NotStored, Store, number, unreadable};
use crate::decision::revocation::EntryId;
use crate::edge::revocations::entry::{Cancel, Entry, Record};

/// How far somebody has come who goes through all of it: the entries, and then the cancels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Nothing was looked at.
    #[default]
    Start,
    /// This entry, and those before it.
    Entry(EntryId),
    /// Every entry; the cancels up to this one, if there is one: what it takes back, and whose it is.
    Cancel(Option<(EntryId, String)>),
}

impl Store {
    /// What comes after a place: at most so many records are looked at, and those of them that have not ended at `now` (Unix
    /// milliseconds) are given. The place to go on after, unless this was all.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn held(&self, after: &Place, most: usize, now: i64) -> Result<(Vec<Record>, Option<Place>), NotStored> {
        match after {
            Place::Start => self.entries(Bound::Unbounded, most, now),
            Place::Entry(id) => self.entries(Bound::Excluded(number(*id)), most, now),
            Place::Cancel(after) => self.cancels(after.as_ref(), most, now),
        }
    }

    fn entries(&self, after: Bound<u128>, most: usize, now: i64) -> Result<(Vec<Record>, Option<Place>), NotStored> {
        self.read(|database| {
            let table = database.begin_read()?.open_table(ENTRIES)?;
            let (mut found, mut next) = (Vec::new(), Place::Cancel(None));
            for (looked, row) in table.range::<u128>((after, Bound::Unbounded))?.enumerate() {
                let (key, text) = row?;
                let entry: Entry = serde_json::from_slice(text.value()).map_err(unreadable)?;
                if !entry.has_ended(now) {
                    found.push(Record::Entry(entry));
                }
                if looked.saturating_add(1) >= most {
                    next = Place::Entry(EntryId(key.value().to_be_bytes()));
                    break;
                }
            }
            Ok((found, Some(next)))
        })
    }

    fn cancels(
        &self,
        after: Option<&(EntryId, String)>,
        most: usize,
        now: i64,
    ) -> Result<(Vec<Record>, Option<Place>), NotStored> {
        self.read(|database| {
            let tables = database.begin_read()?;
            let (entries, table) = (tables.open_table(ENTRIES)?, tables.open_table(CANCELS)?);
            let after = after.map(|(id, source)| (number(*id), source.as_str()));
            let first = after.map_or(Bound::Unbounded, Bound::Excluded);
            let mut found = Vec::new();
            for (looked, row) in table.range::<(u128, &str)>((first, Bound::Unbounded))?.enumerate() {
                let (key, text) = row?;
                let (id, source) = key.value();
                // What takes back an entry that has ended says nothing any more.
                let entry = entries.get(id)?.map(|text| serde_json::from_slice::<Entry>(text.value()));
                let entry = entry.transpose().map_err(unreadable)?;
                let cancel: Cancel = serde_json::from_slice(text.value()).map_err(unreadable)?;
                if !cancel.has_ended(now) && !entry.is_some_and(|entry| entry.has_ended(now)) {
                    found.push(Record::Cancel(cancel));
                }
                if looked.saturating_add(1) >= most {
                    let place = (EntryId(id.to_be_bytes()), source.to_owned());
                    return Ok((found, Some(Place::Cancel(Some(place)))));
                }
            }
            Ok((found, None))
        })
    }
}
