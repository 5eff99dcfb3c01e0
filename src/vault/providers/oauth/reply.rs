//! The answer of a service, and what it means.

use http::header::RETRY_AFTER;
use http::{HeaderMap, Response, StatusCode};
use zeroize::Zeroizing;

use super::fields::Fields;
use super::quirks::{Meaning, Quirks};
use super::request::Purpose;
use super::retry_after::retry_after;
use crate::vault::UpstreamError;

/// The answer of a service. Its body was zeroized after it was read.
pub(in crate::vault) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    fields: Option<Fields>,
}

/// An answer that is not a success.
pub(in crate::vault) struct Refusal {
    pub(in crate::vault) meaning: Meaning,
    pub(in crate::vault) error: UpstreamError,
}

/// A failure before there was an answer.
impl From<UpstreamError> for Refusal {
    fn from(error: UpstreamError) -> Self {
        Self { meaning: Meaning::Refused, error }
    }
}

impl Reply {
    /// Reads `response` and zeroizes its body.
    pub(in crate::vault) fn read(response: Response<Vec<u8>>, quirks: &Quirks) -> Self {
        let (parts, body) = response.into_parts();
        let body = Zeroizing::new(body);
        Self { status: parts.status, headers: parts.headers, fields: Fields::read(&body, quirks.tokens_in.as_deref()) }
    }

    /// Returns the members of a success, if they can be parsed. `sent` are the secrets of the request, which no error
    /// repeats.
    pub(in crate::vault) fn success(
        self,
        quirks: &Quirks,
        purpose: Purpose,
        sent: &[&str],
    ) -> Result<Option<Fields>, Refusal> {
        let meaning_of = |code: &str| match purpose {
            Purpose::Exchange | Purpose::Refresh => quirks.at_refresh(code),
            Purpose::Revoke | Purpose::Introspect => quirks.about_a_token(code),
        };
        if self.is_success(quirks, purpose) {
            return Ok(self.fields);
        }
        let code = self.code(meaning_of, sent);
        let meaning = self.meaning(meaning_of(&code));
        let source = format!("the service answers {code}").into();
        let error = match meaning {
            Meaning::Unavailable => UpstreamError::Unavailable { retry_after: retry_after(&self.headers), source },
            Meaning::Uncertain => UpstreamError::Uncertain(source),
            Meaning::Configuration => UpstreamError::configuration(&code),
            _ => UpstreamError::refused(&code),
        };
        Err(Refusal { meaning, error })
    }

    /// Whether the answer is a success. A refresh or an exchange that returns tokens is one, even if the answer also names an error.
    fn is_success(&self, quirks: &Quirks, purpose: Purpose) -> bool {
        let fields = self.fields.as_ref();
        self.status.is_success()
            && match purpose {
                Purpose::Exchange | Purpose::Refresh if fields.is_some_and(Fields::has_tokens) => true,
                _ if quirks.says_ok => fields.is_some_and(|fields| fields.says_ok() && !fields.has_error()),
                _ => !fields.is_some_and(Fields::has_error),
            }
    }

    /// Returns the error code if it is known, or if it has the characters of a code and repeats nothing of what was
    /// sent. Otherwise returns the status.
    fn code(&self, meaning_of: impl Fn(&str) -> Option<Meaning>, sent: &[&str]) -> String {
        let plain = |code: &str| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        let echo = |code: &str| sent.iter().any(|s| !s.is_empty() && (s.contains(code) || code.contains(s)));
        let code = self.fields.as_ref().and_then(Fields::error_code).filter(|code| !code.is_empty());
        match code.filter(|code| meaning_of(code).is_some() || plain(code) && !echo(code)) {
            Some(code) => code.to_owned(),
            None => format!("http_{}", self.status.as_str()),
        }
    }

    /// Returns what an answer means that is not a success and whose code means `known`.
    ///
    /// * 408, 425, 429, 503, and 403 with `Retry-After` (GitHub's rate limit): the request was not carried out.
    /// * Each other 5xx: it may have been carried out. A 500 can come after the new refresh token was stored. A 502 or
    ///   504 comes from a gateway that has lost the answer of the service.
    /// * 3xx is never followed. The endpoint has moved, and the operator has to configure the new address.
    /// * A 2xx that names no error and is not a success because `ok` is missing: it may have been carried out.
    fn meaning(&self, known: Option<Meaning>) -> Meaning {
        match self.status.as_u16() {
            408 | 425 | 429 | 503 => Meaning::Unavailable,
            403 if known.is_none() && self.headers.contains_key(RETRY_AFTER) => Meaning::Unavailable,
            ..200 | 500.. => Meaning::Uncertain,
            200..300 if !self.fields.as_ref().is_some_and(Fields::has_error) => Meaning::Uncertain,
            300..400 => known.unwrap_or(Meaning::Configuration),
            _ => known.unwrap_or(Meaning::Refused),
        }
    }
}
