//! Scopes: what a token allows.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A set of scope tokens (RFC 6749 §3.3), sorted and without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// Parses a space-separated list. Order and repetition do not matter; the empty string is the empty scope.
    ///
    /// # Errors
    ///
    /// [`ScopeError`] if a character is outside `%x21 / %x23-5B / %x5D-7E` (RFC 6749 §3.3).
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let allowed = |character: &char| matches!(character, ' ' | '!' | '#'..='[' | ']'..='~');
        if let Some(character) = text.chars().find(|character| !allowed(character)) {
            return Err(ScopeError { character });
        }
        let mut tokens: Vec<&str> = text.split(' ').filter(|token| !token.is_empty()).collect();
        tokens.sort_unstable();
        tokens.dedup();
        Ok(Self(tokens.join(" ").into()))
    }

    /// Returns the scope tokens, separated by single spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Iterates over the scope tokens in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// Whether the scope contains `token`.
    pub fn contains(&self, token: &str) -> bool {
        self.iter().any(|t| t == token)
    }

    /// Whether the scope contains every token of `other`.
    pub fn includes(&self, other: &Scope) -> bool {
        self == other || other.iter().all(|token| self.contains(token))
    }

    /// Takes text that an earlier [`Scope::parse`] produced.
    pub(crate) fn from_canonical(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::parse(text)
    }
}

/// A scope contains a character that RFC 6749 §3.3 does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope must be printable ASCII without quotation marks and backslashes, got {character:?}")]
#[non_exhaustive]
pub struct ScopeError {
    /// The first such character. The scope is not shown, because it may come from a client.
    pub character: char,
}
