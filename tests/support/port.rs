//! Ports for the servers that a test starts.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A port on loopback that is free: below those that the system gives to clients, any of which may have taken it before the
/// server starts, and below those of the tests with Redis. Each call looks in another place.
pub fn free_port() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let begin = std::process::id() as usize % 3000 + NEXT.fetch_add(17, Ordering::Relaxed);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (6_000..10_000).cycle().skip(begin).take(4_000).find(is_free).expect("a port is free")
}
