//! The decisions: pure functions from what is and what is asked to what is to be written, answered and reported.
//!
//! No clock, no randomness, no I/O: state, request, policies and time come in as values. The order of the checks is the
//! security argument. Format, guard and MAC come before ([`Presented`](crate::Presented), [`VerifiedToken`](crate::VerifiedToken));
//! then client, then binding; up to there nothing is written, and every refusal looks the same from outside. Only then
//! the family's status, its end, and the generation decide.
//!
//! | presented *g*, current *G* | condition | act |
//! |---|---|---|
//! | *g* = *G* | a code | `Redeem`: generation 1 |
//! | *g* = *G* | the policy rotates | `Rotate`: generation *G* + 1 |
//! | *g* = *G* | the policy rotates, and the token of *G* − 3 is still in its leeway | `Keep` |
//! | *g* = *G* | otherwise | `Keep`: the same token, made with the primary key |
//! | *g* < *G* | within the leeway of *g*, retry limit not reached | `Retry`: the current token |
//! | *g* = *G* − 1 | this issuer never answered the rotation, which is less than a minute old | `Retry` |
//! | *g* = *G* − 1 | within the lost-response window, successor never seen | `Retry` |
//! | *g* < *G* otherwise | the token's own idle life not over | `Reuse` |
//! | *g* < *G* otherwise | the token's own idle life over | `Deny` |
//! | *g* > *G* | genuine, ahead of the store | `Deny`, or `FastForward` |
//! | any | the family is revoked or expired | `Deny` |
//!
//! The leeway of a token runs from when that token was spent. A record remembers this of the last three, so a fourth rotation
//! within one leeway does not take place: no burst of an honest client's requests meets a token that was forgotten. A code has
//! no leeway, unless the policy gives it one.

mod context;
mod event;
mod introspect;
mod issue;
mod outages;
mod outcome;
mod redeem;
mod refresh;
mod request_context;
mod revoke;
mod rotation;
mod window;

pub use self::context::Context;
pub use self::introspect::{contradiction, introspect_refresh, live};
pub use self::issue::{Issue, issue};
pub use self::outages::Outages;
pub use self::outcome::{Decision, Verdict};
pub use self::redeem::{Redemption, redeem};
pub use self::refresh::refresh;
pub use self::request_context::RequestContext;
pub use self::revoke::{revoke, revoke_by_token};
