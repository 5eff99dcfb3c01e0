//! What the integration tests share: a clock to turn by hand, an audit that remembers, an issuer made of both.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod flaky;
pub mod forge;
pub mod interleaved;
pub mod pausing;
pub mod port;
pub mod process;
pub mod rng;
pub mod rows;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use mcp_token_lifecycle::{
    AccessClaims, Answer, AuditEvent, AuditSink, AuthorizeRequest, Client, Clock, CodeChallenge, Error, ErrorCode,
    ErrorKind, Expectation, FamilyId, Grant, IntrospectionResponse, KeyId, Keyring, MasterKey, MemoryStore, PolicySet,
    Reason, RedeemRequest, RefreshRequest, Resource, RotationPolicy, RotationPolicyBuilder, Scope, Timestamp,
    TokenIssuer, TokenResponse, TokenStore, VerifyError,
};

#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub use self::flaky::{Fault, FlakyStore, Op};
#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub use self::rng::{Dry, Fill, FillRng, system_random};

pub const START: u64 = 1_800_000_000;
pub const RESOURCE: &str = "https://mcp.example.com/mcp";
pub const REDIRECT: &str = "http://127.0.0.1:7777/callback";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A clock that moves when it is told to.
#[derive(Clone)]
pub struct TestClock(Arc<AtomicU64>);

impl Default for TestClock {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(START)))
    }
}

impl TestClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    pub fn set(&self, to: Timestamp) {
        self.set_unix(to.as_unix());
    }

    pub fn set_unix(&self, to: u64) {
        self.0.store(to, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst))
    }
}

/// An audit that remembers.
#[derive(Clone, Default)]
pub struct TestAudit(Arc<Mutex<Vec<AuditEvent>>>);

impl AuditSink for TestAudit {
    fn record(&self, event: &AuditEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl TestAudit {
    pub fn events(&self) -> Vec<AuditEvent> {
        self.0.lock().unwrap().clone()
    }

    /// What came since the last call.
    pub fn take(&self) -> Vec<AuditEvent> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Randomness under which every access token has its longest life.
pub struct LongestLife;

impl Fill for LongestLife {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Dry> {
        system_random(bytes);
        // The jitter comes after two nonces.
        bytes.iter_mut().skip(48).for_each(|byte| *byte = 0);
        Ok(())
    }
}

pub fn keyring() -> Keyring {
    Keyring::new(KeyId::new(1), MasterKey::from_bytes([7; 32]))
}

/// The keys 1 and 2, of which `primary` is the primary: servers in the middle of a key rotation.
pub fn mid_rotation(primary: u32) -> Keyring {
    let key = |id: u32| (KeyId::new(id), MasterKey::from_bytes([6 + id as u8; 32]));
    let ((primary, first), (retired, second)) = (key(primary), key(3 - primary));
    Keyring::new(primary, first).with_retired(retired, second).unwrap()
}

pub fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

pub fn resource() -> Resource {
    Resource::parse(RESOURCE).unwrap()
}

pub fn client() -> Client {
    Client::public("client-1")
}

pub fn grant() -> Grant {
    grant_of("user-1", "client-1")
}

pub fn grant_of(subject: &str, client_id: &str) -> Grant {
    Grant::new(subject, client_id, scope("mcp:read mcp:write"), resource()).unwrap()
}

/// An issuer with everything that a test wants to turn or look at.
pub struct Bench<S> {
    pub issuer: TokenIssuer<S>,
    pub clock: TestClock,
    pub audit: TestAudit,
}

pub fn bench(policies: impl Into<PolicySet>) -> Bench<MemoryStore> {
    bench_on(MemoryStore::new(), keyring(), policies)
}

pub fn bench_on<S: TokenStore>(store: S, keyring: Keyring, policies: impl Into<PolicySet>) -> Bench<S> {
    let (clock, audit) = (TestClock::default(), TestAudit::default());
    let issuer =
        TokenIssuer::new(store, keyring).with_policies(policies).with_clock(clock.clone()).with_audit(audit.clone());
    Bench { issuer, clock, audit }
}

impl<S: TokenStore> Bench<S> {
    /// Access tokens live as long as they may.
    pub fn without_jitter(self) -> Self {
        Self { issuer: self.issuer.with_rng(FillRng(LongestLife)), ..self }
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A login with a code, redeemed at once.
    pub fn login(&self) -> TokenResponse {
        let code = self.code();
        self.redeem(&code).unwrap()
    }

    pub fn code(&self) -> String {
        let challenge = CodeChallenge::of_verifier(VERIFIER);
        let request = AuthorizeRequest::new(grant(), challenge, REDIRECT);
        block_on(self.issuer.authorize(request)).unwrap().expose().to_owned()
    }

    pub fn redeem(&self, code: &str) -> Result<TokenResponse, ErrorCode> {
        verdict(block_on(self.issuer.redeem(&RedeemRequest::new(&client(), code, REDIRECT, VERIFIER))))
    }

    /// A refresh by the client of the fixture, as a server without faults answers it.
    pub fn refresh(&self, token: &str) -> Result<TokenResponse, ErrorCode> {
        verdict(block_on(self.issuer.refresh(&RefreshRequest::new(&client(), token))))
    }
}

/// The answer of a server without faults.
pub fn verdict(answer: Result<Answer, Error>) -> Result<TokenResponse, ErrorCode> {
    answer.expect("no fault of the server").into_result().map_err(|response| response.error)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Drive a future on this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

impl<S: TokenStore> Bench<S> {
    /// The same deployment on another server: its own issuer, the same clock and audit.
    pub fn twin<T: TokenStore>(&self, store: T, keyring: Keyring, policies: impl Into<PolicySet>) -> Bench<T> {
        let (clock, audit) = (self.clock.clone(), self.audit.clone());
        let issuer = TokenIssuer::new(store, keyring)
            .with_policies(policies)
            .with_clock(clock.clone())
            .with_audit(audit.clone());
        Bench { issuer, clock, audit }
    }

    /// A login without a code.
    pub fn begin(&self, grant: Grant) -> TokenResponse {
        block_on(self.issuer.issue(grant, None)).expect("no fault of the server")
    }

    pub fn ask(&self, request: RefreshRequest<'_>) -> Result<TokenResponse, ErrorCode> {
        verdict(block_on(self.issuer.refresh(&request)))
    }

    /// A refresh on a server that may be at fault.
    pub fn attempt(&self, token: &str) -> Result<Result<TokenResponse, ErrorCode>, ErrorKind> {
        let answer = block_on(self.issuer.refresh(&RefreshRequest::new(&client(), token)));
        answer.map(|answer| answer.into_result().map_err(|response| response.error)).map_err(|error| error.kind())
    }

    /// What a live check says of the access token.
    pub fn live(&self, response: &TokenResponse) -> Result<AccessClaims, VerifyError> {
        let here = resource();
        block_on(self.issuer.verify_live(response.access_token.expose(), &Expectation::resource(&here)))
            .map_err(|error| error.refusal().expect("no fault of the server"))
    }

    pub fn claims(&self, response: &TokenResponse) -> AccessClaims {
        let here = resource();
        let verifier = self.issuer.verifier();
        verifier.verify(response.access_token.expose(), &Expectation::resource(&here), self.clock.now()).unwrap()
    }

    /// The claims of a new family, with a token that outlives every test.
    pub fn lasting_claims(&self, grant: Grant) -> AccessClaims {
        let now = self.clock.now();
        self.clock.advance(Duration::from_secs(100 * 365 * 24 * 60 * 60));
        let claims = self.claims(&self.begin(grant));
        self.clock.set(now);
        claims
    }

    pub fn family(&self, response: &TokenResponse) -> FamilyId {
        self.claims(response).family()
    }

    pub fn introspect(&self, token: &str) -> IntrospectionResponse {
        block_on(self.issuer.introspect(token)).expect("no fault of the server")
    }

    pub fn revoke(&self, client: &Client, token: &str) {
        block_on(self.issuer.revoke(client, token, None)).expect("no fault of the server");
    }

    /// What was reported since the last call, in short.
    pub fn told(&self) -> Vec<(&'static str, Option<Reason>)> {
        self.audit.take().iter().map(|event| (event.action.as_str(), event.reason)).collect()
    }
}

/// A refresh on a server that is not at fault.
pub async fn refresh<S: TokenStore>(issuer: &TokenIssuer<S>, token: &str) -> Result<TokenResponse, ErrorCode> {
    let answer = issuer.refresh(&RefreshRequest::new(&client(), token)).await;
    answer.map(Answer::into_result).expect("no fault of the server").map_err(|refusal| refusal.error)
}

pub fn rt(response: &TokenResponse) -> &str {
    response.refresh_token.expose()
}

pub fn policy(set: impl FnOnce(RotationPolicyBuilder) -> RotationPolicyBuilder) -> RotationPolicy {
    set(RotationPolicy::builder().jitter_percent(0)).build().unwrap()
}

pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// `count` threads that all start at once.
pub fn simultaneously<T: Send>(count: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(count);
    std::thread::scope(|scope| {
        let start = |number| {
            let (act, barrier) = (&act, &barrier);
            scope.spawn(move || {
                barrier.wait();
                act(number)
            })
        };
        let threads: Vec<_> = (0..count).map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    })
}
