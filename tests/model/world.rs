//! The state: the store, two nodes at work, the parties with what is under way between them and the nodes.

use crate::request::{Call, Reply, Sealed};
use crate::tokens::{Token, Tokens};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Who {
    Victim,
    Thief,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct World {
    /// In ticks.
    pub now: u8,
    pub store: Sealed,
    /// What the two nodes are at; in order, for which of them is which makes no difference.
    pub nodes: [Option<Work>; 2],
    parties: [Party; 2],
    /// Every code and refresh token there ever was.
    pub minted: Tokens,
    /// Whether a reuse or a revocation was ever committed.
    pub dead: bool,
    pub race: Race,
    pub fouls: Fouls,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Party {
    /// The victim holds one: the last it was given.
    pub tokens: Tokens,
    /// What the victim held before, where requests may come late.
    pub former: Tokens,
    pub exchange: Option<Exchange>,
}

/// One token, sent to the token endpoint as often as it takes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Exchange {
    pub token: Token,
    /// The tick before which the last request is to reach a node.
    pub deadline: Option<u8>,
    /// Whether the request is under way to a node: for the first time, sent again by the client or duplicated by the network.
    pub request: bool,
    /// Tokens that are under way to the party. They can arrive many times or never, but not once it has turned to another
    /// token: a response belongs to its request.
    pub responses: Tokens,
}

/// What a node was asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Errand {
    pub who: Who,
    pub call: Call,
    pub token: Token,
}

/// How far a node has come with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Work {
    /// It has loaded and decided, and not yet committed.
    Decided(Errand, Sealed, Reply),
    /// It has loaded this and is to answer without a write, and has not yet taken its second look.
    Answering(Errand, Sealed, Reply),
    /// Its commit met a conflict; it is to load again and decide again.
    Conflict(Errand),
}

impl Work {
    pub fn errand(&self) -> Errand {
        let (Self::Decided(errand, ..) | Self::Answering(errand, ..) | Self::Conflict(errand)) = *self;
        errand
    }
}

/// How victim and thief fare against each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Race {
    /// Who made the last rotation since the theft, or since the two met.
    pub leader: Option<Who>,
    /// Rotations since both held the same token: since the theft, or since one of them met the other in its leeway.
    pub apart: u8,
    /// Rotations of the leader since the other one's last turn.
    pub ahead: u8,
}

/// What must not happen, and did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Fouls {
    /// A token of a dead family was accepted.
    pub resurrected: bool,
    /// A client that kept to the rules was refused.
    pub logged_out: bool,
    /// A genuine token was refused, and the family lived on.
    pub survived: bool,
}

impl World {
    pub fn new(store: Sealed, code: Token) -> Self {
        let victim = Party { tokens: code.into(), ..Party::default() };
        Self {
            now: 0,
            store,
            nodes: [None; 2],
            parties: [victim, Party::default()],
            minted: code.into(),
            dead: false,
            race: Race::default(),
            fouls: Fouls::default(),
        }
    }

    pub fn party(&self, who: Who) -> &Party {
        &self.parties[who as usize]
    }

    pub fn party_mut(&mut self, who: Who) -> &mut Party {
        &mut self.parties[who as usize]
    }

    pub fn works(&self) -> impl Iterator<Item = Work> {
        self.nodes.into_iter().flatten()
    }

    pub fn has_idle_node(&self) -> bool {
        self.nodes.contains(&None)
    }

    /// A node that is at `before` comes to `after`.
    pub fn turn(&mut self, before: Option<Work>, after: Option<Work>) {
        if let Some(node) = self.nodes.iter_mut().find(|node| **node == before) {
            *node = after;
        }
        self.nodes.sort_unstable();
    }

    /// Whether no request of `who` is under way or being worked on.
    pub fn is_settled(&self, who: Who) -> bool {
        let exchange = self.party(who).exchange;
        exchange.is_none_or(|exchange| !exchange.request) && self.works().all(|work| work.errand().who != who)
    }

    /// Whether `who` still needs an answer.
    pub fn is_waiting(&self, who: Who) -> bool {
        let Party { tokens, exchange, .. } = *self.party(who);
        exchange.is_some_and(|exchange| tokens.contains(exchange.token))
    }
}
