//! Keyrings: nothing panics, and what a keyring exports reads back as the same keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_token_lifecycle::{AccessKeys, Keyring, KeyringError};

fuzz_target!(|text: &str| {
    let (keyring, access) = (Keyring::parse(text), AccessKeys::parse(text));
    // The same format, but that an entry of access keys may name its resource.
    assert!(access.is_ok() == keyring.is_ok() || text.contains('@') && keyring.is_err());
    if let Ok(keys) = access {
        let read = AccessKeys::parse(&keys.export()).expect("an export is well-formed");
        assert_eq!(*read.export(), *keys.export());
    }
    match keyring {
        Ok(_) => {}
        Err(KeyringError::NoVariable(_) | KeyringError::Permissions { .. } | KeyringError::Io { .. }) => {
            panic!("no text gives this error");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
