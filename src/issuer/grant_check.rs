//! The application's check of a grant before tokens are issued.

use crate::pointers::pointers;
use std::error::Error as StdError;

use crate::family::TokenFamily;
use crate::grant::Client;
use crate::store::BoxFuture;

/// The application's check, before a redemption or a refresh is answered, of whether the grant is still valid. It may
/// ask a user database.
///
/// The issuer calls it after all other checks and before anything is written. So neither a refusal nor an error
/// consumes the token.
pub trait GrantCheck: Send + Sync {
    /// Checks whether `client` may still act on the family's grant.
    ///
    /// # Errors
    ///
    /// An error means that the check could not find out. The client gets 503 and may retry with the same token.
    fn check<'a>(
        &'a self,
        family: &'a TokenFamily,
        client: &'a Client,
    ) -> BoxFuture<'a, Result<GrantStatus, Box<dyn StdError + Send + Sync>>>;
}

pointers! {
    impl GrantCheck {
        fn check<'a>(
            &'a self,
            family: &'a TokenFamily,
            client: &'a Client,
        ) -> BoxFuture<'a, Result<GrantStatus, Box<dyn StdError + Send + Sync>>> {
            T::check(self, family, client)
        }
    }
}

/// The result of a [`GrantCheck`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantStatus {
    /// The grant is valid.
    Good,
    /// The grant is withdrawn: the user is disabled, the consent was withdrawn, or the client is not allowed any more.
    Withdrawn,
}
