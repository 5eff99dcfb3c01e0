//! A vault whose service answers as the test says and remembers what it was sent, and two users with browsers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use mcp_token_lifecycle::vault::*;
use mcp_token_lifecycle::{AccessClaims, MemoryStore, RotationPolicy};

use crate::sim::Sim;
use crate::support::{Bench, FlakyStore, TestAudit, bench, grant_of, keyring, scope};

pub const SERVICE: &str = "git";
pub const OTHER: &str = "chat";
pub const REDIRECT: &str = "https://mcp.example.com/callback/git";
pub const CODE: &str = "the-code-of-the-service";
pub const ACCESS: &str = "the-access-token-1";
pub const REFRESH: &str = "the-refresh-token-1";
pub const TOKENS: &str = r#"{"access_token":"the-access-token-1","refresh_token":"the-refresh-token-1","token_type":"bearer",
    "expires_in":1000,"scope":"read write"}"#;

/// One answer of the service.
pub enum Reply {
    Json(u16, &'static str),
    Lost,
    Never,
}

/// The service: its answers to come, and the requests so far.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<(VecDeque<Reply>, Vec<Form>)>>);

/// A request: its path, and its form.
pub type Form = (String, BTreeMap<String, String>);

impl Script {
    pub fn will(&self, reply: Reply) {
        self.0.lock().unwrap().0.push_back(reply);
    }

    /// What the service was sent since the last call.
    pub fn sent(&self) -> Vec<Form> {
        std::mem::take(&mut self.0.lock().unwrap().1)
    }

    fn send(
        &self,
        request: Request<Vec<u8>>,
    ) -> impl Future<Output = Result<Response<Vec<u8>>, UpstreamError>> + Send + use<> {
        let form = form_urlencoded::parse(request.body()).into_owned().collect();
        let mut state = self.0.lock().unwrap();
        state.1.push((request.uri().path().to_owned(), form));
        let reply = state.0.pop_front().expect("one request too many");
        async move {
            match reply {
                Reply::Json(status, body) => {
                    let mut answer = Response::new(body.as_bytes().to_vec());
                    *answer.status_mut() = status.try_into().unwrap();
                    Ok(answer)
                }
                Reply::Lost => Err(UpstreamError::uncertain("the connection broke")),
                Reply::Never => std::future::pending().await,
            }
        }
    }
}

pub type Vault = CredentialVault<Arc<FlakyStore<MemoryStore>>>;

pub struct World {
    pub sim: Sim,
    pub store: Arc<FlakyStore<MemoryStore>>,
    pub script: Script,
    pub audit: TestAudit,
    pub vault: Vault,
}

pub fn endpoint(path: &str) -> Endpoint {
    Endpoint::parse(&format!("https://as.example{path}")).unwrap()
}

pub fn service() -> Service {
    Service::new("my-client", ClientAuthentication::Body(SecretText::new("client-secret")), endpoint("/token"))
        .authorized_at(endpoint("/authorize"))
        .revoked_at(endpoint("/revoke"))
}

pub fn world() -> World {
    world_with(service())
}

/// The vault with `service`, and another one that can be connected too.
pub fn world_with(service: Service) -> World {
    let (sim, audit, script) = (Sim::default(), TestAudit::default(), Script::default());
    let store = Arc::new(FlakyStore::new(MemoryStore::new()));
    let vault = vault_on(&sim, &store, &audit, &script, service);
    World { sim, store, script, audit, vault }
}

fn vault_on(
    sim: &Sim,
    store: &Arc<FlakyStore<MemoryStore>>,
    audit: &TestAudit,
    script: &Script,
    service: Service,
) -> Vault {
    let other = Service::new("other-client", ClientAuthentication::None, endpoint("/other/token"));
    let sender = |script: &Script| {
        let script = script.clone();
        move |request| script.send(request)
    };
    CredentialVault::new(store.clone(), keyring(), sim.runtime())
        .with_provider(SERVICE, OAuthProvider::new(service, sender(script)))
        .with_provider(OTHER, OAuthProvider::new(other.authorized_at(endpoint("/other")), sender(script)))
        .with_policy(RefreshPolicy::builder().jitter_percent(0).clock_skew(Duration::ZERO).build().unwrap())
        .with_clock(sim.clone())
        .with_audit(audit.clone())
}

pub fn alice() -> BrowserUser {
    BrowserUser::new("alice", "the-session-cookie-of-alice")
}

pub fn bob() -> BrowserUser {
    BrowserUser::new("bob", "the-session-cookie-of-bob")
}

pub fn request(user: &BrowserUser) -> ConnectRequest<'_> {
    ConnectRequest::new(user, SERVICE, scope("read write"), REDIRECT)
}

/// The parameters of the URL that the browser is sent to.
pub fn parameters(url: &AuthorizeUrl) -> BTreeMap<String, String> {
    let (_, query) = url.expose().split_once('?').unwrap();
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

impl World {
    /// Another process on the same store.
    pub fn twin(&self) -> Vault {
        vault_on(&self.sim, &self.store, &self.audit, &self.script, service())
    }

    /// The vault on a store with other content.
    pub fn on(&self, store: MemoryStore) -> Vault {
        let store = Arc::new(FlakyStore::new(store));
        vault_on(&self.sim, &store, &self.audit, &self.script, service())
    }

    /// The state of an authorization that alice begins.
    pub fn begin(&self) -> String {
        let (user, url);
        user = alice();
        url = self.sim.run(self.vault.begin_connect(&request(&user))).unwrap();
        self.audit.take();
        parameters(&url)["state"].clone()
    }

    /// Alice's browser comes back with this query.
    pub fn complete(&self, query: &str) -> Result<ConnectOutcome, ConnectError> {
        self.complete_as(&alice(), query)
    }

    pub fn complete_as(&self, user: &BrowserUser, query: &str) -> Result<ConnectOutcome, ConnectError> {
        self.sim.run(self.vault.complete_connect(&Callback::new(user, REDIRECT, query)))
    }

    /// What alice is leased for this service.
    pub fn lease(&self, request: &LeaseRequest) -> Result<String, LeaseError> {
        let lease = self.sim.run(self.vault.lease(&claims("alice"), request))?;
        Ok(lease.secret().expose().to_owned())
    }

    /// What was reported since the last call, in short.
    pub fn told(&self) -> Vec<(&'static str, Option<&'static str>)> {
        let short = |event: &mcp_token_lifecycle::AuditEvent| {
            (event.action.as_str(), event.reason.as_ref().map(|reason| reason.as_str()))
        };
        self.audit.take().iter().map(short).collect()
    }
}

pub fn good(state: &str) -> String {
    format!("code={CODE}&state={state}")
}

pub fn need() -> LeaseRequest {
    LeaseRequest::new(SERVICE, scope("read write"))
}

pub fn claims(subject: &str) -> AccessClaims {
    let issuer: Bench<MemoryStore> = bench(RotationPolicy::standard());
    issuer.lasting_claims(grant_of(subject, "client-1"))
}
