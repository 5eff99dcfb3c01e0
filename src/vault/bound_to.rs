//! What a credential is bound to.

use std::sync::Arc;

use crate::id::FamilyId;

/// The subject, session or client that a credential is bound to.
///
/// A credential is always revoked with its subject. It may also be bound to one session or one client: it is then
/// revoked with that session or client, and leased to no other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoundTo {
    pub(crate) session: Option<FamilyId>,
    pub(crate) client_id: Option<Arc<str>>,
}

impl BoundTo {
    /// Binds to the subject alone, with any session and client.
    pub fn subject() -> Self {
        Self::default()
    }

    /// Binds to one session of the subject. A session is a token family.
    #[must_use]
    pub fn session(self, family: FamilyId) -> Self {
        Self { session: Some(family), ..self }
    }

    /// Binds to one client of the subject.
    #[must_use]
    pub fn client(self, client_id: impl Into<Arc<str>>) -> Self {
        Self { client_id: Some(client_id.into()), ..self }
    }

    /// Returns the session that the credential is bound to, if any.
    pub fn session_id(&self) -> Option<FamilyId> {
        self.session
    }

    /// Returns the client that the credential is bound to, if any.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }
}
