//! A logout: revoke, then delete.

use std::sync::Arc;
use std::time::Duration;

use super::TokenManager;
use super::error::TokenManagerError;
use super::storage::{CredentialStorage, StorageLock};
use super::stored::Stored;
use crate::vault::{Credential, RefreshPolicy, Revocation, UpstreamError};

impl TokenManager {
    /// Revokes the stored tokens, as long as the server accepts any of them, and deletes them. A server that accepts
    /// only a live access token gets a new one. It is stored before it is used, so a failure leaves it for the next
    /// attempt.
    pub(super) async fn log_out(&self, lock: Arc<StorageLock>) -> Result<(), TokenManagerError> {
        let mut renewed = false;
        // Whether the server may still accept tokens that never arrived.
        let answer_lost = loop {
            let held = match self.stored().await? {
                Some(Stored::Held(held)) => held,
                Some(Stored::Ended { answer_lost }) => break answer_lost,
                None => break false,
            };
            match self.provider.revoke(&Credential::OAuth(held.tokens.copy())).await {
                Ok(Revocation::NeedsRefresh) if !renewed => {
                    // Written first, so that a full disk is detected before the refresh token is spent.
                    self.keep(&Stored::Held(held.asked()), lock.clone()).await?;
                    match self.refresh(held, lock.clone()).await {
                        // After `NeedsAuthorization` neither token is accepted any more, and that is what is stored.
                        Ok(_) | Err(TokenManagerError::NeedsAuthorization) => renewed = true,
                        Err(error) => return Err(error),
                    }
                }
                Ok(Revocation::NeedsRefresh) => return Err(not_yet(None)),
                // A server that does not know a token any more also reports success.
                Ok(Revocation::Done) | Err(UpstreamError::InvalidGrant) => break held.answer_lost,
                Ok(Revocation::Unsupported) => break false,
                Err(error) => return Err(not_yet(Some(error))),
            }
        };
        let delete = move |storage: &dyn CredentialStorage| {
            let _lock = lock;
            storage.delete()
        };
        self.on_thread(delete).await?;
        if answer_lost { Err(TokenManagerError::AnswerLost) } else { Ok(()) }
    }

    async fn stored(&self) -> Result<Option<Stored>, TokenManagerError> {
        let content = self.on_thread(|storage| storage.read()).await?;
        Ok(content.map(|content| self.decode(&content)).transpose()?)
    }
}

fn not_yet(error: Option<UpstreamError>) -> TokenManagerError {
    let asked = error.as_ref().and_then(UpstreamError::asked_pause);
    let wait = asked.unwrap_or(Duration::from_secs(1)).min(RefreshPolicy::MAX_PAUSE);
    TokenManagerError::unavailable(wait, error)
}
