//! Who makes a request: the client, and the key or session it proves to be bound to.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::crypto::equal;

/// A client that the application has identified and, if it is confidential, authenticated. Making one is that statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    id: Arc<str>,
    kind: ClientKind,
}

/// Whether a client can keep a secret (OAuth 2.1 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "OAuth knows these two")]
pub enum ClientKind {
    /// It cannot: its id is a claim, not a proof. Its refresh tokens always rotate.
    Public,
    /// It can, and it has just proved it.
    Confidential,
}

impl Client {
    /// A public client, known by its id alone.
    pub fn public(id: impl Into<Arc<str>>) -> Self {
        Self { id: id.into(), kind: ClientKind::Public }
    }

    /// A confidential client whose secret, assertion or certificate the application has just checked.
    pub fn confidential(id: impl Into<Arc<str>>) -> Self {
        Self { id: id.into(), kind: ClientKind::Confidential }
    }

    /// The client id.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn shared_id(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    /// Public or confidential.
    pub fn kind(&self) -> ClientKind {
        self.kind
    }
}

/// What a family is tied to: an opaque 32-byte thumbprint that the application computes anew for every request.
///
/// A family with a binding accepts only requests with the same one. Compared in constant time.
// Tokens and records name the variants by position: only ever append.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Binding {
    /// SHA-256 thumbprint of the key of a verified DPoP proof (RFC 9449 §6.1, `jkt`).
    DpopKey([u8; 32]),
    /// SHA-256 of the client's certificate (RFC 8705 §3.1, `x5t#S256`).
    Certificate([u8; 32]),
    /// A keyed hash over what the session should keep: a network, a user agent, a device. It is a tripwire, not a proof of
    /// possession, so it neither replaces rotation nor hinders a revocation.
    Fingerprint([u8; 32]),
}

impl Binding {
    /// Whether whoever presents it has proved possession of a key: a sender constraint (RFC 9700 §2.2.1).
    pub fn is_sender_constraint(&self) -> bool {
        !matches!(self, Self::Fingerprint(_))
    }

    /// Whether a request with the binding `presented` satisfies `required`.
    pub(crate) fn satisfies(presented: Option<&Self>, required: Option<&Self>) -> bool {
        match (required, presented) {
            (None, _) => true,
            (Some(required), Some(presented)) => required == presented,
            (Some(_), None) => false,
        }
    }
}

impl PartialEq for Binding {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::DpopKey(a), Self::DpopKey(b))
            | (Self::Certificate(a), Self::Certificate(b))
            | (Self::Fingerprint(a), Self::Fingerprint(b)) => equal(a, b),
            _ => false,
        }
    }
}

impl Eq for Binding {}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DpopKey(_) => "DpopKey(..)",
            Self::Certificate(_) => "Certificate(..)",
            Self::Fingerprint(_) => "Fingerprint(..)",
        })
    }
}
