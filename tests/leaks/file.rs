//! The database file: no name, no scope, no token, no key.

use std::fs;
use std::sync::Arc;

use mcp_token_lifecycle::{NoAudit, RedbStore};

use crate::search::{ends, find_in_bytes, secret_chars, sha256};
use crate::story::{Story, THUMBPRINT, words};
use crate::support::{REDIRECT, VERIFIER};

#[test]
fn redb_file_shows_no_subject_client_scope_or_token() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.redb");
    let mut story = Story::tell(Arc::new(RedbStore::open(&path).unwrap()), NoAudit);
    let before = fs::read(&path).unwrap();
    story.rekey();
    let after = fs::read(&path).unwrap();

    let mut secrets = story.secrets();
    secrets.extend(story.tokens.iter().map(|token| secret_chars(token).into()));
    secrets.extend([sha256(VERIFIER), sha256(REDIRECT), THUMBPRINT].map(Vec::from));
    let mut needles: Vec<_> = secrets.iter().flat_map(|secret| ends(secret)).collect();
    needles.extend(words().into_iter().map(|word| word.as_bytes().to_vec()));
    for bytes in [&before, &after] {
        assert_eq!(find_in_bytes(bytes, &needles).map(String::from_utf8_lossy), None);
    }
    println!("{} needles, {} and {} bytes, {} tokens", needles.len(), before.len(), after.len(), story.tokens.len());

    // The search does find what is there: the ids of families, which are no secret.
    let ids = story.bench.audit.events().into_iter().filter_map(|event| event.family);
    let ids: Vec<_> = ids.map(|id| id.as_bytes().to_vec()).collect();
    let found = ids.iter().filter(|id| find_in_bytes(&after, std::slice::from_ref(id)).is_some()).count();
    assert!(found > 10, "{found} of {} family ids", ids.len());
}
