//! The decisions: pure functions from a family, a request, the policies and the time to a write, an answer and an audit
//! event.
//!
//! They use no clock, no randomness and no I/O. The order of the checks is the security argument:
//!
//! 1. Format, guard and MAC are checked first ([`Presented`](crate::Presented),
//!    [`VerifiedToken`](crate::VerifiedToken)).
//! 2. Then the client, then the binding. Up to here nothing is written, and every refusal gives the client the same
//!    answer.
//! 3. Only then do the family's status, its end and the generation decide:
//!
//! | presented *g*, current *G* | condition | act |
//! |---|---|---|
//! | *g* = *G* | a code | `Redeem`: generation 1 |
//! | *g* = *G* | the policy rotates | `Rotate`: generation *G* + 1 |
//! | *g* = *G* | the policy rotates, and the token of *G* − 3 is still in its leeway | `Keep` |
//! | *g* = *G* | otherwise | `Keep`: the same token, made with the primary key |
//! | *g* < *G* | within the leeway of *g*, retry limit not reached | `Retry`: the current token |
//! | *g* = *G* − 1 | this issuer never answered the rotation, which is less than an hour old | `Retry` |
//! | *g* = *G* − 1 | within the lost-response window, successor never seen | `Retry` |
//! | *g* < *G* otherwise | the token's own idle life not over | `Reuse` |
//! | *g* < *G* otherwise | the token's own idle life over | `Deny` |
//! | *g* > *G* | genuine, ahead of the store | `Deny`, or `FastForward` |
//! | any | the family is revoked or expired | `Deny` |
//!
//! The leeway of a token begins when that token was spent. The record contains this time for the last three spent
//! tokens. A fourth rotation within one leeway does not take place, so no parallel request of an honest client presents
//! a token whose time was dropped from the record. A code has no leeway, unless the policy gives it one.

mod context;
mod introspect;
mod issue;
mod outages;
mod outcome;
mod redeem;
mod request_context;
mod revoke;
mod rotation;
mod window;

pub use self::context::Context;
pub use self::introspect::{contradiction, introspect_refresh, live};
pub(crate) use self::issue::begin;
pub use self::issue::{Issue, issue};
pub use self::outages::Outages;
pub use self::outcome::{Decision, Verdict};
pub use self::redeem::{Redemption, redeem};
pub use self::request_context::RequestContext;
pub use self::revoke::{revoke, revoke_by_token};
pub use self::rotation::refresh;
