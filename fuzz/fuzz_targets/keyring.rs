//! Keyrings: nothing panics, and what a keyring exports reads back as the same keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_token_lifecycle::{AccessKeys, Keyring, KeyringError};

fuzz_target!(|text: &str| {
    let keyring = Keyring::parse(text);
    // The same format, so the same verdict.
    assert_eq!(keyring.is_ok(), AccessKeys::parse(text).is_ok());
    match keyring {
        Ok(keyring) => {
            let exported = keyring.access_keys().export();
            let read = AccessKeys::parse(&exported).expect("an export is well-formed");
            assert_eq!(*read.export(), *exported);
        }
        Err(KeyringError::NoVariable(_) | KeyringError::Permissions { .. } | KeyringError::Io { .. }) => {
            panic!("no text gives this error");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
