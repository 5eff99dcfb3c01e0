//! The state: the slot in the store, what is under way, and what the service honours.

use std::sync::Arc;

use mcp_token_lifecycle::vault::decision::Slot;

use crate::names::{Operation, Owner, Secret};
use crate::setup::Left;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    /// In steps of the clock.
    pub now: u8,
    pub slot: Arc<Slot>,
    /// Of the record, where a process can sleep; 0 elsewhere.
    pub version: u8,
    /// In order, for it makes no difference which process is at what.
    pub flights: Vec<Flight>,
    /// Every authorization that there ever was, in their order at the service.
    pub grants: Vec<Grant>,
    /// The last authorization that came into the vault.
    pub newest: u8,
    /// The last secret that came into the vault, while its answer can still come.
    pub last: Option<Secret>,
    pub left: Left,
    pub fouls: Fouls,
}

/// What one process is at.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Flight {
    /// It is to decide this.
    Decide(Intent),
    /// It is to send this while its claim lasts.
    Send(Request),
    /// It has given up waiting, and the request still reaches the service.
    Late(Call, Secret),
    /// It has read the record and is suspended before its write.
    Asleep(Sleeper),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sleeper {
    pub intent: Intent,
    pub loaded: Arc<Slot>,
    pub version: u8,
    /// The step at which it has read.
    pub at: u8,
}

impl Sleeper {
    fn order(&self) -> (Intent, u8, u8) {
        (self.intent, self.version, self.at)
    }
}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// An event, in short.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Intent {
    Put { grant: u8 },
    Rotate { grant: u8 },
    Lease { owner: Owner, by: Operation },
    Revoke { whom: Option<Owner>, by: Operation },
    Tick { by: Operation },
    Answered { from: Secret, answer: Answer, by: Operation },
    Told { secret: Secret, told: Told, by: Operation },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Answer {
    Fresh,
    Dead,
    Lost,
    Unavailable,
    NotSent,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Told {
    Done,
    Unsupported,
    NeedsRefresh,
    Lost,
    Unavailable,
    NotSent,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Request {
    pub call: Call,
    pub secret: Secret,
    /// The step at which its claim ends.
    pub until: u8,
    pub by: Operation,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Call {
    Refresh,
    Tell,
}

/// One authorization: what the service knows of it, and what was said about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Grant {
    pub is_static: bool,
    pub owner: Owner,
    /// The depth of the secret that the service honours.
    pub live: Option<u8>,
    /// Whether its access token is good.
    pub is_good: bool,
    /// The refresh tokens that the service has replaced, without it being on record that the answer may be lost.
    pub spent: u8,
    /// The secrets of which it was ever on record that an answer may be lost.
    pub doubted: u8,
    /// Whether it was revoked in the vault.
    pub revoked: bool,
    /// Whether the end of its revocation was reported.
    pub ended: bool,
    /// The secrets that were reported as given up.
    pub given_up: u8,
}

impl Grant {
    pub fn new(is_static: bool, owner: Owner) -> Self {
        let nothing = 0;
        Self {
            is_static,
            owner,
            live: Some(0),
            is_good: false,
            spent: nothing,
            doubted: nothing,
            revoked: false,
            ended: false,
            given_up: nothing,
        }
    }
}

/// What one step must not do, and did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Foul {
    /// A refresh token was presented after the service had replaced it, and the record does not say that the answer may be
    /// lost.
    PresentedTwice,
    /// What was revoked was leased.
    LeasedRevoked,
    /// New tokens were neither stored nor reported.
    LostTokens,
    /// A pending revocation vanished without a report.
    Vanished,
    /// A static secret was reported as revoked at the service.
    KeyRevoked,
    /// A service that revokes whole grants is told of an older one than the vault has.
    ToldOfOlder,
    /// A lease or a revocation reached the secret of another session.
    OtherOwner,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Fouls(u8);

impl Fouls {
    pub fn add(&mut self, foul: Foul) {
        self.0 |= 1 << foul as u8;
    }

    pub fn has(self, foul: Foul) -> bool {
        self.0 >> foul as u8 & 1 == 1
    }
}

impl World {
    pub fn grant(&self, secret: Secret) -> &Grant {
        &self.grants[usize::from(secret.grant)]
    }

    pub fn grant_mut(&mut self, secret: Secret) -> &mut Grant {
        &mut self.grants[usize::from(secret.grant)]
    }

    pub fn take_off(&mut self, flight: Flight) {
        let at = self.flights.partition_point(|other| *other < flight);
        self.flights.insert(at, flight);
    }

    pub fn land(&mut self, flight: &Flight) {
        if let Some(at) = self.flights.iter().position(|other| other == flight) {
            self.flights.remove(at);
        }
    }
}
