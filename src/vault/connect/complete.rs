//! The second half: check the callback, spend the authorization, exchange the code, put the tokens.

use std::sync::Arc;
use std::time::Duration;

use super::callback::{Answer, Callback, Parsed};
use super::decision::{Context, Decision, Next, Seen, decide};
use super::error::ConnectError;
use super::outcome::ConnectOutcome;
use super::pending::{Pending, Progress};
use super::record::Found;
use crate::audit::{Action, AuditEvent, Reason};
use crate::record::MAX_ATTEMPTS;
use crate::store::{Commit, TokenStore};
use crate::vault::patience::Patience;
use crate::vault::{
    CodeExchange, Credential, CredentialVault, SecretText, TokenSet, UpstreamAct, UpstreamError, UpstreamProvider,
    UpstreamReason, VaultError, VaultErrorKind,
};

/// For how long storing new tokens is retried. If they are lost, the user has to authorize again.
const PERSISTENCE: Duration = Duration::from_secs(60);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A callback that was accepted, and whose authorization is spent.
struct Accepted {
    pending: Pending,
    /// The secret that the spent record no longer has.
    verifier: SecretText,
    next: Next,
}

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Completes an authorization: checks the callback, exchanges its code for tokens, and puts them into the vault.
    ///
    /// The authorization is spent before the code is sent to the service, so a callback is accepted once, in one process,
    /// whether the exchange succeeds or not. From then on dropping the future does not stop it. Each refusal and failure is
    /// reported to the audit.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]. After [`ConnectError::Fault`] with
    /// [`StoreUnavailable`](crate::vault::VaultErrorKind::StoreUnavailable) before the authorization was spent, the same
    /// callback can be tried again.
    pub async fn complete_connect(&self, callback: &Callback<'_>) -> Result<ConnectOutcome, ConnectError> {
        let Some(parsed) = callback.parse() else {
            self.report_stray(UpstreamAct::ConnectRefused, UpstreamReason::Malformed, callback);
            return Err(ConnectError::Malformed);
        };
        let Accepted { pending, verifier, next } = self.accept(callback, &parsed).await.inspect_err(|error| {
            if matches!(error, ConnectError::Fault(_)) {
                self.report_stray(UpstreamAct::ConnectFailed, UpstreamReason::Fault, callback);
            }
        })?;
        let (account, return_to) = (pending.account.clone(), pending.return_to.clone());
        match (next, parsed.answer) {
            (Next::Refuse(reason), _) => {
                self.report_connect(UpstreamAct::ConnectRefused, Some(reason), &pending);
                Err(ConnectError::refused(reason))
            }
            (_, Answer::Error(code)) if *code == *"access_denied" => {
                self.report_connect(UpstreamAct::ConnectDenied, None, &pending);
                Ok(ConnectOutcome::Denied { account, return_to })
            }
            (_, Answer::Error(code)) => {
                let error = refusal(&code);
                self.report_connect(UpstreamAct::ConnectFailed, Some(error.reason()), &pending);
                Err(ConnectError::Service(error))
            }
            (_, Answer::Code(code)) => {
                let exchange = CodeExchange::new(code, pending.redirect_uri.clone(), verifier);
                let vault = self.clone();
                // The code is sent once. Its tokens must not be lost with the caller.
                let connected = self.in_background(async move { vault.connect(&pending, exchange).await });
                let stopped = |_| VaultError::new(VaultErrorKind::Stopped);
                let tokens = connected.await.map_err(stopped)??;
                Ok(ConnectOutcome::Connected { account, scope: tokens.scope, return_to })
            }
        }
    }

    /// Checks the callback and spends its authorization.
    async fn accept(&self, callback: &Callback<'_>, parsed: &Parsed) -> Result<Accepted, ConnectError> {
        let by = self.random()?;
        let session_tag = parsed.state.session_tag(callback.user.session());
        let (mut open, mut is_second_try) = (None, false);
        for _ in 0..MAX_ATTEMPTS {
            let found = self.find_pending(&parsed.state).await?;
            let provider = found.as_ref().and_then(|found| self.provider(found.pending.account.service()));
            let connector = provider.as_ref().and_then(|provider| provider.connector());
            let seen = Seen {
                subject: callback.user.subject(),
                session_tag,
                redirect_uri: &callback.redirect_uri,
                issuer: parsed.issuer.as_deref(),
                answer: &parsed.answer,
            };
            let issuer = connector.as_ref().and_then(|connector| connector.issuer());
            let context = Context { issuer, by, now: self.now() };
            let decision = decide(found.as_ref().map(|found| &found.pending), &seen, &context);
            drop(connector);
            match (decision, found) {
                (Decision::Refuse(reason), found) => {
                    match found {
                        Some(found) => self.report_connect(UpstreamAct::ConnectRefused, Some(reason), &found.pending),
                        None => self.report_stray(UpstreamAct::ConnectRefused, reason, callback),
                    }
                    return Err(ConnectError::refused(reason));
                }
                (Decision::Follow(next), _) => match open.take() {
                    Some(found) => return accepted(found, next),
                    None => break,
                },
                (Decision::Spend(next), Some(found)) => {
                    let spent = found.pending.spent(by);
                    match self.replace_pending(&parsed.state, &found, &spent).await {
                        Ok(Commit::Applied) => return accepted(found, next),
                        Ok(Commit::Conflict) => {}
                        Err(error) if error.kind() == VaultErrorKind::StoreUncertain && !is_second_try => {
                            is_second_try = true;
                            open = Some(found);
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                (Decision::Spend(_), None) => break,
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention).into())
    }

    /// Exchanges the code and puts the tokens into the vault. Returns a copy of them.
    async fn connect(&self, pending: &Pending, exchange: CodeExchange) -> Result<TokenSet, ConnectError> {
        let failed = |error: ConnectError, reason| {
            self.report_connect(UpstreamAct::ConnectFailed, Some(reason), pending);
            error
        };
        let account = &pending.account;
        let Some(provider) = self.provider(account.service()) else {
            let error = ConnectError::NotConnectable { service: account.service.clone() };
            return Err(failed(error, UpstreamReason::NoProvider));
        };
        let tokens = self.exchange(&*provider, pending, &exchange).await.map_err(|error| {
            let reason = error.reason();
            failed(error.into(), reason)
        })?;
        match self.store_tokens(pending, &tokens).await {
            Ok(()) => Ok(tokens),
            Err(error) => {
                self.give_up(&*provider, &error, &tokens).await;
                Err(failed(error.into(), UpstreamReason::Fault))
            }
        }
    }

    /// Sends the code to the service, and waits for the tokens for as long as the policy's claim.
    async fn exchange(
        &self,
        provider: &dyn UpstreamProvider,
        pending: &Pending,
        exchange: &CodeExchange,
    ) -> Result<TokenSet, UpstreamError> {
        let missing = || UpstreamError::configuration("no_authorization_endpoint");
        let connector = provider.connector().ok_or_else(missing)?;
        // Read before the request: the lifetimes in the answer have begun at the latest after that.
        let asked_at = self.now();
        let answer = self.runtime.within(self.policy.claim, connector.exchange(exchange)).await;
        let late = || Err(UpstreamError::uncertain("there was no answer in time"));
        let new = answer.unwrap_or_else(late)?;
        if new.access_token.is_none() {
            return Err(UpstreamError::uncertain("the answer has no usable access token"));
        }
        // What the service leaves out is as requested (RFC 6749 §5.1).
        Ok(TokenSet::new(SecretText::new(""), pending.scope.clone()).successor(new, asked_at, asked_at))
    }

    /// Puts the tokens into the vault. Retries while it is certain that nothing was written.
    async fn store_tokens(&self, pending: &Pending, tokens: &TokenSet) -> Result<(), VaultError> {
        use VaultErrorKind::{Contention, Entropy, KeyUnavailable, StoreUnavailable};
        let (mut patience, until) = (Patience::new(PERSISTENCE, LONGEST_PAUSE), self.now().saturating_add(PERSISTENCE));
        loop {
            let credential = Credential::OAuth(tokens.copy());
            let Err(error) = self.put(&pending.account, credential, pending.bound_to.clone()).await else {
                return Ok(());
            };
            let is_passing = matches!(error.kind(), StoreUnavailable | KeyUnavailable | Contention | Entropy);
            // The store may take long to fail, which `patience` does not count.
            if !is_passing || self.now() >= until || !patience.pause(&self.runtime).await {
                return Err(error);
            }
        }
    }

    /// Revokes tokens that the vault could not store, unless it may have, or the service would end other grants with them.
    async fn give_up(&self, provider: &dyn UpstreamProvider, error: &VaultError, tokens: &TokenSet) {
        if error.kind() == VaultErrorKind::StoreUncertain || provider.revokes_whole_grants() {
            return;
        }
        let credential = Credential::OAuth(tokens.copy());
        // The failure to connect is reported in any case.
        let _ = self.runtime.within(self.policy.claim, provider.revoke(&credential)).await;
    }
}

impl<S: TokenStore> CredentialVault<S> {
    /// Reports an act on an authorization.
    pub(super) fn report_connect(&self, act: UpstreamAct, reason: Option<UpstreamReason>, pending: &Pending) {
        self.audit.record(&AuditEvent {
            family: pending.bound_to.session_id(),
            client_id: pending.bound_to.client_id().map(Arc::from),
            ..self.event(act, reason, &pending.account)
        });
    }

    /// Reports a callback whose authorization is not known, with the user that is logged in.
    fn report_stray(&self, act: UpstreamAct, reason: UpstreamReason, callback: &Callback<'_>) {
        self.audit.record(&AuditEvent {
            reason: Some(Reason::Upstream(reason)),
            subject: Some(callback.user.shared_subject()),
            ..AuditEvent::new(self.now(), Action::Upstream(act))
        });
    }
}

/// The authorization that was `found` before it was spent, with its verifier.
fn accepted(found: Found, next: Next) -> Result<Accepted, ConnectError> {
    match &found.pending.progress {
        Progress::Open { verifier } => {
            let verifier = verifier.copy();
            Ok(Accepted { pending: found.pending, verifier, next })
        }
        Progress::Spent { .. } => Err(ConnectError::Replayed),
    }
}

/// What the error code of a callback means (RFC 6749 §4.1.2.1; OpenID Connect Core §3.1.2.6).
fn refusal(code: &str) -> UpstreamError {
    match code {
        "temporarily_unavailable" | "server_error" => UpstreamError::unavailable(format!("the service answers {code}")),
        "invalid_request" | "unauthorized_client" | "unsupported_response_type" | "invalid_scope" => {
            UpstreamError::configuration(code)
        }
        code => UpstreamError::refused(code),
    }
}
