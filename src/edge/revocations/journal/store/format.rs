//! Whether tables are a journal of ours that we can read, and what to do about those that are not.

use std::io;

use redb::{Database, DatabaseError, ReadableDatabase as _, StorageError, TableHandle as _};

use super::{ABOUT, APPLIED, CANCELS, ENTRIES, FIRST_REFUSED};

/// The only row of [`ABOUT`]. A newer one means something that we cannot read.
pub(super) const FORMAT: (&str, u64) = ("format", 1);

pub(super) const DAMAGED: &str =
    "bring back a copy of the file; or, knowing that what was revoked in it is forgotten, move it away and revoke anew";

pub(super) fn remedy(error: &DatabaseError) -> &'static str {
    if matches!(error, DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) {
        return "is another keybound running? Each needs a file of its own";
    }
    if matches!(error, DatabaseError::UpgradeRequired(_)) {
        return "run the keybound that wrote it, or move the file away and revoke anew";
    }
    match error {
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() != io::ErrorKind::InvalidData => {
            "name a file in a directory that exists, on a disk with room, that keybound may read and write"
        }
        DatabaseError::Storage(_) | _ => DAMAGED,
    }
}

/// Nothing if there are no tables, and zero for those of others.
pub(super) fn format_of(database: &Database) -> Result<Option<u64>, redb::Error> {
    let tables = database.begin_read()?;
    let mut names = tables.list_tables()?;
    let Some(any) = names.next() else { return Ok(None) };
    if any.name() != ABOUT.name() && !names.any(|table| table.name() == ABOUT.name()) {
        return Ok(Some(0));
    }
    Ok(Some(tables.open_table(ABOUT)?.get(FORMAT.0)?.map_or(0, |format| format.value())))
}

pub(super) type Foreign = (String, &'static str);

/// Whether this is a journal of ours; an empty one becomes one.
pub(super) fn check_format(database: &Database) -> Result<(), Foreign> {
    let told = |error: redb::Error| (error.to_string(), DAMAGED);
    let begin = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        transaction.open_table(ABOUT)?.insert(FORMAT.0, FORMAT.1)?;
        transaction.open_table(ENTRIES)?;
        transaction.open_table(CANCELS)?;
        transaction.open_table(APPLIED)?;
        transaction.open_table(FIRST_REFUSED)?;
        Ok(transaction.commit()?)
    };
    match format_of(database).map_err(told)? {
        None => begin().map_err(told),
        Some(format) if format == FORMAT.1 => Ok(()),
        Some(0) => Err(("this is no journal of revocations".to_owned(), "name a file of keybound's own")),
        Some(format) => {
            let what = format!("it has format {format}, and this keybound reads format {}", FORMAT.1);
            Err((what, "run a newer keybound"))
        }
    }
}
