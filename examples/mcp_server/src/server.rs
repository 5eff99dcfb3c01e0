//! Starts and stops the server, runs the periodic purge, and reads the keys.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::{Keyring, MasterKey, RedbStore, TokenIssuer};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::app;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A running server.
pub struct Server {
    issuer: Arc<TokenIssuer<RedbStore>>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
    purging: JoinHandle<()>,
}

impl Server {
    pub fn start(listener: TcpListener, issuer: TokenIssuer<RedbStore>) -> Result<Self> {
        let url = format!("http://{}", listener.local_addr()?);
        let issuer = Arc::new(issuer);
        let router = app::router(Arc::clone(&issuer), &url)?;
        let (stop, stopped) = oneshot::channel();
        let until = async { drop(stopped.await) };
        let serving = tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(until).await });
        let purge = Arc::clone(&issuer);
        let purging = async move { purge.purge_every(Duration::from_secs(3600), tokio::time::sleep).await };
        Ok(Self { issuer, stop, serving, purging: tokio::spawn(purging) })
    }

    /// Finishes the open requests, then closes the store, so that the file can be opened again.
    pub async fn stop(self) -> Result<()> {
        let Self { issuer, stop, serving, purging } = self;
        drop(stop);
        serving.await??;
        purging.abort();
        drop(purging.await);
        // axum reports the end of a connection shortly before it drops the router of that connection.
        while Arc::strong_count(&issuer) > 1 {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// Reads the keys from `file`. Creates the file with a new key, readable only by its owner, if it does not exist. Keep the file
/// separate from the backups of the store: an attacker who has both can forge refresh tokens.
pub fn keyring(file: &Path) -> Result<Keyring> {
    if !file.exists() {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        writeln!(options.open(file)?, "1:{}", MasterKey::generate()?.to_base64().as_str())?;
    }
    Ok(Keyring::from_file(file)?)
}
