//! A service that follows a script: it counts its refreshes, rotates, fails, hangs until told, and may honour a leeway.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use mcp_token_lifecycle::BoxFuture;
use mcp_token_lifecycle::vault::{
    Credential, CredentialStatus, Refreshed, Revocation, Secret, SecretText, TokenSet, UpstreamError, UpstreamProvider,
};

use crate::sim::Sim;
use crate::support::scope;

pub const LIFETIME: u64 = 1_000;

/// What happens to one request.
pub enum Step {
    /// It fails before anything has changed.
    Fail(fn() -> UpstreamError),
    /// It is carried out, and its answer is lost.
    LoseAnswer,
    /// The same, once the gate opens.
    FailLate(Gate, fn() -> UpstreamError),
    /// It arrives when the gate opens.
    HoldRequest(Gate),
    /// It is carried out, and its answer arrives when the gate opens.
    HoldAnswer(Gate),
    /// It is answered with this lifetime.
    ExpiresIn(Option<Duration>),
    /// It is answered after the first duration, with the second as the lifetime.
    AnswerLate(Duration, Duration),
    /// It is answered with this scope.
    Scope(&'static str),
    /// The service has no revocation for it.
    Unsupported,
    /// It is answered with a new refresh token and no access token that can be used.
    RotateOnly,
}

/// It fails, and certainly nothing has changed.
pub const DOWN: Step = Step::Fail(|| UpstreamError::unavailable("down"));

/// Closed until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Gate {
    pub fn open(&self) {
        let mut gate = self.0.lock().unwrap();
        gate.0 = true;
        gate.1.drain(..).for_each(Waker::wake);
    }

    async fn pass(&self) {
        poll_fn(|cx| {
            let mut gate = self.0.lock().unwrap();
            if gate.0 {
                return Poll::Ready(());
            }
            gate.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[derive(Clone, Default)]
pub struct Service(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The number of the refresh token that is honoured.
    current: usize,
    keeps_refresh_token: bool,
    leeway: bool,
    whole_grants: bool,
    hangs_at_introspection: bool,
    sim: Sim,
    refreshes: usize,
    script: VecDeque<Step>,
    revocations: VecDeque<Step>,
    revoked: Vec<String>,
    /// Of access tokens below this number it takes none, not even to revoke it.
    live_from: usize,
}

pub fn access_token(number: usize) -> String {
    format!("access-token-{number:04}-Pq8ZxWvUtS")
}

pub fn refresh_token(number: usize) -> String {
    format!("refresh-token-{number:04}-Lm3NbVcXyK")
}

impl Service {
    /// With a leeway: a spent refresh token is answered with the successor that it was spent for.
    pub fn with_leeway() -> Self {
        let service = Self::default();
        service.0.lock().unwrap().leeway = true;
        service
    }

    /// A revocation ends all that the user has authorized, as at GitHub.
    pub fn with_whole_grants() -> Self {
        let service = Self::default();
        service.0.lock().unwrap().whole_grants = true;
        service
    }

    /// Without rotation: the refresh token stays, and answers leave it out.
    pub fn without_rotation() -> Self {
        let service = Self::default();
        service.0.lock().unwrap().keeps_refresh_token = true;
        service
    }

    /// Let the next refresh that has no step yet meet this one.
    pub fn then(&self, step: Step) {
        self.0.lock().unwrap().script.push_back(step);
    }

    /// The same for the next revocation.
    pub fn then_at_revocation(&self, step: Step) {
        self.0.lock().unwrap().revocations.push_back(step);
    }

    /// All access tokens that it has given have expired, and it revokes by a live one alone.
    pub fn expire_all(&self) {
        let mut state = self.0.lock().unwrap();
        state.live_from = state.current + 1;
    }

    /// Introspections are not answered from now on.
    pub fn hang_at_introspection(&self) {
        self.0.lock().unwrap().hangs_at_introspection = true;
    }

    /// With the time in which it is late.
    pub fn on(self, sim: &Sim) -> Self {
        self.0.lock().unwrap().sim = sim.clone();
        self
    }

    /// How often a refresh has arrived.
    pub fn refreshes(&self) -> usize {
        self.0.lock().unwrap().refreshes
    }

    /// The access tokens, or static secrets, that were revoked.
    pub fn revoked(&self) -> Vec<String> {
        self.0.lock().unwrap().revoked.clone()
    }

    /// The number of the refresh token that is honoured now.
    pub fn current(&self) -> usize {
        self.0.lock().unwrap().current
    }

    fn rotate(&self, presented: &str) -> Result<Refreshed, UpstreamError> {
        let mut state = self.0.lock().unwrap();
        state.refreshes += 1;
        if state.keeps_refresh_token {
            state.current += 1;
            let answer = Refreshed::new(SecretText::new(access_token(state.current)));
            return if presented == refresh_token(0) { Ok(answer) } else { Err(UpstreamError::InvalidGrant) };
        }
        let is_spent = state.current > 0 && presented == refresh_token(state.current - 1);
        if presented == refresh_token(state.current) {
            state.current += 1;
        } else if !(state.leeway && is_spent) {
            return Err(UpstreamError::InvalidGrant);
        }
        Ok(Refreshed::new(SecretText::new(access_token(state.current)))
            .refresh_token(SecretText::new(refresh_token(state.current))))
    }

    async fn answer(&self, presented: &str) -> Result<Refreshed, UpstreamError> {
        let lifetime = Duration::from_secs(LIFETIME);
        let step = self.0.lock().unwrap().script.pop_front();
        match step {
            None => Ok(self.rotate(presented)?.expires_in(lifetime)),
            Some(Step::Fail(error)) => Err(error()),
            Some(Step::FailLate(gate, error)) => {
                gate.pass().await;
                Err(error())
            }
            Some(Step::Unsupported) => unreachable!("every service refreshes"),
            Some(Step::LoseAnswer) => {
                self.rotate(presented)?;
                Err(UpstreamError::uncertain("timeout"))
            }
            Some(Step::HoldRequest(gate)) => {
                gate.pass().await;
                Ok(self.rotate(presented)?.expires_in(lifetime))
            }
            Some(Step::HoldAnswer(gate)) => {
                let answer = self.rotate(presented);
                gate.pass().await;
                Ok(answer?.expires_in(lifetime))
            }
            Some(Step::ExpiresIn(None)) => self.rotate(presented),
            Some(Step::ExpiresIn(Some(lifetime))) => Ok(self.rotate(presented)?.expires_in(lifetime)),
            Some(Step::AnswerLate(delay, lifetime)) => {
                let answer = self.rotate(presented)?.expires_in(lifetime);
                let sim = self.0.lock().unwrap().sim.clone();
                sim.runtime_sleep(delay).await;
                Ok(answer)
            }
            Some(Step::RotateOnly) => {
                Ok(Refreshed::rotated(self.rotate(presented)?.refresh_token.expect("it rotates")))
            }
            Some(Step::Scope(text)) => Ok(self.rotate(presented)?.expires_in(lifetime).scope(scope(text))),
        }
    }
}

/// Every call suspends once, like a real request.
async fn suspend() {
    let mut polled = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl UpstreamProvider for Service {
    fn refresh<'a>(&'a self, tokens: &'a TokenSet) -> BoxFuture<'a, Result<Refreshed, UpstreamError>> {
        Box::pin(async move {
            suspend().await;
            let answer = self.answer(tokens.refresh_token.as_ref().expect("only with one").expose()).await;
            suspend().await;
            answer
        })
    }

    fn revoke<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<Revocation, UpstreamError>> {
        Box::pin(async move {
            suspend().await;
            if let Credential::OAuth(tokens) = credential
                && (0..self.0.lock().unwrap().live_from).any(|old| tokens.access_token.expose() == access_token(old))
            {
                return Ok(Revocation::NeedsRefresh);
            }
            let step = self.0.lock().unwrap().revocations.pop_front();
            match step {
                Some(Step::Fail(error)) => return Err(error()),
                Some(Step::FailLate(gate, error)) => {
                    gate.pass().await;
                    return Err(error());
                }
                Some(Step::HoldRequest(gate)) => gate.pass().await,
                Some(Step::Unsupported) => return Ok(Revocation::Unsupported),
                _ => {}
            }
            let secret = match credential {
                Credential::OAuth(tokens) => tokens.access_token.expose(),
                Credential::Static(secret) => match &secret.secret {
                    Secret::ApiKey(secret) => secret.expose(),
                    Secret::Password { password, .. } => password.expose(),
                    other => panic!("not in these tests: {other:?}"),
                },
                other => panic!("unknown: {other:?}"),
            };
            self.0.lock().unwrap().revoked.push(secret.to_owned());
            Ok(Revocation::Done)
        })
    }

    fn revokes_whole_grants(&self) -> bool {
        self.0.lock().unwrap().whole_grants
    }

    fn introspect<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<CredentialStatus, UpstreamError>> {
        let Credential::OAuth(tokens) = credential else { return Box::pin(async { Ok(CredentialStatus::Unknown) }) };
        let is_current = tokens.access_token.expose() == access_token(self.current());
        if self.0.lock().unwrap().hangs_at_introspection {
            return Box::pin(std::future::pending());
        }
        Box::pin(async move { Ok(if is_current { CredentialStatus::Active } else { CredentialStatus::Inactive }) })
    }
}
