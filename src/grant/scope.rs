//! What a token allows.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A set of scope tokens (RFC 6749 §3.3), kept sorted and without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// Parse a space-separated list; its order and repetitions do not matter. The empty string is the empty scope.
    ///
    /// # Errors
    ///
    /// [`ScopeError`] for a character outside `%x21 / %x23-5B / %x5D-7E`.
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

    /// The tokens, separated by single spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tokens one by one, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// Whether `token` is among them.
    pub fn contains(&self, token: &str) -> bool {
        self.iter().any(|t| t == token)
    }

    /// Whether every token of `other` is among them.
    pub fn includes(&self, other: &Scope) -> bool {
        self == other || other.iter().all(|token| self.contains(token))
    }

    /// Text that an earlier [`Scope::parse`] made.
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

/// A scope with a character that RFC 6749 §3.3 does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope must be printable ASCII without quotation marks and backslashes, got {character:?}")]
#[non_exhaustive]
pub struct ScopeError {
    /// The first such character. The scope itself may come from a client and is not repeated.
    pub character: char,
}
