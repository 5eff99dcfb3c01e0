//! Whose end is the end of a credential.

use std::sync::Arc;

use crate::id::FamilyId;

/// With whom a credential ends. It always ends with its subject; it may be bound more closely, to one session or to one
/// client, and is then leased to nobody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoundTo {
    pub(crate) session: Option<FamilyId>,
    pub(crate) client_id: Option<Arc<str>>,
}

impl BoundTo {
    /// The subject, whichever client acts for it.
    pub fn subject() -> Self {
        Self::default()
    }

    /// One session of the subject: a token family.
    #[must_use]
    pub fn session(self, family: FamilyId) -> Self {
        Self { session: Some(family), ..self }
    }

    /// One client of the subject.
    #[must_use]
    pub fn client(self, client_id: impl Into<Arc<str>>) -> Self {
        Self { client_id: Some(client_id.into()), ..self }
    }

    /// The session that it is bound to.
    pub fn session_id(&self) -> Option<FamilyId> {
        self.session
    }

    /// The client that it is bound to.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }
}
