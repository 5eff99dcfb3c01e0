//! The connect server as a tower service.

use super::server::ConnectServer;
use crate::http::service::tower_service;

tower_service! {
    /// A tower service that answers each request with [`ConnectServer::handle`]. Mount it where it sees the complete path.
    ConnectService(ConnectServer)
}
