//! Secrets, owners and operations, small enough to copy a million times.

use std::fmt;

use mcp_token_lifecycle::FamilyId;
use mcp_token_lifecycle::vault::BoundTo;
use mcp_token_lifecycle::vault::decision::{Claim, Ending, OperationId, Phase, SecretId, Step, Whom};

/// A secret of the account: the number of its authorization, and how many refreshes lie between. A refresh token leads to one
/// successor at most, so no two secrets share a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret {
    pub grant: u8,
    pub depth: u8,
}

impl Secret {
    pub fn first(grant: usize) -> Self {
        Self { grant: grant as u8, depth: 0 }
    }

    pub fn of(SecretId([grant, depth, ..]): SecretId) -> Self {
        Self { grant, depth }
    }

    pub fn id(self) -> SecretId {
        let mut id = [0; 16];
        [id[0], id[1]] = [self.grant, self.depth];
        SecretId(id)
    }

    pub fn successor(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    pub fn bit(self) -> u8 {
        1 << self.depth
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S{}.{}", self.grant, self.depth)
    }
}

/// A session that a secret can be bound to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Owner {
    A,
    B,
}

impl Owner {
    pub fn session(self) -> FamilyId {
        FamilyId::from_bytes([1 + self as u8; 16])
    }

    pub fn bound_to(self) -> BoundTo {
        BoundTo::subject().session(self.session())
    }
}

/// Which secret a revocation means; `None` is that of the account.
pub fn whom(owner: Option<Owner>) -> Whom {
    owner.map_or(Whom::Account, |owner| Whom::Session(owner.session()))
}

/// One operation of one process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Operation(pub u8);

impl Operation {
    pub fn of(OperationId([byte, ..]): OperationId) -> Self {
        Self(byte - 1)
    }

    pub fn id(self) -> OperationId {
        OperationId([self.0 + 1; 16])
    }
}

/// The claim in a phase.
pub fn claim_of(phase: &mut Phase) -> Option<&mut Claim> {
    match phase {
        Phase::Refreshing(claim) => Some(claim),
        Phase::Ready | Phase::Dead => None,
    }
}

/// The claim in a step.
pub fn claim_on(ending: &mut Ending) -> Option<&mut Claim> {
    match &mut ending.step {
        Step::Refreshing(claim) | Step::Telling(claim) => Some(claim),
        Step::Due => None,
    }
}
