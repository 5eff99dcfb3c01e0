//! The service: what it answers, and what it honours.

use crate::account::{Account, Sight};
use crate::names::Secret;
use crate::world::{Answer, Foul, Told, World};

impl Account {
    /// The service gets a refresh token. It takes each once.
    pub fn present(&self, world: &mut World, from: Secret) -> Answer {
        let grant = world.grant_mut(from);
        let in_doubt = grant.doubted & from.bit() != 0;
        let is_reuse = grant.spent & from.bit() != 0;
        let answer = if grant.live == Some(from.depth) {
            (grant.live, grant.is_good) = (Some(from.successor().depth), self.setup.needs_live_token);
            grant.spent |= if in_doubt { 0 } else { from.bit() };
            Answer::Fresh
        } else {
            Answer::Dead
        };
        if answer == Answer::Dead && in_doubt {
            self.see(Sight::PresentedTwice);
        }
        if is_reuse {
            world.fouls.add(Foul::PresentedTwice);
        }
        answer
    }

    /// The service is told to revoke `secret`.
    pub fn revoke(&self, world: &mut World, secret: Secret) -> Told {
        if world.grant(secret).is_static {
            return Told::Unsupported;
        }
        let grant = world.grant(secret);
        if self.setup.needs_live_token && !(grant.is_good && grant.live == Some(secret.depth)) {
            return Told::NeedsRefresh;
        }
        if self.setup.whole_grants {
            let newest = usize::from(world.newest);
            if usize::from(secret.grant) < newest && world.grants[newest].live.is_some() {
                self.see(Sight::UnderWayEndsNewGrant);
            }
            world.grants.iter_mut().filter(|grant| !grant.is_static).for_each(|grant| grant.live = None);
        }
        let grant = world.grant_mut(secret);
        grant.live = grant.live.filter(|depth| *depth != secret.depth);
        Told::Done
    }

    /// All tokens expire.
    pub fn expire(world: &mut World) {
        world.grants.iter_mut().filter(|grant| !grant.is_static).for_each(|grant| grant.live = None);
    }
}
