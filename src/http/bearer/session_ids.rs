//! The ids of MCP sessions. Each is valid only for the subject and client that opened the session.

use std::sync::OnceLock;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use crate::crypto::{Mac, base64url, equal, subkey};
use crate::grant::SubjectAndClient;
use crate::keys::MasterKey;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// Binds session ids to their owners, with a tag that is appended to the id that the service chose. The service sees
/// only its own id.
///
/// A session id is not secret: it appears in logs, and an attacker who knows one may have a good token of their own.
/// The MCP specification (Security Best Practices, "Session Hijacking") requires ids that are bound to the user.
#[derive(Default)]
pub(in crate::http) struct SessionIds(OnceLock<Option<Mac>>);

/// The session belongs to another owner, or does not exist.
pub(super) struct WrongSession;

impl SessionIds {
    /// Uses a key that other processes have too.
    pub(super) fn with_key(key: &MasterKey) -> Self {
        Self(OnceLock::from(Some(mac(key))))
    }

    /// The MAC with the configured key, or a random key of this process; `None` if the random source failed.
    fn mac(&self) -> Option<&Mac> {
        self.0.get_or_init(|| MasterKey::generate().ok().as_ref().map(mac)).as_ref()
    }

    /// The tag of a session id and its owner.
    fn tag(&self, id: &[u8], owner: &SubjectAndClient) -> Option<[u8; 32]> {
        let (subject, client) = (owner.subject().as_bytes(), owner.client_id().as_bytes());
        let lengths = [id.len() as u64, subject.len() as u64].map(u64::to_be_bytes);
        Some(self.mac()?.tag([lengths.as_flattened(), id, subject, client]))
    }

    /// Replaces the client's session id in `headers` with the service's.
    pub(super) fn open(&self, headers: &mut HeaderMap, owner: &SubjectAndClient) -> Result<(), WrongSession> {
        let mut values = headers.get_all(SESSION).iter();
        let Some(value) = values.next() else { return Ok(()) };
        let id = (values.next().is_none()).then(|| self.opened(value, owner)).flatten();
        headers.insert(SESSION, id.ok_or(WrongSession)?);
        Ok(())
    }

    fn opened(&self, value: &HeaderValue, owner: &SubjectAndClient) -> Option<HeaderValue> {
        let (id, presented) = value.to_str().ok()?.rsplit_once('.')?;
        let mut tag = [0; 32];
        base64url::decode(presented, &mut tag)?;
        let expected = self.tag(id.as_bytes(), owner)?;
        equal(&tag, &expected).then(|| HeaderValue::from_str(id).ok()).flatten()
    }

    /// Replaces the service's session id in `headers` with the client's.
    pub(super) fn seal(&self, headers: &mut HeaderMap, owner: &SubjectAndClient) {
        let Some(value) = headers.remove(SESSION) else { return };
        // Without a tag the id would be valid for all owners, so the client gets none.
        if let Some(sealed) = self.sealed(&value, owner) {
            headers.insert(SESSION, sealed);
        }
    }

    fn sealed(&self, value: &HeaderValue, owner: &SubjectAndClient) -> Option<HeaderValue> {
        let id = value.to_str().ok()?;
        let sealed = base64url::encode(&format!("{id}."), &self.tag(id.as_bytes(), owner)?)?;
        HeaderValue::from_str(&sealed).ok()
    }
}

fn mac(key: &MasterKey) -> Mac {
    Mac::new(&subkey(key.as_bytes(), "mcp session"))
}
