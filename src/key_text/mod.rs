//! Keys as text: a keyring from a file or the environment, and access keys for another server.

mod access;
mod keyring;
