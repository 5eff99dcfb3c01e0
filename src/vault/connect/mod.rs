//! From no credential to one: the user authorizes the application at the service with a browser (RFC 6749 §4.1).
//!
//! | file | what it holds |
//! |---|---|
//! | `browser_user` | who is logged in: the subject and the browser session |
//! | `request`, `callback` | what the application asks for, and what the browser brings back |
//! | `one_time` | the state and the verifier, and what derives from them |
//! | `pending` | an authorization that has begun, and as bytes |
//! | `decision` | what a callback leads to: a pure function |
//! | `record` | a pending authorization in the store: written once, spent once |
//! | `begin`, `complete` | the two halves of the flow |
//! | `outcome`, `error` | what the flow ends with |
//!
//! A pending authorization has these states:
//!
//! | found | callback | what follows |
//! |---|---|---|
//! | nothing | any | refused: `connect_unknown_state` |
//! | open or spent | of another subject | refused: `connect_other_subject` |
//! | open or spent | of another browser session | refused: `connect_other_browser` |
//! | spent | any other | refused: `connect_replayed` |
//! | open | after ten minutes | refused: `connect_late` |
//! | open | at another redirect URI, or with another `iss` | spent, then refused: `connect_mixed_up` |
//! | open | with `error` | spent, then the answer of the service |
//! | open | with `code` | spent, then exchanged and put into the vault |

mod begin;
mod browser_user;
mod callback;
mod complete;
mod decision;
mod error;
mod one_time;
mod outcome;
mod pending;
mod record;
mod request;

pub use self::browser_user::BrowserUser;
pub use self::callback::Callback;
pub use self::error::ConnectError;
pub use self::outcome::ConnectOutcome;
pub use self::request::{AuthorizeUrl, ConnectRequest};
