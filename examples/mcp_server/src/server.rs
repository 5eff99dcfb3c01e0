//! A running server: its keys, its store, its purge, its end.

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

    /// Answer what is under way, then let go of the store, so that the file can be opened again.
    pub async fn stop(self) -> Result<()> {
        let Self { issuer, stop, serving, purging } = self;
        drop(stop);
        serving.await??;
        purging.abort();
        drop(purging.await);
        // axum says that a connection is over shortly before it lets go of what served it.
        while Arc::strong_count(&issuer) > 1 {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// The keys in `file`, which only its owner may read; new ones if there is no such file. Keep it apart from the backups of the
/// store: it takes both to make a refresh token.
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
