//! What a service has answered, and what that means.

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use zeroize::Zeroizing;

use super::fields::Fields;
use super::quirks::{Meaning, Quirks};
use super::retry_after::retry_after;
use crate::upstream::UpstreamError;

/// An answer. Its body was zeroized as soon as it had been read.
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    fields: Option<Fields>,
}

/// Anything but a success.
pub(super) struct Refusal {
    pub(super) meaning: Meaning,
    pub(super) error: UpstreamError,
}

/// What went wrong before there was an answer.
impl From<UpstreamError> for Refusal {
    fn from(error: UpstreamError) -> Self {
        Self { meaning: Meaning::Refused, error }
    }
}

impl Reply {
    pub(super) fn read(response: Response<Vec<u8>>) -> Self {
        let (parts, body) = response.into_parts();
        let body = Zeroizing::new(body);
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let fields = match essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            true => Fields::from_form(&body),
            false => serde_json::from_slice(&body).ok(),
        };
        Self { status: parts.status, headers: parts.headers, fields }
    }

    /// The members of a success, if they can be read. `sent` are the secrets of the request, which no error repeats.
    pub(super) fn success(self, quirks: &Quirks, sent: [&str; 2]) -> Result<Option<Fields>, Refusal> {
        let code = self.code(quirks, sent);
        let Some(meaning) = self.meaning(quirks, &code) else { return Ok(self.fields) };
        let source = format!("the service answers {code}").into();
        let error = match meaning {
            Meaning::Unavailable => UpstreamError::Unavailable { retry_after: retry_after(&self.headers), source },
            Meaning::Uncertain => UpstreamError::Uncertain(source),
            _ => UpstreamError::refused(&code),
        };
        Err(Refusal { meaning, error })
    }

    /// The error code, if it is known, or looks like one and is no part of what was sent; otherwise the status.
    fn code(&self, quirks: &Quirks, sent: [&str; 2]) -> String {
        let plain = |code: &str| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        let echo = |code: &str| sent.iter().any(|s| !s.is_empty() && (s.contains(code) || code.contains(s)));
        let code = self.fields.as_ref().and_then(Fields::error).and_then(|error| error.as_str());
        match code.filter(|code| quirks.meaning(code).is_some() || plain(code) && !echo(code)) {
            Some(code) => code.to_owned(),
            None => format!("http_{}", self.status.as_str()),
        }
    }

    /// `None` for a success.
    ///
    /// * 408, 425, 429, 503, and 403 with `Retry-After` (which is how GitHub limits rates): not carried out.
    /// * Every other 5xx may have been. A 500 can come after the new refresh token was stored, and 502 and 504 are a gateway's,
    ///   which has lost the answer of the service behind it.
    /// * 3xx: refused, never followed. The endpoint has moved, and whoever configures it has to say where to.
    fn meaning(&self, quirks: &Quirks, code: &str) -> Option<Meaning> {
        let fields = self.fields.as_ref();
        match self.status.as_u16() {
            408 | 425 | 429 | 503 => Some(Meaning::Unavailable),
            403 if self.headers.contains_key(RETRY_AFTER) => Some(Meaning::Unavailable),
            ..200 | 500.. => Some(Meaning::Uncertain),
            200..300 if fields.and_then(Fields::error).is_none() => {
                (quirks.says_ok && !fields.is_some_and(Fields::says_ok)).then_some(Meaning::Uncertain)
            }
            _ => Some(quirks.meaning(code).unwrap_or(Meaning::Refused)),
        }
    }
}
