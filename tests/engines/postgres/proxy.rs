//! A proxy on loopback that cuts a connection at the worst moment.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Where the next connection that carries an update is cut. Each cut happens once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Never,
    /// Before the update goes on to the server.
    Before,
    /// When the server's answer to it is there, and before it goes back.
    After,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: Arc<AtomicU8>,
    open: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, cut) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU8::new(Cut::Never as u8)));
        let state = cut.clone();
        let open = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (server, cut) = (server.clone(), state.clone());
                connections.spawn(async move { forward(client, TcpStream::connect(server).await?, &cut).await });
            }
        });
        Self { port, cut, open }
    }

    /// End every connection, and take no more.
    pub(crate) async fn close(self) {
        self.open.abort();
        let _ = self.open.await;
    }

    pub(crate) fn cut_once(&self, cut: Cut) {
        self.cut.store(cut as u8, Ordering::SeqCst);
    }
}

/// Until one side ends, or the cut.
async fn forward(mut client: TcpStream, mut server: TcpStream, cut: &AtomicU8) -> io::Result<()> {
    let take =
        |wanted: Cut| cut.compare_exchange(wanted as u8, Cut::Never as u8, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            count = client.read(&mut asked) => {
                let bytes = &asked[..count?];
                let update = bytes.windows(6).any(|word| word == b"UPDATE");
                if bytes.is_empty() || update && take(Cut::Before) {
                    return Ok(());
                }
                server.write_all(bytes).await?;
                if update && take(Cut::After) {
                    // It answers after the commit, and not before.
                    return server.readable().await;
                }
            }
            count = server.read(&mut answered) => {
                let bytes = &answered[..count?];
                if bytes.is_empty() {
                    return Ok(());
                }
                client.write_all(bytes).await?;
            }
        }
    }
}
