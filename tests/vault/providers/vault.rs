//! The vault with the ready provider, over real HTTP, at a service that rotates refresh tokens and fails in every way.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use mcp_token_lifecycle::vault::*;
use mcp_token_lifecycle::{AccessClaims, Clock, MemoryStore, RotationPolicy};
use tokio::net::TcpListener;

use super::over_http::hasty_provider;
use super::shape::plain;
use super::support::{Bench, TestAudit, TestClock, bench, grant, keyring, scope};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Refused for two minutes, and nothing has changed.
    Busy,
    /// 500, and nothing has changed.
    Broken,
    /// Rotated, and then no answer.
    Silent,
    /// Rotated, and half an answer.
    Truncated,
    /// Rotated, and a token of another type.
    OtherType,
    /// Rotated, and this member in the place of `token_type`.
    OddMember(&'static str),
    /// The access token `odd` with this lifetime, and a refresh token that is `null`.
    Odd(&'static str),
}

/// A service whose tokens are `a0`, `a1` and so on, and `r0`, `r1` and so on.
#[derive(Clone, Default)]
struct Rotating(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    generation: u64,
    /// Whether the refresh token before the last one gets the same successor again.
    leeway: bool,
    faults: VecDeque<Fault>,
    asked: usize,
}

impl Rotating {
    fn answer(&self, body: &Bytes) -> Option<Response> {
        let mut inner = self.0.lock().unwrap();
        inner.asked += 1;
        let fault = inner.faults.pop_front();
        match fault {
            Some(Fault::Busy) => {
                return Some((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "120")]).into_response());
            }
            Some(Fault::Broken) => return Some(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
            Some(Fault::Odd(lifetime)) => {
                let odd = r#"{"access_token":"odd","token_type":"Bearer","refresh_token":null,"expires_in":"#;
                return Some(format!("{odd}{lifetime}}}").into_response());
            }
            _ => {}
        }
        let token = form_urlencoded::parse(body).find(|(name, _)| name == "refresh_token").unwrap().1;
        let presented: u64 = token.strip_prefix('r').unwrap().parse().unwrap();
        if presented == inner.generation {
            inner.generation += 1;
        } else if !inner.leeway || presented + 1 != inner.generation {
            return Some((StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#).into_response());
        }
        let number = inner.generation;
        let member = match fault {
            Some(Fault::OtherType) => r#""token_type":"DPoP""#,
            Some(Fault::OddMember(member)) => member,
            _ => r#""token_type":"Bearer""#,
        };
        let tokens = format!(
            r#"{{"access_token":"a{number}",{member},"expires_in":1000,"scope":null,"refresh_token":"r{number}"}}"#
        );
        match fault {
            Some(Fault::Silent) => None,
            Some(Fault::Truncated) => Some(tokens[..tokens.len() / 2].to_owned().into_response()),
            _ => Some(tokens.into_response()),
        }
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().asked
    }
}

struct World {
    service: Rotating,
    clock: TestClock,
    audit: TestAudit,
    vault: CredentialVault<MemoryStore>,
    user: AccessClaims,
}

async fn world(leeway: bool, faults: &[Fault]) -> World {
    // Long enough for a request to arrive where no answer comes, and less than a caller waits for it.
    let timeout = Duration::from_secs(if faults.contains(&Fault::Silent) { 5 } else { 60 });
    let faults = faults.iter().copied().collect();
    let service = Rotating(Arc::new(Mutex::new(Inner { leeway, faults, ..Inner::default() })));
    let site = service.clone();
    let app = Router::new().fallback(move |body: Bytes| async move {
        match site.answer(&body) {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let issuer: Bench<MemoryStore> = bench(RotationPolicy::standard());
    let user = issuer.lasting_claims(grant());
    let runtime = Runtime::new(tokio::time::sleep, |task| drop(tokio::spawn(task)));
    let vault = CredentialVault::new(MemoryStore::new(), keyring(), runtime)
        .with_provider("service", hasty_provider(plain(), &url, timeout))
        .with_policy(RefreshPolicy::builder().jitter_percent(0).patience(Duration::from_secs(60)).build().unwrap())
        .with_clock(issuer.clock.clone())
        .with_audit(issuer.audit.clone());
    let world = World { service, clock: issuer.clock.clone(), audit: issuer.audit.clone(), vault, user };
    let tokens = TokenSet::new(SecretText::new("a0"), scope("read")).refresh_token(SecretText::new("r0"));
    let tokens = tokens.expires_at(world.clock.now().saturating_add(Duration::from_secs(1_000)));
    world.vault.put(&Account::new("user-1", "service"), Credential::OAuth(tokens), BoundTo::subject()).await.unwrap();
    world.audit.take();
    world
}

impl World {
    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn lease(&self) -> Result<String, LeaseError> {
        let lease = self.vault.lease(&self.user, &LeaseRequest::new("service", scope("read"))).await?;
        Ok(lease.secret().expose().to_owned())
    }

    /// A lease, what it sets off, and a second lease: a good token is leased at once, and refreshed in the background.
    async fn renewed(&self) -> Result<String, LeaseError> {
        let _ = self.lease().await;
        self.vault.drain().await;
        self.lease().await
    }

    fn told(&self) -> Vec<(&'static str, Option<&'static str>)> {
        let events = self.audit.take();
        events.iter().map(|event| (event.action.as_str(), event.reason.map(|reason| reason.as_str()))).collect()
    }
}

const FAILURES: [(Fault, &str); 4] = [
    (Fault::Busy, "upstream_unavailable"),
    (Fault::Broken, "upstream_uncertain"),
    (Fault::Silent, "upstream_uncertain"),
    (Fault::Truncated, "upstream_uncertain"),
];

#[tokio::test]
async fn refresh_ahead_that_fails_is_repeated_unseen() {
    for (fault, reason) in FAILURES {
        let world = world(true, &[fault]).await;
        world.pass(800);
        assert_eq!(world.renewed().await.unwrap(), "a0", "{fault:?}");
        assert_eq!(world.told(), [("upstream_refresh_failed", Some(reason))], "{fault:?}");
        assert_eq!(world.service.asked(), 1, "{fault:?}: the service is left alone");
        world.pass(120);
        assert_eq!(world.renewed().await.unwrap(), "a1", "{fault:?}");
        assert_eq!(world.told(), [("upstream_refresh", None)], "{fault:?}");
        world.pass(1_000);
        assert_eq!(world.lease().await.unwrap(), "a2", "{fault:?}: the new refresh token was kept");
    }
}

#[tokio::test]
async fn a_failure_past_expiry_is_a_503_and_made_good() {
    for (fault, reason) in FAILURES {
        let world = world(true, &[fault]).await;
        world.pass(1_000);
        let refused = world.lease().await.unwrap_err();
        assert_eq!((refused.status(), refused.authorize_at()), (503, None), "{fault:?}");
        let LeaseError::Unavailable { retry_after, .. } = refused else { panic!("{fault:?}: {refused}") };
        assert_eq!(retry_after.as_secs(), if fault == Fault::Busy { 120 } else { 1 }, "{fault:?}");
        assert!(world.told().contains(&("upstream_refresh_failed", Some(reason))), "{fault:?}");
        world.pass(retry_after.as_secs());
        assert_eq!(world.lease().await.unwrap(), "a1", "{fault:?}");
        assert_eq!(world.service.asked(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn where_a_service_has_no_leeway_a_lost_answer_costs_an_authorization_and_the_audit_says_why() {
    for fault in [Fault::Silent, Fault::Truncated] {
        let world = world(false, &[fault]).await;
        world.pass(800);
        assert_eq!(world.renewed().await.unwrap(), "a0", "{fault:?}");
        world.pass(200);
        world.told();
        let refused = world.lease().await.unwrap_err();
        assert_eq!((refused.status(), refused.authorize_at()), (403, Some("service")), "{fault:?}");
        assert!(world.told().contains(&("upstream_needs_authorization", Some("upstream_answer_lost"))), "{fault:?}");
        assert_eq!(world.vault.list("user-1").await.unwrap().len(), 1, "{fault:?}: nothing was deleted");
    }
}

#[tokio::test]
async fn null_members_and_absurd_lifetimes_leave_the_refresh_token_and_a_token_to_use() {
    // The lifetime, and after how many seconds the service is asked again: 80 percent of the lifetime before, of the
    // shortest that is believed, and of the longest.
    for (lifetime, good_for) in [("null", 800), ("-1", 8), ("0", 8), ("1e300", 8 * 365 * 86_400)] {
        let world = world(false, &[Fault::Odd(lifetime)]).await;
        world.pass(1_000);
        assert_eq!(world.lease().await.unwrap(), "odd", "{lifetime}");
        world.pass(good_for - 1);
        assert_eq!(world.lease().await.unwrap(), "odd", "{lifetime}");
        assert_eq!(world.service.asked(), 1, "{lifetime}");
        world.pass(1);
        assert_eq!(world.renewed().await.unwrap(), "a1", "{lifetime}: with the refresh token from before");
    }
}

/// At a service without a leeway, where the old refresh token is dead.
#[tokio::test]
async fn an_odd_answer_does_not_cost_the_new_refresh_token() {
    let odd = [
        r#""token":1"#,
        r#""token_type":null"#,
        r#""expires_in":1e999"#,
        r#""scope":{"read":true}"#,
        r#""error":{}"#,
        r#""id_token":"\ud800""#,
    ];
    for member in odd {
        let world = world(false, &[Fault::OddMember(member)]).await;
        world.pass(1_000);
        assert_eq!(world.lease().await.unwrap(), "a1", "{member}");
        world.pass(1_000);
        assert_eq!(world.lease().await.unwrap(), "a2", "{member}: with the refresh token from the odd answer");
        assert_eq!(world.service.asked(), 2, "{member}");
    }
}

#[tokio::test]
async fn a_token_of_another_type_is_never_leased_and_costs_no_refresh_token() {
    let world = world(false, &[Fault::OtherType]).await;
    world.pass(1_000);
    let refused = world.lease().await.unwrap_err();
    assert_eq!((refused.status(), refused.authorize_at()), (503, None));
    assert!(world.told().contains(&("upstream_refresh_failed", Some("upstream_unusable_token"))));
    world.pass(1);
    assert_eq!(world.lease().await.unwrap(), "a2");
}
