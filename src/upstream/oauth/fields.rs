//! The members of an answer: JSON, or a form. Lenient towards what services do, strict on what becomes a token.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::quirks::Quirks;
use crate::grant::Scope;
use crate::upstream::{Refreshed, SecretText, UpstreamError};

/// What is read of an answer (RFC 6749 §5.1, §5.2; RFC 7662 §2.2). `null` is the same as absent, everywhere. A member that is
/// there twice, or a token that is no string, makes the whole answer unreadable.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    ok: Value,
    error: Value,
    revoked: Value,
    active: Value,
    #[serde(deserialize_with = "secret")]
    access_token: Option<SecretText>,
    #[serde(deserialize_with = "secret")]
    refresh_token: Option<SecretText>,
    token_type: Option<String>,
    expires_in: Value,
    /// GitHub's name, and Google's.
    refresh_token_expires_in: Value,
    /// Keycloak's name.
    refresh_expires_in: Value,
    scope: Value,
    authed_user: Option<Box<Fields>>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretText>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretText::new))
}

impl Fields {
    /// A form, if no member that is read is there twice.
    pub(super) fn from_form(body: &[u8]) -> Option<Self> {
        let (mut fields, mut seen) = (Self::default(), BTreeSet::new());
        for (name, value) in form_urlencoded::parse(body) {
            let value = value.into_owned();
            match &*name {
                "access_token" => fields.access_token = Some(SecretText::new(value)),
                "refresh_token" => fields.refresh_token = Some(SecretText::new(value)),
                "token_type" => fields.token_type = Some(value),
                "expires_in" => fields.expires_in = value.into(),
                "refresh_token_expires_in" => fields.refresh_token_expires_in = value.into(),
                "scope" => fields.scope = value.into(),
                "error" => fields.error = value.into(),
                _ => continue,
            }
            if !seen.insert(name) {
                return None;
            }
        }
        Some(fields)
    }

    /// What is said of an error, if there is one.
    pub(super) fn error(&self) -> Option<&Value> {
        Some(&self.error).filter(|error| !matches!(error, Value::Null | Value::Bool(false)) && *error != "")
    }

    /// Whether it says `"ok": true`, as Slack does.
    pub(super) fn says_ok(&self) -> bool {
        self.ok == true
    }

    /// Whether the token is active (RFC 7662 §2.2).
    pub(super) fn active(&self) -> Option<bool> {
        self.active.as_bool()
    }

    /// Whether the answer to a revocation says that nothing was revoked, as Slack's can.
    pub(super) fn denies_revocation(&self) -> bool {
        self.revoked == false
    }

    /// The tokens. Whatever is wrong with them, the service has given some: it may have rotated.
    pub(super) fn tokens(mut self, quirks: &Quirks) -> Result<Refreshed, UpstreamError> {
        if let Some(user) = self.authed_user.take_if(|user| quirks.in_authed_user && user.access_token.is_some()) {
            self = *user;
        }
        let access_token =
            self.access_token.ok_or_else(|| UpstreamError::uncertain("the answer has no access token"))?;
        let expected = match &self.token_type {
            Some(given) => quirks.token_types.iter().any(|known| known.eq_ignore_ascii_case(given)),
            None => quirks.token_type_optional,
        };
        if !expected {
            return Err(UpstreamError::uncertain("the token is of another type than expected, or of none"));
        }
        let refresh_token = self.refresh_token.filter(|token| !token.expose().is_empty());
        if ![Some(&access_token), refresh_token.as_ref()].into_iter().flatten().all(is_token) {
            return Err(UpstreamError::uncertain("a token has characters that no token has"));
        }
        let refresh_lifetime = lifetime(&self.refresh_token_expires_in).or_else(|| lifetime(&self.refresh_expires_in));
        Ok(Refreshed {
            access_token,
            refresh_token,
            expires_in: lifetime(&self.expires_in),
            refresh_expires_in: refresh_lifetime.filter(|lifetime| !lifetime.is_zero()),
            scope: scope(&self.scope, quirks.scope_separator),
        })
    }
}

/// `1*VSCHAR` (RFC 6749 §A.12, §A.17): nothing that would end a header or a line.
fn is_token(token: &SecretText) -> bool {
    let text = token.expose();
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Whole seconds: a number, or text that is one. What is negative or cannot be read is zero, so that the token is used once and
/// not for ever; what is huge is as long as can be. `null` and the empty text say nothing.
fn lifetime(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Null => return None,
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) => text.trim().parse().unwrap_or_default(),
        other => other.as_f64().unwrap_or_default(),
    };
    // This conversion saturates.
    Some(Duration::from_secs(seconds as u64))
}

/// A scope: text with its separators, or a list of texts, which some services send. One that is empty or no scope at all says
/// nothing: a refresh grants no more than before (RFC 6749 §6).
fn scope(value: &Value, separator: char) -> Option<Scope> {
    let text = match value {
        Value::String(text) => text.replace(separator, " "),
        Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join(" "),
        _ => return None,
    };
    Scope::parse(&text).ok().filter(|scope| !scope.as_str().is_empty())
}
