//! The pages with which a user connects an account at another service to the vault.

mod login;
mod page;
mod return_path;
mod server;
mod service;

pub use self::login::{ConnectLogin, ConnectPrompt};
pub use self::server::ConnectServer;
pub use self::service::ConnectService;
