//! The layout of the tables, and every read and change of them.

use std::ops::Bound;

use redb::{
    Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition,
    TableHandle, WriteTransaction,
};

use super::error::{Fault, OpenFault};
use crate::id::{IndexKey, RecordKey};
use crate::store::{Commit, Cursor, Page, Record, Select};
use crate::time::Timestamp;

/// Record key → [`encode`]d record. The name contains the version of the layout.
const RECORDS: TableDefinition<&[u8; 16], &[u8]> = TableDefinition::new("mcp-token-lifecycle/1/records");

/// Index key and record key. The pages of a multimap would be up to a third smaller, but a multimap cannot continue
/// within a key: each page of a listing would walk over all pages before it.
const INDEXES: TableDefinition<&[u8; 32], ()> = TableDefinition::new("mcp-token-lifecycle/1/indexes");

/// Expiry and record key. A purge reads from the front and stops at the first record that has not expired.
const EXPIRIES: TableDefinition<&[u8; 24], ()> = TableDefinition::new("mcp-token-lifecycle/1/expiries");

/// The most records in a page, so that one listing does not delay the reads behind it.
const PAGE: usize = 256;

/// Creates the tables in a new database, and refuses a database with other tables.
pub(super) fn prepare(database: &Database) -> Result<(), OpenFault> {
    let damaged = |fault: Fault| OpenFault::Damaged(fault.into());
    let names = || -> Result<Vec<String>, Fault> {
        Ok(database.begin_read()?.list_tables()?.map(|table| table.name().to_owned()).collect())
    };
    let names = names().map_err(damaged)?;
    if names.is_empty() {
        return write(database, |_| Ok(((), true))).map_err(damaged);
    }
    let ours = [RECORDS.name(), INDEXES.name(), EXPIRIES.name()];
    if ours.iter().all(|name| names.iter().any(|n| n == name)) { Ok(()) } else { Err(OpenFault::NotAStore) }
}

/// Runs one transaction, which is durable when this returns. It is undone if `change` fails or reports that it changed
/// nothing.
fn write<T>(database: &Database, change: impl FnOnce(&mut Tables<'_>) -> Result<(T, bool), Fault>) -> Result<T, Fault> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    let (result, changed) = change(&mut Tables::open(&transaction)?)?;
    if changed {
        transaction.commit().map_err(Fault::commit)?;
    } else {
        transaction.abort()?;
    }
    Ok(result)
}

/// Compares and swaps each record in turn, all in one transaction. A malformed row fails only the record that meets it.
pub(super) fn swap_all(
    database: &Database,
    records: impl Iterator<Item = Record>,
) -> Result<Vec<Result<Commit, Fault>>, Fault> {
    write(database, |tables| {
        let mut outcomes = Vec::new();
        for record in records {
            match tables.swap(&record) {
                Err(fault) if fault.is_of_engine() => return Err(fault),
                outcome => outcomes.push(outcome),
            }
        }
        let changed = outcomes.iter().any(|outcome| matches!(outcome, Ok(Commit::Applied)));
        Ok((outcomes, changed))
    })
}

/// Deletes at most `limit` expired records in one transaction.
pub(super) fn purge(database: &Database, now: Timestamp, limit: usize) -> Result<usize, Fault> {
    write(database, |tables| {
        let removed = tables.purge(now, limit)?;
        Ok((removed, removed > 0))
    })
}

struct Tables<'t> {
    records: Table<'t, &'static [u8; 16], &'static [u8]>,
    indexes: Table<'t, &'static [u8; 32], ()>,
    expiries: Table<'t, &'static [u8; 24], ()>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            indexes: transaction.open_table(INDEXES)?,
            expiries: transaction.open_table(EXPIRIES)?,
        })
    }

    fn swap(&mut self, record: &Record) -> Result<Commit, Fault> {
        let Record { key, version, expires_at, indexes, payload } = record;
        let old = match self.records.get(key.as_bytes())? {
            Some(row) => Some(Head::decode(row.value())?.0),
            None => None,
        };
        if old.as_ref().map_or(0, |old| old.version).checked_add(1) != Some(*version) {
            return Ok(Commit::Conflict);
        }
        let new = Head { version: *version, expires_at: *expires_at, indexes: indexes.clone() };
        self.records.insert(key.as_bytes(), new.encode(payload).as_slice())?;
        // An ordinary rotation changes neither indexes nor expiry and ends here.
        if let Some(old) = old {
            if old.indexes == new.indexes && old.expires_at == new.expires_at {
                return Ok(Commit::Applied);
            }
            self.unlist(*key, &old)?;
        }
        self.expiries.insert(&join(new.expires_at.to_bytes(), *key), ())?;
        for index in &new.indexes {
            self.indexes.insert(&join(*index.as_bytes(), *key), ())?;
        }
        Ok(Commit::Applied)
    }

    fn purge(&mut self, now: Timestamp, limit: usize) -> Result<usize, Fault> {
        let end: [u8; 24] = join(now.to_bytes(), RecordKey::from_bytes([0xff; 16]));
        let mut expired = Vec::new();
        for entry in self.expiries.range::<&[u8; 24]>(..=&end)?.take(limit) {
            expired.push(key_in(entry?.0.value()));
        }
        for key in &expired {
            let row = self.records.remove(key.as_bytes())?;
            let head = Head::decode(row.ok_or(Fault::Row("an expiry without a record"))?.value())?.0;
            if head.expires_at > now {
                return Err(Fault::Row("an expiry that is not the record's"));
            }
            self.unlist(*key, &head)?;
        }
        Ok(expired.len())
    }

    fn unlist(&mut self, key: RecordKey, head: &Head) -> Result<(), Fault> {
        self.expiries.remove(&join(head.expires_at.to_bytes(), key))?;
        for index in &head.indexes {
            self.indexes.remove(&join(*index.as_bytes(), key))?;
        }
        Ok(())
    }
}

/// A consistent view of all tables.
pub(super) struct Snapshot {
    transaction: ReadTransaction,
    records: ReadOnlyTable<&'static [u8; 16], &'static [u8]>,
}

impl Snapshot {
    pub(super) fn of(database: &Database) -> Result<Self, Fault> {
        let transaction = database.begin_read()?;
        Ok(Self { records: transaction.open_table(RECORDS)?, transaction })
    }

    pub(super) fn get(&self, key: RecordKey) -> Result<Option<Record>, Fault> {
        match self.records.get(key.as_bytes())? {
            Some(row) => Ok(Some(decode(key, row.value())?)),
            None => Ok(None),
        }
    }

    /// The cursor is the key of the last record.
    pub(super) fn list(&self, select: Select, after: Option<&Cursor>, limit: usize) -> Result<Page, Fault> {
        let limit = limit.clamp(1, PAGE);
        let after: Option<[u8; 16]> = after.and_then(|cursor| cursor.as_bytes().try_into().ok());
        let mut records = Vec::new();
        match select {
            Select::All => {
                let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
                for row in self.records.range::<&[u8; 16]>((start, Bound::Unbounded))?.take(limit) {
                    let (key, row) = row?;
                    records.push(decode(RecordKey::from_bytes(*key.value()), row.value())?);
                }
            }
            Select::Index(index) => {
                let entry = |key| -> [u8; 32] { join(*index.as_bytes(), RecordKey::from_bytes(key)) };
                let start = after.map_or(Bound::Included(entry([0; 16])), |key| Bound::Excluded(entry(key)));
                let range = (start.as_ref(), Bound::Included(&entry([0xff; 16])));
                for row in self.transaction.open_table(INDEXES)?.range::<&[u8; 32]>(range)?.take(limit) {
                    let key = key_in(row?.0.value());
                    records.push(self.get(key)?.ok_or(Fault::Row("an index entry without a record"))?);
                }
            }
        }
        let next = records.last().filter(|_| records.len() == limit).map(|record| Cursor::new(*record.key.as_bytes()));
        Ok(Page::new(records, next))
    }
}

/// The fields of a row before the payload: version (8 bytes), expiry (8), number of index keys (1), index keys (16
/// each).
struct Head {
    version: u64,
    expires_at: Timestamp,
    indexes: Vec<IndexKey>,
}

impl Head {
    fn encode(&self, payload: &[u8]) -> Vec<u8> {
        let mut row = Vec::with_capacity(17 + 16 * self.indexes.len() + payload.len());
        row.extend_from_slice(&self.version.to_be_bytes());
        row.extend_from_slice(&self.expires_at.to_bytes());
        // `commit` refuses records with more than MAX_INDEXES index keys.
        row.push(self.indexes.len() as u8);
        row.extend(self.indexes.iter().flat_map(IndexKey::as_bytes));
        row.extend_from_slice(payload);
        row
    }

    /// Decodes the head, and returns it with the payload.
    fn decode(row: &[u8]) -> Result<(Self, &[u8]), Fault> {
        let parts = || {
            let (version, rest) = row.split_first_chunk()?;
            let (expires_at, rest) = rest.split_first_chunk()?;
            let (count, rest) = rest.split_first()?;
            let (indexes, payload) = rest.split_at_checked(16 * usize::from(*count))?;
            let indexes = indexes.as_chunks().0.iter().copied().map(IndexKey::from_bytes).collect();
            let version = u64::from_be_bytes(*version);
            Some((Self { version, expires_at: Timestamp::from_bytes(*expires_at), indexes }, payload))
        };
        parts().ok_or(Fault::Row("it is too short"))
    }
}

fn decode(key: RecordKey, row: &[u8]) -> Result<Record, Fault> {
    let (Head { version, expires_at, indexes }, payload) = Head::decode(row)?;
    Ok(Record::new(key, version, expires_at, indexes, payload.to_vec()))
}

/// Concatenates `prefix` and `key` to a key of `N` bytes.
fn join<const N: usize, const P: usize>(prefix: [u8; P], key: RecordKey) -> [u8; N] {
    const { assert!(N == P + 16) };
    let mut joined = [0; N];
    joined[..P].copy_from_slice(&prefix);
    joined[P..].copy_from_slice(key.as_bytes());
    joined
}

/// Returns the record key at the end of a concatenated key.
fn key_in<const N: usize>(joined: &[u8; N]) -> RecordKey {
    const { assert!(N >= 16) };
    let mut key = [0; 16];
    key.copy_from_slice(&joined[N - 16..]);
    RecordKey::from_bytes(key)
}

#[cfg(test)]
pub(super) mod tests {
    use redb::ReadableTableMetadata;

    use super::*;

    /// Writes `record` without comparing its version.
    pub(in super::super) fn plant(database: &Database, record: &Record) {
        let Record { key, version, expires_at, indexes, payload } = record;
        let head = Head { version: *version, expires_at: *expires_at, indexes: indexes.clone() };
        plant_row(database, *key, &head.encode(payload));
    }

    /// Write these bytes as the row of `key`, and nothing else.
    pub(in super::super) fn plant_row(database: &Database, key: RecordKey, row: &[u8]) {
        let planted = write(database, |tables| {
            tables.records.insert(key.as_bytes(), row)?;
            Ok(((), true))
        });
        planted.unwrap();
    }

    /// The bytes stored in all tables, and in each.
    pub(in super::super) fn stored_bytes(database: &Database) -> (u64, [u64; 3]) {
        let transaction = database.begin_read().unwrap();
        let bytes = [
            transaction.open_table(RECORDS).unwrap().stats().unwrap().stored_bytes(),
            transaction.open_table(INDEXES).unwrap().stats().unwrap().stored_bytes(),
            transaction.open_table(EXPIRIES).unwrap().stats().unwrap().stored_bytes(),
        ];
        (bytes.iter().sum(), bytes)
    }

    #[test]
    fn head_decode_calls_a_short_row_malformed() {
        let head =
            Head { version: 7, expires_at: Timestamp::from_unix(9), indexes: vec![IndexKey::from_bytes([1; 16])] };
        let row = head.encode(b"");
        assert!(Head::decode(&row).is_ok());
        for len in 0..row.len() {
            assert!(matches!(Head::decode(&row[..len]), Err(Fault::Row(_))));
        }
    }
}
