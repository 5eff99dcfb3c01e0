//! The application's own say in whether a grant is still good.

use std::error::Error as StdError;

use crate::family::TokenFamily;
use crate::grant::Client;
use crate::store::BoxFuture;

/// The application's last word before a redemption or a refresh is granted: is the grant still good? It may ask a user
/// database.
///
/// It is asked after everything else has been checked and before anything is written: a refusal consumes nothing, and neither
/// does a failure.
pub trait GrantCheck: Send + Sync {
    /// Whether `client` still may act on the family's grant.
    ///
    /// An error means that it could not be found out: the client is told to try again.
    fn check<'a>(
        &'a self,
        family: &'a TokenFamily,
        client: &'a Client,
    ) -> BoxFuture<'a, Result<GrantStatus, Box<dyn StdError + Send + Sync>>>;
}

/// What a [`GrantCheck`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantStatus {
    /// The grant is good.
    Good,
    /// The user is disabled, the consent withdrawn, the client no longer allowed.
    Withdrawn,
}
