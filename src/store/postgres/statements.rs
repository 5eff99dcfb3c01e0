//! The statements, each complete in itself. No transaction spans two of them and none is prepared, so a pooler may be
//! used in transaction mode.

use super::table::TableName;

const COLUMNS: &str = "key, version, expires_at, index1, index2, index3, index4, payload";

/// The text of every statement for one table.
#[derive(Debug)]
pub(super) struct Statements {
    /// Selects the records under `$1`, an array of keys.
    pub(super) get: String,
    /// Inserts where there is no record.
    pub(super) insert: Swap,
    /// Replaces where the stored version is the previous one.
    pub(super) replace: Swap,
    /// Selects at most `$2` records after the key `$1`.
    pub(super) list_all: String,
    /// Selects at most `$2` records after the key `$1`, of those under the index key `$3`.
    pub(super) list_index: String,
    /// Deletes at most `$2` records that expire by `$1`, skips records that others have locked, and returns the number.
    pub(super) purge: String,
    /// Returns a row if any record expires by `$1`.
    pub(super) any_expired: String,
}

/// A compare-and-swap of the records whose parts are in the arrays `$1` to `$8`. It returns the keys of the records
/// that were written.
#[derive(Debug)]
pub(super) struct Swap {
    /// For arrays with one element: the same as `many`, with less planning.
    pub(super) one: String,
    pub(super) many: String,
}

impl Statements {
    pub(super) fn of(table: &TableName) -> Self {
        let table = table.quoted();
        // The planner cannot see the length of an array behind a sub-select, so it uses the primary key. Then it locks
        // the rows in the order of the batch; a scan of the table would lock them in its own order.
        let types = ["bytea", "bigint", "bigint", "bytea", "bytea", "bytea", "bytea", "bytea"];
        let arrays = || (1..).zip(types).map(|(n, of)| format!("${n}::{of}[]"));
        let many = arrays().map(|array| format!("(SELECT {array})")).collect::<Vec<_>>().join(", ");
        let one = arrays().map(|array| format!("({array})[1]")).collect::<Vec<_>>().join(", ");
        let insert =
            |rows: String| format!("INSERT INTO {table} ({COLUMNS}) {rows} ON CONFLICT (key) DO NOTHING RETURNING key");
        // If another transaction has locked the row, the server checks the condition on the version again on the row
        // that it wrote.
        let replace = |rows: String| {
            format!(
                "UPDATE {table} AS stored SET version = next.version, expires_at = next.expires_at, \
                 index1 = next.index1, index2 = next.index2, index3 = next.index3, index4 = next.index4, \
                 payload = next.payload FROM {rows} AS next ({COLUMNS}) \
                 WHERE stored.key = next.key AND stored.version = next.version - 1 RETURNING stored.key"
            )
        };
        let branches: Vec<_> = (1..=4)
            .map(|n| {
                format!(
                    "(SELECT {COLUMNS} FROM {table} WHERE index{n} = $3 AND key > $1 ORDER BY index{n}, key LIMIT $2)"
                )
            })
            .collect();
        Self {
            get: format!("SELECT {COLUMNS} FROM {table} WHERE key = ANY($1)"),
            insert: Swap {
                one: insert(format!("VALUES ({one})")),
                many: insert(format!("SELECT * FROM unnest({many})")),
            },
            replace: Swap { one: replace(format!("(VALUES ({one}))")), many: replace(format!("unnest({many})")) },
            list_all: format!("SELECT {COLUMNS} FROM {table} WHERE key > $1 ORDER BY key LIMIT $2"),
            list_index: format!("{} ORDER BY key LIMIT $2", branches.join(" UNION ALL ")),
            purge: format!(
                "WITH gone AS (DELETE FROM {table} WHERE expires_at <= $1 AND key = ANY(ARRAY(SELECT key FROM {table} \
                 WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING 1) SELECT count(*) FROM gone"
            ),
            any_expired: format!("SELECT 1 FROM {table} WHERE expires_at <= $1 LIMIT 1"),
        }
    }
}
