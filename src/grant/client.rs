//! The client that makes a request, and the key or fingerprint that the request is bound to.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::crypto::equal;

/// A client that the application has identified and, if it is confidential, authenticated.
///
/// The issuer relies on that and does not check it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    id: Arc<str>,
    kind: ClientKind,
}

/// Whether a client can keep a secret (OAuth 2.1 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "OAuth knows these two")]
pub enum ClientKind {
    /// The client cannot keep a secret: its id is a claim, not a proof. The tokens of such a client rotate, unless its
    /// family is sender-constrained and the policy says otherwise.
    Public,
    /// The client can keep a secret and has just proved its identity with it.
    Confidential,
}

impl Client {
    /// Creates a public client, which is known by its id alone.
    pub fn public(id: impl Into<Arc<str>>) -> Self {
        Self { id: id.into(), kind: ClientKind::Public }
    }

    /// Creates a confidential client whose secret, assertion or certificate the application has just checked.
    pub fn confidential(id: impl Into<Arc<str>>) -> Self {
        Self { id: id.into(), kind: ClientKind::Confidential }
    }

    /// Returns the client id.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn shared_id(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    /// Returns whether the client is public or confidential.
    pub fn kind(&self) -> ClientKind {
        self.kind
    }
}

/// What a family is bound to: an opaque 32-byte thumbprint that the application computes for each request.
///
/// A family with a binding accepts only requests with the same binding. Bindings are compared in constant time.
// Tokens and records name the variants by position: only ever append.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Binding {
    /// The SHA-256 thumbprint of the key of a verified DPoP proof (RFC 9449 §6.1, `jkt`).
    DpopKey([u8; 32]),
    /// The SHA-256 thumbprint of the client's certificate (RFC 8705 §3.1, `x5t#S256`).
    Certificate([u8; 32]),
    /// A keyed hash over properties that should stay the same during the session: a network, a user agent, a device.
    ///
    /// It is a tripwire and not a proof of possession. So it does not replace rotation, and a revocation does not
    /// require it.
    Fingerprint([u8; 32]),
}

impl Binding {
    /// Whether a request with this binding has proved possession of a key: a sender constraint (RFC 9700 §2.2.1).
    pub fn is_sender_constraint(&self) -> bool {
        !matches!(self, Self::Fingerprint(_))
    }

    /// Whether a request with the binding `presented` satisfies `required`.
    pub(crate) fn satisfies(presented: Option<&Self>, required: Option<&Self>) -> bool {
        required.is_none() || required == presented
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
