//! Who is logged in at the application.

use std::sync::Arc;

use crate::vault::SecretText;

/// A user that is logged in at the application with a browser.
///
/// The application takes both values from its own login, and from nothing that the request says otherwise.
#[derive(Debug)]
pub struct BrowserUser {
    subject: Arc<str>,
    session: SecretText,
}

impl BrowserUser {
    /// Creates the user `subject`, the same identifier as in the claims of its access tokens, in the browser session
    /// `session`.
    ///
    /// # Security
    ///
    /// `session` must be a value that only this browser has, such as that of the session cookie. The vault keeps a keyed
    /// hash of it for ten minutes, and no copy. It is what makes a callback useless in another browser: an attacker could
    /// otherwise have a victim connect the attacker's account (RFC 6749 §10.12).
    pub fn new(subject: impl Into<Arc<str>>, session: impl Into<String>) -> Self {
        Self { subject: subject.into(), session: SecretText::new(session) }
    }

    /// Returns the user.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    pub(super) fn shared_subject(&self) -> Arc<str> {
        self.subject.clone()
    }

    pub(super) fn session(&self) -> &SecretText {
        &self.session
    }
}
