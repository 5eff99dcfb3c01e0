//! The decision of the vault: a pure function from a slot, an event, the policy and the time to a write, an answer, a
//! request to the service and audit events.
//!
//! It uses no clock, no randomness and no I/O. Each event has the id of its operation or of its secret, so that an
//! event whose write was not confirmed can be decided again. `put` and `revoke` are the exception: deciding them again
//! would also change what another caller has put meanwhile, so the runner reports them as uncertain.
//!
//! **A claim** is *ours* if this operation made it. It is *held* until its end, plus the clock difference that the
//! policy allows, plus the outages of the store since it began. It is *ahead* if it began in the future: then a clock
//! was stepped, the claim gets new dates and is held, and `upstream_clock_stepped` is reported. Otherwise it is *over*:
//! the service may have issued tokens that were lost, so the secret is in doubt until new tokens are stored.
//!
//! | event | state | written | answer | request |
//! |---|---|---|---|---|
//! | `Put` | any | current: the new secret; what waits for its revocation stays | done | |
//! | | the service revokes whole grants | as above, and nothing waits any more (`upstream_revoke_cancelled`) | done | |
//! | | the secret is there already | | done | |
//! | `Rotate` | current: a static secret | current: the new secret, with the same binding | done | |
//! | | anything else | | absent | |
//! | `Lease` | no current; something waits for its revocation | | revoked | |
//! | | no current | | not found | |
//! | | bound to another session or client | | other session, other client | |
//! | | dead | | needs authorization | |
//! | | the scope is not the one requested | | insufficient scope, broader than needed | |
//! | | static | | serve; overdue after the date to rotate it by | |
//! | | refused by the service; cannot be refreshed | dead | needs authorization | |
//! | | fresh, or due and cannot be refreshed | | serve | |
//! | | over, cannot be refreshed | | needs authorization | |
//! | | due; the vault cannot ask the service | | serve; `upstream_refresh_failed` | |
//! | | over or refused; the vault cannot ask the service | | no provider; `upstream_refresh_failed` | |
//! | | due; ready | refreshing | serve | refresh |
//! | | due; ready with a pause, or the claim is held or ahead | | serve | |
//! | | due; the claim is over | refreshing, in doubt | serve | refresh |
//! | | over or refused; ready | refreshing | refresh | refresh |
//! | | over or refused; ready with a pause | | unavailable | |
//! | | over or refused; the claim is ours | | refresh | refresh |
//! | | over or refused; the claim is held | | wait | |
//! | | over or refused; the claim is ahead | refreshing, with new dates | wait | |
//! | | over or refused; the claim is over | refreshing, in doubt | refresh | refresh |
//! | | *unavailable* and *wait*, after refusals for longer than the policy's limit | as above | needs authorization | |
//! | `Revoke` | current, and it is meant | moved to those that wait, with its claim; then as `Tick` | done | as `Tick` |
//! | | anything else | as `Tick` | absent | as `Tick` |
//! | `Tick` | due; the secret has expired, or the retention is over | gone (`upstream_abandoned`) | done | |
//! | | due; no pause | telling | done | tell |
//! | | due with a pause | | done | |
//! | | refreshing or telling; the claim is ours | | done | as before |
//! | | refreshing or telling; the claim is held | | done | |
//! | | refreshing or telling; the claim is ahead | the claim with new dates | done | |
//! | | refreshing; the claim is over | telling, in doubt | done | tell |
//! | | telling; the claim is over | telling | done | tell |
//! | `Answered` new tokens | current is what they came from | current: ready | done | |
//! | | the same; no usable access token | current: ready, with a pause | done | |
//! | | what they came from waits for its revocation | the new tokens, telling | done | tell |
//! | | they are there already; telling, claim ours | | done | tell |
//! | | they are there already, otherwise | | done | |
//! | | neither is there; no current | the new tokens wait, telling | done | tell |
//! | | the same; the account has had another secret since | the new tokens wait in doubt, telling | done | tell |
//! | | neither is there; another current | nothing (`upstream_superseded`) | done | |
//! | `Answered` the grant has ended | current, claim ours | dead | done | |
//! | | waits, claim ours, in doubt | gone (`upstream_abandoned`) | done | |
//! | | waits, claim ours | gone (`upstream_revoked`) | done | |
//! | `Answered` a failure | current or waits, claim ours | ready or due, with a pause; in doubt if the answer was lost | done | |
//! | `Answered` nothing was sent | current or waits, claim ours | ready or due | done | |
//! | `Answered` without new tokens | anything else | | done | |
//! | `RevocationAnswer` revoked | telling or due | gone (`upstream_revoked`) | done | |
//! | `RevocationAnswer` not supported | telling or due | gone (`upstream_forgotten`) | done | |
//! | `RevocationAnswer` needs a live token | telling, claim ours; can be refreshed | refreshing | done | refresh |
//! | | the same, already renewed | due, with a pause | done | |
//! | | telling, claim ours; cannot be refreshed | gone (`upstream_revoked`) | done | |
//! | | refreshing, claim ours | | done | refresh |
//! | `RevocationAnswer` a failure | telling, claim ours | due, with a pause | done | |
//! | `RevocationAnswer` nothing was sent | telling, claim ours | due | done | |
//! | `RevocationAnswer` | anything else | | done | |
//!
//! At most [`MAX_ENDING`](super::state::MAX_ENDING) secrets wait. One more abandons the oldest (`upstream_abandoned`,
//! `upstream_too_many`).

mod answered;
mod draft;
mod ending;
mod lease;
mod put;
#[cfg(test)]
mod tests;

use self::draft::Draft;
use super::event::{Context, Event};
use super::outcome::Decision;
use super::state::Slot;

/// Decides what `event` does to `slot`.
pub fn decide(slot: &Slot, event: &Event, context: &Context<'_>) -> Decision {
    let mut draft = Draft::of(slot, context);
    let verdict = match event {
        Event::Put { held, ends_grants } => draft.put(held, *ends_grants),
        Event::Rotate { held } => draft.rotate(held),
        Event::Lease(ask) => draft.lease(ask),
        Event::Revoke { by, whom } => draft.revoke(*by, whom),
        Event::Tick { by } => draft.tick(*by),
        Event::Answered { from, claim, answer } => draft.answered(from, *claim, answer),
        Event::RevocationAnswer { id, claim, answer } => draft.revocation_answered(*id, *claim, *answer),
    };
    let Draft { slot: next, effect, reports, .. } = draft;
    Decision { write: (next != *slot).then_some(next), verdict, effect, reports }
}
