//! What the browser brings back from the service.

use std::sync::Arc;

use super::browser_user::BrowserUser;
use super::one_time::State;
use crate::vault::SecretText;

/// A request to the redirect URI: who makes it, where it arrived, and its query.
#[derive(Debug)]
#[must_use]
pub struct Callback<'u> {
    pub(super) user: &'u BrowserUser,
    pub(super) redirect_uri: Arc<str>,
    query: SecretText,
}

impl<'u> Callback<'u> {
    /// Creates the callback of the browser of `user` at `redirect_uri`, the URL that the request arrived at without its
    /// query, as [`ConnectRequest::new`](crate::vault::ConnectRequest::new) got it. `query` is everything behind the `?`.
    pub fn new(user: &'u BrowserUser, redirect_uri: impl Into<Arc<str>>, query: &str) -> Self {
        Self { user, redirect_uri: redirect_uri.into(), query: SecretText::new(query) }
    }

    /// Parses the query. Returns `None` if it has no well-formed state, neither a code nor an error, or one of these twice
    /// (RFC 6749 §3.1).
    pub(super) fn parse(&self) -> Option<Parsed> {
        let (mut state, mut code, mut error, mut issuer) = (None, None, None, None);
        for (name, value) in form_urlencoded::parse(self.query.expose().as_bytes()) {
            let slot = match &*name {
                "state" => &mut state,
                "code" => &mut code,
                "error" => &mut error,
                "iss" => &mut issuer,
                _ => continue,
            };
            if slot.replace(SecretText::new(value)).is_some() {
                return None;
            }
        }
        let filled = |value: SecretText| (!value.expose().is_empty()).then_some(value);
        let answer = match (error.and_then(filled), code.and_then(filled)) {
            (Some(error), _) => Answer::Error(error.expose().into()),
            (None, Some(code)) => Answer::Code(code),
            (None, None) => return None,
        };
        let issuer = issuer.map(|issuer| issuer.expose().into());
        Some(Parsed { state: State::parse(state?.expose())?, answer, issuer })
    }
}

/// The parameters of a callback.
pub(super) struct Parsed {
    pub(super) state: State,
    pub(super) answer: Answer,
    /// The issuer identifier that the callback claims (RFC 9207 §2).
    pub(super) issuer: Option<Box<str>>,
}

/// The answer of the service to an authorization request (RFC 6749 §4.1.2).
pub(super) enum Answer {
    Code(SecretText),
    Error(Box<str>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_good(query: &str) -> bool {
        Callback::new(&BrowserUser::new("alice", "session"), "https://a/callback", query).parse().is_some()
    }

    /// RFC 6749 §3.1
    #[test]
    fn callback_with_a_repeated_parameter_is_malformed() {
        let state = "A".repeat(43);
        assert!(is_good(&format!("code=c&state={state}")));
        assert!(is_good(&format!("error=access_denied&state={state}&error_description=a&other=1&other=2")));
        for extra in ["code=c", "code=d", "error=x&error=x", "iss=a&iss=a"] {
            assert!(!is_good(&format!("code=c&state={state}&{extra}")), "{extra}");
        }
        assert!(!is_good(&format!("code=c&state={state}&state={state}")));
    }

    #[test]
    fn callback_without_state_or_answer_is_malformed() {
        let state = "A".repeat(43);
        for query in
            ["", "code=c", "state=", "code=c&state=", &format!("state={state}"), &format!("code=&state={state}")]
        {
            assert!(!is_good(query), "{query}");
        }
        for state in
            [&"A".repeat(42), &"A".repeat(44), &format!("{}B", "A".repeat(42)), &format!("{}=", "A".repeat(43))]
        {
            assert!(!is_good(&format!("code=c&state={state}")), "{state}");
        }
    }
}
