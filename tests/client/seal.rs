//! Sealed credentials, and what is shown of any.

use mcp_token_lifecycle::client::{StorageError, TokenManagerError};
use mcp_token_lifecycle::{KeyId, Keyring, MasterKey};

use super::script::*;
use super::support::*;

fn shows_a_token(bytes: &[u8]) -> bool {
    ["access-", "refresh-"].iter().any(|token| bytes.windows(token.len()).any(|window| window == token.as_bytes()))
}

#[tokio::test]
async fn sealed_file_shows_no_token_and_needs_its_key() {
    let lab = Lab::new(Script::new([successor(1)]));
    let sealed = lab.credentials().sealed_with(keyring());
    lab.log_in(&sealed).await;
    lab.pass(3600);
    assert_eq!(token(&sealed).await, "access-1");
    assert_eq!(token(&lab.credentials().sealed_with(keyring())).await, "access-1");
    assert!(!shows_a_token(&std::fs::read(lab.path()).unwrap()));
    let other = Keyring::new(KeyId::new(2), MasterKey::from_bytes([8; 32]));
    let refused = lab.credentials().sealed_with(other).access_token().await;
    assert!(matches!(refused, Err(TokenManagerError::Storage(StorageError::UnknownKey(id))) if id == KeyId::new(1)));
}

#[tokio::test]
async fn retired_key_opens_file_and_next_write_uses_primary() {
    let lab = Lab::new(Script::new([successor(1)]));
    lab.log_in(&lab.credentials().sealed_with(keyring())).await;
    let new = || Keyring::new(KeyId::new(2), MasterKey::from_bytes([8; 32]));
    let both = new().with_retired(KeyId::new(1), MasterKey::from_bytes([7; 32])).unwrap();
    lab.pass(3600);
    assert_eq!(token(&lab.credentials().sealed_with(both)).await, "access-1");
    assert_eq!(token(&lab.credentials().sealed_with(new())).await, "access-1");
}

#[tokio::test]
async fn seal_mismatch_between_writer_and_reader_is_refused() {
    let lab = Lab::new(Script::new([]));
    let (plain, sealed) = (lab.credentials(), lab.credentials().sealed_with(keyring()));
    for (writer, reader) in [(&plain, &sealed), (&sealed, &plain)] {
        lab.log_in(writer).await;
        let refused = reader.access_token().await;
        assert!(matches!(refused, Err(TokenManagerError::Storage(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn sealed_file_with_any_byte_altered_is_refused() {
    let lab = Lab::new(Script::new([]));
    let sealed = lab.credentials().sealed_with(keyring());
    lab.log_in(&sealed).await;
    let content = std::fs::read(lab.path()).unwrap();
    for at in 0..content.len() {
        let mut altered = content.clone();
        altered[at] ^= 1 << (at % 8);
        std::fs::write(lab.path(), altered).unwrap();
        let refused = sealed.access_token().await;
        assert!(matches!(refused, Err(TokenManagerError::Storage(_))), "byte {at}: {refused:?}");
    }
}

#[tokio::test]
async fn credentials_file_truncated_or_of_later_version_is_malformed() {
    let lab = Lab::new(Script::new([]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    let content = std::fs::read(lab.path()).unwrap();
    let later = [&[3], &content[1..]].concat();
    for altered in (0..content.len()).map(|len| content[..len].to_vec()).chain([later]) {
        std::fs::write(lab.path(), &altered).unwrap();
        let refused = credentials.access_token().await;
        let malformed = matches!(refused, Err(TokenManagerError::Storage(StorageError::Malformed { .. })));
        assert!(malformed, "{} bytes: {refused:?}", altered.len());
    }
}

#[tokio::test]
async fn debug_and_errors_show_no_token() {
    let lab = Lab::new(Script::new([]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    let token = credentials.access_token().await.unwrap();
    std::fs::write(lab.path(), b"\x01\x00\x08access-0").unwrap();
    let error = credentials.access_token().await.unwrap_err();
    let shown = format!("{credentials:?} {token:?} {error:?} {error} {:?}", lab.file());
    assert!(!shows_a_token(shown.as_bytes()), "{shown}");
}
