//! The layout of the tables, and every read and change of them.

use std::borrow::Cow;
use std::ops::Bound;

use redb::{
    Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition,
    TableHandle, WriteTransaction,
};

use super::error::{Fault, OpenFault};
use super::recent::Recent;
use crate::id::{IndexKey, RecordKey};
use crate::store::{Commit, Cursor, Page, Record, Select};
use crate::time::Timestamp;

/// Record key → [`encode`]d record. The name contains the version of the layout.
const RECORDS: TableDefinition<&[u8; 16], &[u8]> = TableDefinition::new("mcp-token-lifecycle/1/records");

/// The first 6 bytes of an index key, and the record key. The record has the whole index key, so a listing passes over
/// the records of other index keys that begin with the same bytes. The pages of a multimap would be smaller, but a
/// multimap cannot continue within a key: each page of a listing would walk over all pages before it.
const INDEXES: TableDefinition<&[u8; INDEX], ()> = TableDefinition::new("mcp-token-lifecycle/1/indexes");

/// The length of a key of [`INDEXES`].
const INDEX: usize = 6 + 16;

/// The expiry in 5 bytes, and the record key. A purge reads from the front and stops at the first record that has not
/// expired.
const EXPIRIES: TableDefinition<&[u8; EXPIRY], ()> = TableDefinition::new("mcp-token-lifecycle/1/expiries");

/// The length of a key of [`EXPIRIES`].
const EXPIRY: usize = 5 + 16;

/// The expiry in [`EXPIRIES`] of all records that expire in the year 36812 or later, or never.
const FAR: [u8; 5] = [0xff; 5];

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
        return write(database, |tables| tables.listings().map(|_| ((), true))).map_err(damaged);
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
    recent: &Recent,
    records: impl Iterator<Item = Record>,
) -> Result<Vec<Result<Commit, Fault>>, Fault> {
    let mut applied = Vec::new();
    let outcomes = write(database, |tables| {
        let mut outcomes = Vec::new();
        for record in records {
            let outcome = tables.swap(&record, recent);
            match &outcome {
                Err(fault) if fault.is_of_engine() => return Err(fault.clone()),
                Ok(Commit::Applied) => applied.push(record),
                _ => {}
            }
            outcomes.push(outcome);
        }
        Ok((outcomes, !applied.is_empty()))
    })?;
    recent.put(applied);
    Ok(outcomes)
}

/// Deletes at most `limit` expired records in one transaction.
pub(super) fn purge(database: &Database, recent: &Recent, now: Timestamp, limit: usize) -> Result<usize, Fault> {
    write(database, |tables| {
        let removed = tables.purge(now, limit, recent)?;
        Ok((removed, removed > 0))
    })
}

/// The tables of a transaction. Most transactions change neither indexes nor expiries, so those tables are opened when
/// they are needed.
struct Tables<'t> {
    transaction: &'t WriteTransaction,
    records: Table<'t, &'static [u8; 16], &'static [u8]>,
    listings: Option<Listings<'t>>,
    /// The bytes of the row that was written last, whose memory the next row uses.
    row: Vec<u8>,
}

struct Listings<'t> {
    indexes: Table<'t, &'static [u8; INDEX], ()>,
    expiries: Table<'t, &'static [u8; EXPIRY], ()>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        let records = transaction.open_table(RECORDS)?;
        Ok(Self { transaction, records, listings: None, row: Vec::new() })
    }

    fn listings(&mut self) -> Result<&mut Listings<'t>, Fault> {
        Listings::opened(&mut self.listings, self.transaction)
    }

    fn swap(&mut self, record: &Record, recent: &Recent) -> Result<Commit, Fault> {
        let last = recent.take(record.key);
        let old = match &last {
            Some(last) => Some(Head::of(last)),
            None => head(&self.records, record.key)?,
        };
        if old.as_ref().map_or(0, |old| old.version).checked_add(1) != Some(record.version) {
            recent.put(last);
            return Ok(Commit::Conflict);
        }
        let new = Head::of(record);
        new.encode(&record.payload, &mut self.row);
        self.records.insert(record.key.as_bytes(), self.row.as_slice())?;
        // An ordinary rotation changes neither indexes nor expiry and ends here.
        if let Some(old) = &old {
            if old.indexes == new.indexes && old.expires_at == new.expires_at {
                return Ok(Commit::Applied);
            }
            self.listings()?.remove(record.key, old)?;
        }
        self.listings()?.insert(record.key, &new)?;
        Ok(Commit::Applied)
    }

    fn purge(&mut self, now: Timestamp, limit: usize, recent: &Recent) -> Result<usize, Fault> {
        let expired = self.expired(now, limit)?;
        for key in &expired {
            recent.take(*key);
            let row = self.records.remove(key.as_bytes())?;
            let head = Head::decode(row.ok_or(Fault::Row("an expiry without a record"))?.value())?.0;
            if head.expires_at > now {
                return Err(Fault::Row("an expiry that is not the record's"));
            }
            self.listings()?.remove(*key, &head)?;
        }
        Ok(expired.len())
    }

    /// Returns the keys of at most `limit` expired records.
    fn expired(&mut self, now: Timestamp, limit: usize) -> Result<Vec<RecordKey>, Fault> {
        let end = expiry_entry(now, RecordKey::from_bytes([0xff; 16]));
        let listings = Listings::opened(&mut self.listings, self.transaction)?;
        let mut expired = Vec::new();
        for entry in listings.expiries.range::<&[u8; EXPIRY]>(..=&end)? {
            let entry = entry?.0;
            let key = key_in(entry.value());
            // These entries do not tell whether the record has expired.
            let may_live = entry.value().starts_with(&FAR);
            if may_live && head(&self.records, key)?.is_some_and(|head| head.expires_at > now) {
                continue;
            }
            expired.push(key);
            if expired.len() == limit {
                break;
            }
        }
        Ok(expired)
    }
}

impl<'t> Listings<'t> {
    /// Returns the tables in `this`, which are opened if they are not open.
    fn opened<'s>(this: &'s mut Option<Self>, transaction: &'t WriteTransaction) -> Result<&'s mut Self, Fault> {
        match this {
            Some(listings) => Ok(listings),
            closed => {
                let (indexes, expiries) = (transaction.open_table(INDEXES)?, transaction.open_table(EXPIRIES)?);
                Ok(closed.insert(Self { indexes, expiries }))
            }
        }
    }

    fn insert(&mut self, key: RecordKey, head: &Head<'_>) -> Result<(), Fault> {
        self.expiries.insert(&expiry_entry(head.expires_at, key), ())?;
        for index in head.indexes.iter() {
            self.indexes.insert(&index_entry(*index, key), ())?;
        }
        Ok(())
    }

    fn remove(&mut self, key: RecordKey, head: &Head<'_>) -> Result<(), Fault> {
        self.expiries.remove(&expiry_entry(head.expires_at, key))?;
        for index in head.indexes.iter() {
            self.indexes.remove(&index_entry(*index, key))?;
        }
        Ok(())
    }
}

/// Returns the head of the record under `key`.
fn head(
    records: &impl ReadableTable<&'static [u8; 16], &'static [u8]>,
    key: RecordKey,
) -> Result<Option<Head<'static>>, Fault> {
    match records.get(key.as_bytes())? {
        Some(row) => Ok(Some(Head::decode(row.value())?.0)),
        None => Ok(None),
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
                let entry = |key| index_entry(index, RecordKey::from_bytes(key));
                let start = after.map_or(Bound::Included(entry([0; 16])), |key| Bound::Excluded(entry(key)));
                let range = (start.as_ref(), Bound::Included(&entry([0xff; 16])));
                for row in self.transaction.open_table(INDEXES)?.range::<&[u8; INDEX]>(range)? {
                    let record = self.get(key_in(row?.0.value()))?;
                    let record = record.ok_or(Fault::Row("an index entry without a record"))?;
                    // Another index key may begin with the same bytes.
                    if record.indexes.contains(&index) {
                        records.push(record);
                    }
                    if records.len() == limit {
                        break;
                    }
                }
            }
        }
        let next = records.last().filter(|_| records.len() == limit).map(|record| Cursor::new(*record.key.as_bytes()));
        Ok(Page::new(records, next))
    }
}

/// The fields of a row before the payload:
///
/// 1. one byte with the number of index keys (bits 0 to 2), the width of the version (bits 3 and 4) and the width of
///    the expiry (bits 5 and 6), where a width of 0, 1 or 2 stands for 2, 4 or 8 bytes,
/// 2. the version and the expiry, both big-endian,
/// 3. the index keys, 16 bytes each.
struct Head<'r> {
    version: u64,
    expires_at: Timestamp,
    indexes: Cow<'r, [IndexKey]>,
}

impl<'r> Head<'r> {
    fn of(record: &'r Record) -> Self {
        let indexes = Cow::Borrowed(&record.indexes[..]);
        Self { version: record.version, expires_at: record.expires_at, indexes }
    }

    /// Writes the row with this head and `payload` into `row`.
    fn encode(&self, payload: &[u8], row: &mut Vec<u8>) {
        let (version, expires_at) = (self.version, self.expires_at.as_unix());
        row.clear();
        // `commit` refuses records with more than MAX_INDEXES index keys.
        row.push(self.indexes.len() as u8 | width(version) << 3 | width(expires_at) << 5);
        for number in [version, expires_at] {
            row.extend_from_slice(&number.to_be_bytes()[8 - (2 << width(number))..]);
        }
        row.extend(self.indexes.iter().flat_map(IndexKey::as_bytes));
        row.extend_from_slice(payload);
    }
}

impl Head<'static> {
    /// Decodes the head, and returns it with the payload.
    fn decode(row: &[u8]) -> Result<(Self, &[u8]), Fault> {
        let parts = || {
            let (shape, rest) = row.split_first()?;
            let (version, rest) = number(rest, shape >> 3 & 3)?;
            let (expires_at, rest) = number(rest, shape >> 5)?;
            let (indexes, payload) = rest.split_at_checked(16 * usize::from(shape & 7))?;
            let indexes = indexes.as_chunks().0.iter().copied().map(IndexKey::from_bytes).collect();
            Some((Self { version, expires_at: Timestamp::from_unix(expires_at), indexes }, payload))
        };
        parts().ok_or(Fault::Row("it is too short"))
    }
}

/// Returns the smallest width of `number`: 0, 1 or 2 for 2, 4 or 8 bytes.
fn width(number: u64) -> u8 {
    u8::from(number >= 1 << 16) + u8::from(number >= 1 << 32)
}

/// Decodes a number of this width, and returns it with the bytes behind it.
fn number(bytes: &[u8], width: u8) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_at_checked(2 << width)?;
    let start = 8_usize.checked_sub(number.len())?;
    let mut whole = [0; 8];
    whole[start..].copy_from_slice(number);
    Some((u64::from_be_bytes(whole), rest))
}

fn decode(key: RecordKey, row: &[u8]) -> Result<Record, Fault> {
    let (Head { version, expires_at, indexes }, payload) = Head::decode(row)?;
    Ok(Record::new(key, version, expires_at, indexes.into_owned(), payload.to_vec()))
}

fn index_entry(index: IndexKey, key: RecordKey) -> [u8; INDEX] {
    let mut entry = [0; INDEX];
    entry[..INDEX - 16].copy_from_slice(&index.as_bytes()[..INDEX - 16]);
    entry[INDEX - 16..].copy_from_slice(key.as_bytes());
    entry
}

fn expiry_entry(expires_at: Timestamp, key: RecordKey) -> [u8; EXPIRY] {
    let mut entry = [0; EXPIRY];
    let seconds = expires_at.as_unix().min(u64::from_be_bytes([0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff]));
    entry[..FAR.len()].copy_from_slice(&seconds.to_be_bytes()[8 - FAR.len()..]);
    entry[FAR.len()..].copy_from_slice(key.as_bytes());
    entry
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
        let mut row = Vec::new();
        Head::of(record).encode(&record.payload, &mut row);
        plant_row(database, record.key, &row);
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
        let indexes = vec![IndexKey::from_bytes([1; 16])];
        let record = Record::new(RecordKey::from_bytes([0; 16]), 7, Timestamp::from_unix(9), indexes, Vec::new());
        let mut row = Vec::new();
        Head::of(&record).encode(&record.payload, &mut row);
        assert!(Head::decode(&row).is_ok());
        for len in 0..row.len() {
            assert!(matches!(Head::decode(&row[..len]), Err(Fault::Row(_))));
        }
    }

    #[test]
    fn row_of_large_and_small_numbers_comes_back_as_it_was() {
        let numbers = [0, 1, 0xffff, 1 << 16, u64::from(u32::MAX), 1 << 32, u64::MAX];
        for (version, expires_at) in numbers.iter().flat_map(|version| numbers.map(|expires_at| (*version, expires_at)))
        {
            let (key, indexes) = (RecordKey::from_bytes([1; 16]), vec![IndexKey::from_bytes([2; 16]); 4]);
            let record = Record::new(key, version, Timestamp::from_unix(expires_at), indexes, vec![3; 9]);
            let mut row = Vec::new();
            Head::of(&record).encode(&record.payload, &mut row);
            assert_eq!(decode(key, &row).unwrap(), record);
        }
    }

    #[test]
    fn ordinary_head_takes_seven_bytes_and_its_index_keys() {
        let (key, expires_at) = (RecordKey::from_bytes([0; 16]), Timestamp::from_unix(2_000_000_000));
        let record = Record::new(key, 1000, expires_at, vec![IndexKey::from_bytes([1; 16]); 2], Vec::new());
        let mut row = Vec::new();
        Head::of(&record).encode(&record.payload, &mut row);
        assert_eq!(row.len(), 7 + 32);
    }
}
