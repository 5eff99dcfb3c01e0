//! The parameters of a request, from its query or its form.

use std::collections::HashSet;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use zeroize::Zeroizing;

use super::reply::Refusal;
use crate::audit::ErrorCode;

/// Parameters by the rules of RFC 6749 §3.1 and §3.2: an empty one counts as absent, and none may be repeated except
/// `resource` (RFC 8707 §2). The values are zeroized on drop.
pub(in crate::http) struct Params(Vec<(String, Zeroizing<String>)>);

impl Params {
    /// Parses the parameters of a form in the body.
    pub(in crate::http) fn of_form(parts: &Parts, body: &[u8]) -> Result<Self, Refusal> {
        const EXPECTED: &str = "the content type must be application/x-www-form-urlencoded";
        check_content(parts, "application/x-www-form-urlencoded", EXPECTED)?;
        Self::parse(body)
    }

    /// Parses the parameters in `text`.
    pub(in crate::http) fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let mut params: Vec<_> = form_urlencoded::parse(text)
            .map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned())))
            .collect();
        let mut names = HashSet::new();
        if params.iter().any(|(name, _)| name != "resource" && !names.insert(name)) {
            return Err(Refusal::Error(ErrorCode::InvalidRequest, "a parameter must be given once, except resource"));
        }
        params.retain(|(_, value)| !value.is_empty());
        Ok(Self(params))
    }

    /// Returns all values of the parameter `name`.
    pub(in crate::http) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Returns the first value of the parameter `name`.
    pub(in crate::http) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Returns the value of the parameter `name`, or a refusal with the description `missing`.
    pub(in crate::http) fn require(&self, name: &str, missing: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or(Refusal::Error(ErrorCode::InvalidRequest, missing))
    }

    /// Returns the requested scope. `offline_access` is left out, because it is not a scope of a resource (OpenID
    /// Connect Core §11) and refresh tokens are issued without it.
    pub(in crate::http) fn scope(&self) -> Option<String> {
        let tokens = self.get("scope")?.split(' ').filter(|token| !token.is_empty() && *token != "offline_access");
        let scope = tokens.collect::<Vec<_>>().join(" ");
        (!scope.is_empty()).then_some(scope)
    }
}

/// Checks that the body has the media type `wanted`; otherwise refuses it with the description `expected`.
pub(in crate::http) fn check_content(parts: &Parts, wanted: &str, expected: &'static str) -> Result<(), Refusal> {
    let given = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = given.and_then(|value| value.split(';').next()).map(str::trim);
    if media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case(wanted)) {
        Ok(())
    } else {
        Err(Refusal::Status(StatusCode::UNSUPPORTED_MEDIA_TYPE, expected))
    }
}
