//! The table: its name, its layout, and how it is created.

use super::error::{MAX_IDENTIFIER, PostgresError};
use crate::shown::shown;

/// The layout that this version knows. The comment of the table contains it.
const LAYOUT: u32 = 1;

/// The beginning of the table's comment.
const COMMENT: &str = "mcp-token-lifecycle, layout ";

/// The name of the table, with or without its schema.
#[derive(Clone, Debug)]
pub(super) struct TableName {
    schema: Option<String>,
    table: String,
}

impl Default for TableName {
    fn default() -> Self {
        Self { schema: None, table: "mcp_token_records".to_owned() }
    }
}

impl TableName {
    /// Parses `table` or `schema.table`. A name has only letters, digits and underscores, so it needs no escaping.
    pub(super) fn parse(name: &str) -> Result<Self, PostgresError> {
        let refused = || PostgresError::TableName { found: shown(name) };
        let identifier = |text: &str| {
            let plain = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
            let begun = text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
            (plain && begun && text.len() <= MAX_IDENTIFIER).then(|| text.to_owned()).ok_or_else(refused)
        };
        let (schema, table) = match name.split_once('.') {
            Some((schema, table)) => (Some(identifier(schema)?), table),
            None => (None, name),
        };
        Ok(Self { schema, table: identifier(table)? })
    }

    /// Returns the name as it stands in a statement.
    pub(super) fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("\"{schema}\".\"{}\"", self.table),
            None => format!("\"{}\"", self.table),
        }
    }

    /// Returns the statements that create the table, for [`schema_sql`](super::PostgresStore::schema_sql).
    ///
    /// An ordinary rotation changes `version` and `payload`, which no index covers. The new row fits into its page, so
    /// PostgreSQL updates no index (a HOT update). Each index key has a column of its own, so that a listing reads its
    /// B-trees in the order of the keys, independently of the number of records under one index key. The index of a
    /// column that is not used is empty.
    pub(super) fn create(&self) -> String {
        let (name, table) = (self.quoted(), &self.table);
        let schema = self.schema.iter().map(|schema| format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\";\n"));
        let indexes = (1..=4).map(|n| {
            format!(
                "CREATE INDEX IF NOT EXISTS \"{table}_index{n}\" ON {name} (index{n}, key) WHERE index{n} IS NOT NULL;\n"
            )
        });
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {name} (
    key bytea PRIMARY KEY,
    version bigint NOT NULL,
    expires_at bigint NOT NULL,
    index1 bytea,
    index2 bytea,
    index3 bytea,
    index4 bytea,
    payload bytea NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX IF NOT EXISTS \"{table}_expires_at\" ON {name} (expires_at);\n"
        );
        let comment = format!("COMMENT ON TABLE {name} IS '{COMMENT}{LAYOUT}';\n");
        schema.chain([create]).chain(indexes).chain([comment]).collect()
    }

    /// Returns the same statements behind a lock, because two processes may create the table at the same time. Sent as
    /// one message they are one transaction.
    pub(super) fn create_once(&self) -> String {
        // The number of the lock is an arbitrary constant of this crate.
        format!("SELECT pg_advisory_xact_lock(7021865330);\n{}", self.create())
    }

    /// Returns the query for the comment of the table. It gives no row if there is no table.
    pub(super) fn comment(&self) -> String {
        // A plain name may stand in a literal.
        format!(
            "SELECT coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class WHERE oid = to_regclass('{}')",
            self.quoted()
        )
    }

    /// Checks that the table, which has this comment, has the layout that this version knows.
    pub(super) fn check_layout(&self, comment: &str) -> Result<(), PostgresError> {
        match comment.strip_prefix(COMMENT).map(str::parse) {
            Some(Ok(LAYOUT)) => Ok(()),
            _ => {
                let (table, expected) = (self.quoted(), format!("{COMMENT}{LAYOUT}"));
                Err(PostgresError::UnknownLayout { table, expected, found: shown(comment) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_name_is_plain_or_refused() {
        for (name, quoted) in [("tokens", "\"tokens\""), ("auth.tokens_2", "\"auth\".\"tokens_2\"")] {
            assert_eq!(TableName::parse(name).unwrap().quoted(), quoted);
        }
        let long = "a".repeat(MAX_IDENTIFIER + 1);
        for name in ["", ".", "a.", ".a", "a.b.c", "1a", "A", "a b", "a\"b", "a'b", "a;b", "é", &long] {
            let error = TableName::parse(name).unwrap_err();
            assert!(matches!(error, PostgresError::TableName { .. }), "{name}");
            assert!(error.to_string().ends_with(&format!(", got {}", shown(name))), "{error}");
        }
    }

    #[test]
    fn check_layout_refuses_a_table_of_another_layout() {
        let table = TableName::default();
        assert!(table.check_layout("mcp-token-lifecycle, layout 1").is_ok());
        for comment in ["", "mcp-token-lifecycle, layout 2", "mcp-token-lifecycle, layout ", "customers"] {
            assert_eq!(
                table.check_layout(comment).unwrap_err().to_string(),
                format!(
                    "table \"mcp_token_records\" must have the comment \"mcp-token-lifecycle, layout 1\" of a token store, got {comment:?}"
                )
            );
        }
    }
}
