//! The members of an answer, in JSON or as a form.
//!
//! A refresh may have spent the old refresh token, so the new one must not be lost. No malformed member beside it, no
//! truncated end and no wrong content type discards it.

use std::fmt;
use std::time::Duration;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::quirks::Quirks;
use crate::grant::Scope;
use crate::vault::{Refreshed, SecretText, UpstreamError};

/// The members of an answer (RFC 6749 §5.1, §5.2; RFC 7662 §2.2). `null` is the same as absent.
#[derive(Default)]
pub(in crate::vault) struct Fields {
    /// Whether the answer is complete.
    complete: bool,
    ok: Value,
    error: Value,
    /// The name that some services use for the error code.
    code: Value,
    revoked: Value,
    active: Value,
    access_token: Token,
    refresh_token: Token,
    token_type: Value,
    expires_in: Value,
    /// The name that GitHub and Google use.
    refresh_token_expires_in: Value,
    /// The name that Keycloak uses.
    refresh_expires_in: Value,
    scope: Value,
    /// The members of the object in which this service puts its tokens.
    nested: Option<Box<Fields>>,
}

/// A member that holds a token.
#[derive(Default)]
enum Token {
    #[default]
    Absent,
    Text(SecretText),
    /// The member is not a string, or occurs twice with different values.
    Unreadable,
}

impl Token {
    fn read(json: &str) -> Self {
        match serde_json::from_str::<Option<String>>(json) {
            Ok(text) => text.map_or(Self::Absent, Self::text),
            Err(_) => Self::Unreadable,
        }
    }

    fn text(text: String) -> Self {
        if text.is_empty() { Self::Absent } else { Self::Text(SecretText::new(text)) }
    }

    /// Adds another occurrence of the member.
    fn add(&mut self, other: Self) {
        let both = (std::mem::take(self), other);
        *self = match both {
            (Self::Absent, token) | (token, Self::Absent) => token,
            (Self::Text(first), Self::Text(second)) if first.expose() == second.expose() => Self::Text(first),
            _ => Self::Unreadable,
        };
    }

    fn into_text(self) -> Option<SecretText> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Unreadable => None,
        }
    }
}

impl Fields {
    /// Parses the members of `body`; `None` if it has none. `nested` is the member in which this service puts its
    /// tokens.
    ///
    /// A body that begins with `{` is JSON. A body with `=` and the characters of a form is a form. The content type is
    /// ignored.
    pub(in crate::vault) fn read(body: &[u8], nested: Option<&str>) -> Option<Self> {
        let repaired;
        let text = match std::str::from_utf8(body) {
            Ok(text) => text,
            Err(_) => {
                repaired = Zeroizing::new(String::from_utf8_lossy(body).into_owned());
                &repaired
            }
        };
        let text = text.trim_start_matches('\u{feff}').trim();
        let is_form = |byte: u8| matches!(byte, b'!'..=b'~') && !matches!(byte, b'<' | b'>' | b'"' | b'{' | b'}');
        if text.starts_with('{') {
            Some(Self::from_json(text, nested))
        } else if text.contains('=') && text.bytes().all(is_form) {
            Some(Self::from_form(text))
        } else {
            None
        }
    }

    /// Parses an object up to the point where it breaks off, and ignores what follows its end.
    fn from_json(text: &str, nested: Option<&str>) -> Self {
        let mut fields = Self::default();
        let mut json = serde_json::Deserializer::from_str(text);
        fields.complete = json.deserialize_map(Members { fields: &mut fields, nested }).is_ok();
        fields
    }

    fn from_form(text: &str) -> Self {
        let mut fields = Self { complete: true, ..Self::default() };
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "access_token" => fields.access_token.add(Token::text(value.into_owned())),
                "refresh_token" => fields.refresh_token.add(Token::text(value.into_owned())),
                name => fields.set(name, value.into_owned().into()),
            }
        }
        fields
    }

    fn set_json(&mut self, name: &str, json: &str, nested: Option<&str>) {
        match name {
            "access_token" => self.access_token.add(Token::read(json)),
            "refresh_token" => self.refresh_token.add(Token::read(json)),
            _ if Some(name) == nested && json.starts_with('{') => {
                self.nested = Some(Box::new(Self::from_json(json, None)));
            }
            // A number that is too large for each type is kept as a string.
            _ => self.set(name, serde_json::from_str(json).unwrap_or_else(|_| json.into())),
        }
    }

    fn set(&mut self, name: &str, value: Value) {
        let member = match name {
            "ok" => &mut self.ok,
            "error" => &mut self.error,
            "code" | "error_code" => &mut self.code,
            "revoked" => &mut self.revoked,
            "active" => &mut self.active,
            "token_type" => &mut self.token_type,
            "expires_in" => &mut self.expires_in,
            "refresh_token_expires_in" => &mut self.refresh_token_expires_in,
            "refresh_expires_in" => &mut self.refresh_expires_in,
            "scope" => &mut self.scope,
            _ => return,
        };
        *member = value;
    }

    /// Whether the answer names an error.
    pub(in crate::vault) fn has_error(&self) -> bool {
        !matches!(self.error, Value::Null | Value::Bool(false)) && self.error != ""
    }

    /// Returns the error code: `error`, a member of it, or else `code`.
    pub(in crate::vault) fn error_code(&self) -> Option<&str> {
        let inside = |name| self.error.get(name).and_then(Value::as_str);
        let error = self.error.as_str().filter(|code| !code.is_empty());
        error.or_else(|| inside("code")).or_else(|| inside("type")).or_else(|| self.code.as_str())
    }

    /// Whether the answer has `"ok": true`, which Slack uses.
    pub(in crate::vault) fn says_ok(&self) -> bool {
        self.ok == true
    }

    /// Whether the answer has `"ok": false`.
    fn denies_ok(&self) -> bool {
        self.ok == false
    }

    /// Returns `active` (RFC 7662 §2.2).
    pub(in crate::vault) fn active(&self) -> Option<bool> {
        self.active.as_bool()
    }

    /// Whether the answer says that nothing was revoked, as Slack's can.
    pub(in crate::vault) fn denies_revocation(&self) -> bool {
        self.revoked == false
    }

    /// Whether there are tokens. The refresh was then carried out, even if the answer names an error.
    pub(in crate::vault) fn has_tokens(&self) -> bool {
        let has = |fields: &Self| [&fields.access_token, &fields.refresh_token].into_iter().any(Token::is_text);
        !self.denies_ok() && (has(self) || self.nested.as_deref().is_some_and(has))
    }

    /// Returns the tokens. A new refresh token is kept even if the access token beside it cannot be used.
    pub(in crate::vault) fn tokens(mut self, quirks: &Quirks) -> Result<Refreshed, UpstreamError> {
        if let Some(nested) = self.nested.take_if(|nested| nested.has_tokens()) {
            self = *nested;
        }
        let expected = match &self.token_type {
            Value::Null => true,
            Value::String(given) => quirks.token_types.iter().any(|known| known.eq_ignore_ascii_case(given.trim())),
            _ => false,
        };
        let access_token = match self.access_token {
            Token::Text(_) if !expected => Err("the token is of another type than expected"),
            Token::Text(token) if is_printable(&token) => Ok(token),
            Token::Text(_) => Err("the access token must be printable ASCII"),
            Token::Absent if self.complete => Err("the answer has no access token"),
            Token::Absent | Token::Unreadable => Err("the answer cannot be read"),
        };
        let refresh_token = self.refresh_token.into_text();
        let (access_token, refresh_token) = match (access_token, refresh_token) {
            (Err(why), None) => return Err(UpstreamError::uncertain(why)),
            // The answer may have broken off before a refresh token. Another request may return it.
            (Ok(_), None) if !self.complete => return Err(UpstreamError::uncertain("the answer cannot be read")),
            (access_token, refresh_token) => (access_token.ok(), refresh_token),
        };
        let refresh_lifetime = lifetime(&self.refresh_token_expires_in).or_else(|| lifetime(&self.refresh_expires_in));
        Ok(Refreshed {
            access_token,
            refresh_token,
            expires_in: lifetime(&self.expires_in),
            refresh_expires_in: refresh_lifetime.filter(|lifetime| !lifetime.is_zero()),
            scope: scope(&self.scope, quirks),
        })
    }
}

impl Token {
    fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

/// Fills `fields` member by member, so that what was parsed stays if the object breaks off.
struct Members<'f> {
    fields: &'f mut Fields,
    nested: Option<&'f str>,
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value::<&'de RawValue>()?;
            self.fields.set_json(&name, value.get(), self.nested);
        }
        Ok(())
    }
}

/// Whether an access token is printable ASCII (`VSCHAR`, RFC 6749 §A.12), so that it cannot end a header or a line. A
/// refresh token is sent only in bodies and may be any text.
fn is_printable(token: &SecretText) -> bool {
    token.expose().bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Parses a lifetime in whole seconds: a number, or a string that contains one. A negative or unreadable one is zero,
/// so that the token is used once and not without end. A huge one is the longest possible. `null` and the empty string
/// give `None`.
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

/// Parses a scope: a string with the service's separators, or a list of strings, which some services send. An empty or
/// malformed scope gives `None`: a refresh grants no more than before (RFC 6749 §6).
fn scope(value: &Value, quirks: &Quirks) -> Option<Scope> {
    let text = match value {
        Value::String(text) => text.replace(quirks.scope_separator, " "),
        Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join(" "),
        _ => return None,
    };
    let is_added = |token: &&str| quirks.added_scope.split_ascii_whitespace().any(|added| added == *token);
    let tokens = text.split_ascii_whitespace().filter(|token| !is_added(token)).collect::<Vec<_>>();
    Scope::parse(&tokens.join(" ")).ok().filter(|scope| !scope.as_str().is_empty())
}
