//! Codes and refresh tokens, and sets of them, small enough to copy a million times.

use std::fmt;

/// A code or refresh token of the family: no two agree in generation and tick of issue. Both are below eight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u8);

impl Token {
    pub fn new(generation: u64, issued: u64) -> Self {
        assert!(generation < 8 && issued < 8, "beyond what a set can hold");
        Self((generation * 8 + issued) as u8)
    }

    pub fn is_code(self) -> bool {
        self.0 < 8
    }

    pub fn generation(self) -> u8 {
        self.0 / 8
    }

    /// The tick it was issued at.
    pub fn issued(self) -> u8 {
        self.0 % 8
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{}@{}", self.0 / 8, self.issued())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tokens(u64);

impl Tokens {
    pub const NONE: Self = Self(0);

    pub fn insert(&mut self, token: Token) {
        self.0 |= 1 << token.0;
    }

    pub fn contains(self, token: Token) -> bool {
        self.0 >> token.0 & 1 == 1
    }

    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    pub fn is_subset(self, of: Self) -> bool {
        self.0 & !of.0 == 0
    }

    /// The tick at which the successor of `token` was issued: there is one successor at most.
    pub fn spent_at(self, token: Token) -> Option<u8> {
        self.iter().find(|other| other.generation() == token.generation() + 1).map(Token::issued)
    }

    pub fn newest(self) -> Option<Token> {
        self.0.checked_ilog2().map(|bit| Token(bit as u8))
    }

    pub fn iter(self) -> impl Iterator<Item = Token> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let token = rest.newest()?;
            rest.0 ^= 1 << token.0;
            Some(token)
        })
    }
}

impl From<Token> for Tokens {
    fn from(token: Token) -> Self {
        Self(1 << token.0)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
