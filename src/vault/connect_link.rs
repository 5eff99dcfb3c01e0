//! The link with which a user connects an account.

use std::fmt::Write;
use std::sync::Arc;

use crate::grant::Scope;

/// What a tool answers if the user has to connect an account first: the service, the account and the scope of the
/// request. It contains no secret. The page that it leads to asks the user to log in at the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectLink {
    service: Arc<str>,
    account: Option<Arc<str>>,
    scope: Scope,
}

impl ConnectLink {
    /// Creates the link for `scope` of the account with this name at `service`.
    pub fn new(service: impl Into<Arc<str>>, account: Option<Arc<str>>, scope: Scope) -> Self {
        Self { service: service.into(), account, scope }
    }

    /// Returns the service.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Returns the name of the account at the service, if it has one.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Returns the scope that the tool requested.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the URL of the page that connects the account. `base` is the URL of the application's `http::ConnectServer`,
    /// such as `https://mcp.example.com`.
    ///
    /// ```
    /// # use mcp_token_lifecycle::{Scope, vault::ConnectLink};
    /// let link = ConnectLink::new("github", Some("work".into()), Scope::parse("repo gist")?);
    /// assert_eq!(link.url("https://mcp.example.com/"), "https://mcp.example.com/connect/github?account=work&scope=gist+repo");
    /// # Ok::<(), mcp_token_lifecycle::ScopeError>(())
    /// ```
    pub fn url(&self, base: &str) -> String {
        let page = format!("{}/connect/{}", base.trim_end_matches('/'), segment(&self.service));
        let scope = Some(self.scope.as_str()).filter(|scope| !scope.is_empty());
        let parameters = [("account", self.account.as_deref()), ("scope", scope)];
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters.into_iter().filter_map(|(name, value)| Some((name, value?))));
        match query.finish() {
            query if query.is_empty() => page,
            query => format!("{page}?{query}"),
        }
    }
}

/// Encodes `text` as one segment of a path (RFC 3986 §3.3).
pub(crate) fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            segment.push(byte.into());
        } else {
            // Writing to a string cannot fail. A dot is encoded too, because `.` and `..` are not names.
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}
