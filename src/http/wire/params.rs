//! The parameters of a request, from its query or its form.

use std::collections::HashSet;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use zeroize::Zeroizing;

use super::reply::Refusal;
use crate::audit::ErrorCode;

/// Parameters as RFC 6749 §3.1 and §3.2 want them: an empty one is as good as none, and none may be there twice but
/// `resource` (RFC 8707 §2). Their values are zeroized on drop.
pub(in crate::http) struct Params(Vec<(String, Zeroizing<String>)>);

impl Params {
    /// Those of a form.
    pub(in crate::http) fn of_form(parts: &Parts, body: &[u8]) -> Result<Self, Refusal> {
        check_content(parts, "application/x-www-form-urlencoded")?;
        Self::parse(body)
    }

    pub(in crate::http) fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let mut params: Vec<_> = form_urlencoded::parse(text)
            .map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned())))
            .collect();
        let mut names = HashSet::new();
        if params.iter().any(|(name, _)| name != "resource" && !names.insert(name)) {
            return Err(Refusal::Error(ErrorCode::InvalidRequest, "a parameter is there twice"));
        }
        params.retain(|(_, value)| !value.is_empty());
        Ok(Self(params))
    }

    pub(in crate::http) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(in crate::http) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The parameter `name`, or a refusal that says it is `missing`.
    pub(in crate::http) fn need(&self, name: &str, missing: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or(Refusal::Error(ErrorCode::InvalidRequest, missing))
    }

    /// The scope asked for. `offline_access` is no scope of a resource (OpenID Connect Core §11) and is left out: refresh
    /// tokens are issued without it.
    pub(in crate::http) fn scope(&self) -> Option<String> {
        let tokens = self.get("scope")?.split(' ').filter(|token| !token.is_empty() && *token != "offline_access");
        let scope = tokens.collect::<Vec<_>>().join(" ");
        (!scope.is_empty()).then_some(scope)
    }
}

/// Whether the body is of the media type `wanted`.
pub(in crate::http) fn check_content(parts: &Parts, wanted: &'static str) -> Result<(), Refusal> {
    let given = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = given.and_then(|value| value.split(';').next()).map(str::trim);
    if media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case(wanted)) {
        Ok(())
    } else {
        Err(Refusal::Status(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content type is not the one of this endpoint"))
    }
}
