//! A transaction of the test's own that holds what others wait for, until the test ends it.

use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use super::{direct, sql, until};

pub(crate) struct Lock {
    client: Client,
    connection: JoinHandle<()>,
}

impl Lock {
    /// Carry out `script` in a transaction, and hold what it has locked.
    pub(crate) async fn take(script: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(&direct(), NoTls).await.unwrap();
        let connection = tokio::spawn(async move { drop(connection.await) });
        client.batch_execute(&format!("BEGIN; {script}")).await.unwrap();
        Self { client, connection }
    }

    /// Carry out another script in it.
    pub(crate) async fn and(&self, script: &str) {
        self.client.batch_execute(script).await.unwrap();
    }

    /// End the transaction, with what it has done.
    pub(crate) async fn release(self) {
        self.client.batch_execute("COMMIT").await.unwrap();
        self.connection.abort();
    }
}

/// Waits until a statement that begins like this waits for a lock.
pub(crate) async fn until_blocked(statement: &str) {
    until_there(statement, "wait_event_type = 'Lock'").await;
}

/// Waits until the server carries out a statement that begins like this.
pub(crate) async fn until_running(statement: &str) {
    until_there(statement, "state = 'active'").await;
}

async fn until_there(statement: &str, condition: &str) {
    let there = format!("SELECT 1 FROM pg_stat_activity WHERE {condition} AND query LIKE '{statement}%' LIMIT 1");
    until("a statement", async || (!sql(&direct(), &there).await.is_empty()).then_some(())).await;
}
