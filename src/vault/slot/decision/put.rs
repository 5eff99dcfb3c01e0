//! A secret that the application puts into the vault, or rotates.

use super::draft::{Draft, lost};
use crate::audit::UpstreamAct;
use crate::vault::Credential;
use crate::vault::slot::outcome::Verdict;
use crate::vault::slot::state::{Held, Live, Phase};

impl Draft<'_> {
    pub(super) fn put(&mut self, held: &Held, ends_grants: bool) -> Verdict {
        if self.slot.has(held.id) {
            return Verdict::Done;
        }
        if let Some(old) = self.slot.current.take_if(|old| old.phase != Phase::Dead) {
            self.report(UpstreamAct::Replaced, lost(old.may_have_successors()), &old.held);
        }
        if ends_grants {
            for ending in std::mem::take(&mut self.slot.ending) {
                self.report(UpstreamAct::RevokeCancelled, None, &ending.held);
            }
        }
        self.begin(held, UpstreamAct::Put);
        Verdict::Done
    }

    pub(super) fn rotate(&mut self, held: &Held) -> Verdict {
        match &self.slot.current {
            Some(old) if old.held.id == held.id => Verdict::Done,
            Some(old) if matches!(*old.held.credential, Credential::Static(_)) => {
                let bound_to = old.held.bound_to.clone();
                self.begin(&Held { bound_to, ..held.clone() }, UpstreamAct::Rotate);
                Verdict::Done
            }
            _ => Verdict::Absent,
        }
    }

    /// Makes `held` the current secret.
    fn begin(&mut self, held: &Held, act: UpstreamAct) {
        let held = self.numbered(held);
        self.report(act, None, &held);
        self.slot.current = Some(Live::ready(held));
    }
}
