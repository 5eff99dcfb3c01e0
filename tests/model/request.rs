//! What goes between a client and a node, and between a node and the store.

use std::fmt;

use crate::tokens::Token;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Call {
    /// The token endpoint, with a code or a refresh token.
    Exchange,
    /// The same, by a request that the client sent before it turned to a newer token. It drops the answer.
    Straggle,
    /// A live check of the access token that was first issued together with this refresh token.
    Live,
    /// The revocation endpoint.
    Revoke,
}

impl Call {
    pub const ALL: [Self; 4] = [Self::Exchange, Self::Straggle, Self::Live, Self::Revoke];
}

/// What a request may lack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Lack {
    /// Another client sends it.
    Client,
    /// No binding is proved.
    Proof,
    /// Another binding is proved.
    Key,
    /// The code verifier is another.
    Verifier,
    /// One bit of what the token says is turned over.
    Guard,
    /// One bit of its MAC is.
    Mac,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Request {
    pub call: Call,
    pub token: Token,
    pub lack: Option<Lack>,
}

impl Request {
    /// With all that it needs.
    pub fn whole(call: Call, token: Token) -> Self {
        Self { call, token, lack: None }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reply {
    Tokens {
        refresh: Token,
        retry: bool,
    },
    Live,
    /// A refusal, or the answer to a revocation.
    Nothing,
}

/// A record of the family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sealed {
    pub version: u64,
    pub fate: Fate,
    /// Of its bytes.
    pub digest: u64,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{} {:?}", self.version, self.fate)
    }
}

/// What the last write did to the family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fate {
    Alive,
    Reused,
    Revoked,
}
