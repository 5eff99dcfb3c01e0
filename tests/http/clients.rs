//! How clients authenticate (RFC 6749 §2.3), and where they are kept.

use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::{KeyId, Keyring, MasterKey, MemoryStore, RedbStore, TokenIssuer, TokenStore};

use crate::site::*;
use crate::support::{Fault, TestClock, VERIFIER, block_on, keyring};

/// The token request of the confidential client for a new code.
async fn redeem(site: &Site, authorization: Option<&str>, more: &[(&str, &str)]) -> Answer {
    let code = site.code(&[("client_id", WEB_CLIENT), ("redirect_uri", WEB_CALLBACK)]).await;
    let pairs = [("grant_type", "authorization_code"), ("code", code.as_str()), ("code_verifier", VERIFIER)];
    let pairs = [&pairs[..], more].concat();
    match authorization {
        Some(authorization) => site.post_with("/token", authorization, &pairs).await,
        None => site.post("/token", &pairs).await,
    }
}

/// spec: MCP authorization §Overview a
#[tokio::test]
async fn client_secret_is_accepted_by_basic_and_post() {
    let site = Site::open().await;
    redeem(&site, Some(&basic(WEB_CLIENT, WEB_SECRET)), &[]).await.tokens();
    redeem(&site, Some(&basic(WEB_CLIENT, WEB_SECRET)), &[("client_id", WEB_CLIENT)]).await.tokens();
    let scheme_in_capitals = basic(WEB_CLIENT, WEB_SECRET).replace("Basic", "BASIC");
    redeem(&site, Some(&scheme_in_capitals), &[]).await.tokens();
    redeem(&site, None, &[("client_id", WEB_CLIENT), ("client_secret", WEB_SECRET)]).await.tokens();
}

/// spec: OAuth 2.1 §3.2.1
/// spec: OAuth 2.1 §3.2.4
/// spec: OAuth 2.1 §4.3.1 b
#[tokio::test]
async fn client_secret_wrong_or_missing_is_401_with_challenge() {
    let site = Site::open().await;
    let nearly = &WEB_SECRET[..WEB_SECRET.len() - 1];
    for authorization in [
        basic(WEB_CLIENT, "wrong"),
        basic(WEB_CLIENT, nearly),
        basic(WEB_CLIENT, ""),
        basic("unknown", WEB_SECRET),
        basic("", ""),
        basic(CLIENT, WEB_SECRET),
        raw_basic("without a colon"),
        "Basic".into(),
        "Basic !!!".into(),
        "Basic ////".into(),
        format!("Bearer {WEB_SECRET}"),
        basic(WEB_CLIENT, WEB_SECRET).replace("Basic", "Bearer"),
        String::new(),
    ] {
        let refused = redeem(&site, Some(&authorization), &[]).await;
        assert_eq!(refused.refusal(), (401, "invalid_client".into()), "{authorization}");
        assert_eq!(refused.header("www-authenticate"), "Basic realm=\"token\"");
    }
    for posted in [
        &[("client_id", WEB_CLIENT)][..],
        &[("client_id", WEB_CLIENT), ("client_secret", nearly)],
        &[("client_id", "unknown")],
        &[("client_id", CLIENT), ("client_secret", WEB_SECRET)],
    ] {
        let refused = redeem(&site, None, posted).await;
        assert_eq!(refused.refusal(), (401, "invalid_client".into()), "{posted:?}");
        assert_eq!(refused.header("www-authenticate"), "Basic realm=\"token\"");
    }
}

#[tokio::test]
async fn public_client_with_secret_is_401_unless_empty() {
    let site = Site::open().await;
    let tokens = site.login().await;
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())];
    let refused = site.refresh(&tokens.refresh, &[("client_secret", "anything")]).await;
    assert_eq!(refused.refusal(), (401, "invalid_client".into()));
    let refused = site.post_with("/token", &basic(CLIENT, "anything"), &pairs).await;
    assert_eq!(refused.refusal(), (401, "invalid_client".into()));
    let again = site.post_with("/token", &basic(CLIENT, ""), &pairs).await.tokens();
    site.refresh(&again.refresh, &[("client_secret", "")]).await.tokens();
}

/// spec: OAuth 2.1 §2.4
#[tokio::test]
async fn to_authenticate_in_two_ways_is_refused() {
    let site = Site::open().await;
    let header = basic(WEB_CLIENT, WEB_SECRET);
    for more in [
        &[("client_secret", WEB_SECRET)][..],
        &[("client_id", WEB_CLIENT), ("client_secret", WEB_SECRET)],
        &[("client_id", CLIENT)],
    ] {
        let refused = redeem(&site, Some(&header), more).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".into()), "{more:?}");
    }
    let code = site.code(&[("client_id", WEB_CLIENT), ("redirect_uri", WEB_CALLBACK)]).await;
    let pairs = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
    let request = site.request("POST", "/token").header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("authorization", &header).header("authorization", &header);
    let refused = send(request.body(form(&pairs).into()).unwrap()).await;
    assert_eq!(refused.refusal(), (400, "invalid_request".into()), "two headers");
    site.post_with("/token", &header, &pairs).await.tokens();
}

#[tokio::test]
async fn basic_credentials_are_decoded_as_the_form_that_they_are() {
    let (id, secret) = ("https://client.example/?a=b&c", "p:s%s+w d&=\u{e4}");
    let site = Site::open_with(|server| {
        let metadata = ClientMetadata::new([WEB_CALLBACK]).unwrap();
        let client = RegisteredClient::confidential(id, &ClientSecret::from_text(secret), metadata);
        let resource = ProtectedResource::new("http://localhost/mcp", "notes:read").unwrap();
        let clients = MemoryClients::new().with(client);
        AuthorizationServer::new("http://localhost", server.issuer().clone(), resource, clients, Pages)
            .unwrap()
            .with_tls(TlsPolicy::Loopback)
    })
    .await;
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", "unknown")];
    for authorization in [
        basic(id, secret),
        raw_basic("https%3a%2f%2fclient.example%2F%3Fa%3Db%26c:p%3as%25s%2Bw%20d%26%3D%C3%A4"),
        // Spelled carelessly, and still clear.
        raw_basic("https%3A//client.example/?a=b&c:p:s%25s%2Bw+d&=\u{e4}"),
    ] {
        let refused = site.post_with("/token", &authorization, &pairs).await;
        assert_eq!(refused.refusal(), (400, "invalid_grant".into()), "authenticated: {authorization}");
    }
    let undecoded = site.post_with("/token", &raw_basic(&format!("{id}:{secret}")), &pairs).await;
    assert_eq!(undecoded.refusal(), (401, "invalid_client".into()));
}

fn issuer<S: TokenStore>(store: S, keyring: Keyring, clock: &TestClock) -> Arc<TokenIssuer<S>> {
    Arc::new(TokenIssuer::new(store, keyring).with_clock(clock.clone()))
}

fn find(clients: &impl ClientRegistry, id: &str) -> Option<RegisteredClient> {
    block_on(clients.find(id)).unwrap()
}

#[test]
fn both_registries_find_what_was_registered_and_nothing_else() {
    let clock = TestClock::default();
    let stored = StoredClients::new(issuer(MemoryStore::new(), keyring(), &clock));
    let memory = MemoryClients::new();
    let registries: [&dyn ClientRegistry; 2] = [&stored, &memory];
    for registry in registries {
        assert!(block_on(registry.find(CLIENT)).unwrap().is_none());
        block_on(registry.register(client())).unwrap();
        block_on(registry.register(web_client())).unwrap();
        for known in [client(), web_client()] {
            let found = block_on(registry.find(known.id())).unwrap().unwrap();
            assert_eq!((found.id(), found.metadata()), (known.id(), known.metadata()));
        }
        for unknown in ["", "client-2", "client-1 ", "Client-1"] {
            assert!(block_on(registry.find(unknown)).unwrap().is_none(), "{unknown}");
        }
    }
    let another = RegisteredClient::public(CLIENT, ClientMetadata::new([WEB_CALLBACK]).unwrap());
    for registry in registries {
        assert!(block_on(registry.register(another.clone())).is_err(), "an id is given once");
    }
    assert!(memory.remove(CLIENT) && !memory.remove(CLIENT) && find(&memory, CLIENT).is_none());
}

#[test]
fn stored_clients_find_preregistered_without_storing_them() {
    let clock = TestClock::default();
    let store = Arc::new(MemoryStore::new());
    let stored = StoredClients::new(issuer(Arc::clone(&store), keyring(), &clock)).with(client());
    block_on(stored.register(web_client())).unwrap();
    assert!(find(&stored, CLIENT).is_some() && find(&stored, WEB_CLIENT).is_some());
    let another = StoredClients::new(issuer(store, keyring(), &clock));
    assert!(find(&another, CLIENT).is_none() && find(&another, WEB_CLIENT).is_some());
}

#[test]
fn stored_clients_survive_a_restart_and_a_change_of_keys() {
    let (clock, folder) = (TestClock::default(), tempfile::tempdir().unwrap());
    let open = |keyring| {
        let store = RedbStore::open(folder.path().join("tokens.redb")).unwrap();
        StoredClients::new(issuer(store, keyring, &clock))
    };
    block_on(open(keyring()).register(web_client())).unwrap();
    let (old, new) = ((KeyId::new(1), [7; 32]), (KeyId::new(2), [8; 32]));
    let both = || Keyring::new(new.0, MasterKey::from_bytes(new.1)).with_retired(old.0, MasterKey::from_bytes(old.1));
    assert!(find(&open(both().unwrap()), WEB_CLIENT).is_some());
    {
        let store = RedbStore::open(folder.path().join("tokens.redb")).unwrap();
        assert_eq!(block_on(issuer(store, both().unwrap(), &clock).rekey()).unwrap(), 1);
    }
    let found = find(&open(Keyring::new(new.0, MasterKey::from_bytes(new.1))), WEB_CLIENT).unwrap();
    assert_eq!(found.metadata(), web_client().metadata());
    let without_the_key = open(Keyring::new(old.0, MasterKey::from_bytes(old.1)));
    assert!(block_on(without_the_key.find(WEB_CLIENT)).is_err(), "a key that is missing is no unknown client");
}

#[test]
fn stored_client_is_gone_once_removed_or_expired() {
    let clock = TestClock::default();
    let store = Arc::new(MemoryStore::new());
    let issuer = issuer(Arc::clone(&store), keyring(), &clock);
    let stored = StoredClients::new(Arc::clone(&issuer)).with_unused_lifetime(Duration::from_secs(60));
    block_on(stored.register(client())).unwrap();
    block_on(stored.register(web_client())).unwrap();
    assert!(block_on(stored.remove(CLIENT)).unwrap());
    assert!(!block_on(stored.remove(CLIENT)).unwrap() && !block_on(stored.remove("unknown")).unwrap());
    assert!(find(&stored, CLIENT).is_none() && find(&stored, WEB_CLIENT).is_some());
    clock.advance(Duration::from_secs(59));
    assert!(find(&stored, WEB_CLIENT).is_some());
    clock.advance(Duration::from_secs(1));
    assert!(find(&stored, WEB_CLIENT).is_none());
    assert_eq!(block_on(issuer.purge()).unwrap(), 2);
}

#[test]
fn client_debug_shows_neither_secret_nor_hash() {
    let secret = ClientSecret::from_text(WEB_SECRET);
    let shown = format!("{secret:?} {:?} {:?}", web_client(), MemoryClients::new().with(web_client()));
    assert!(
        shown.contains("ClientSecret(..)") && !shown.contains(WEB_SECRET) && !shown.contains("SecretHash"),
        "{shown}"
    );
}

const DAY: u64 = 24 * 60 * 60;

/// The tokens of a client that registered itself, for a code that a user agreed to.
async fn log_in(site: &Site, client: &str) -> Tokens {
    let code = site.code(&[("client_id", client), ("redirect_uri", WEB_CALLBACK)]).await;
    let pairs = [("grant_type", "authorization_code"), ("client_id", client), ("code", &code)];
    let more = [("code_verifier", VERIFIER), ("redirect_uri", WEB_CALLBACK)];
    site.post("/token", &[&pairs[..], &more].concat()).await.tokens()
}

async fn refresh(site: &Site, client: &str, token: &str) -> Answer {
    site.post("/token", &[("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)]).await
}

#[tokio::test]
async fn stored_client_lives_as_long_as_it_is_used() {
    let site = Site::open().await;
    let client = site.register(WEB_CALLBACK).await;
    for _ in 0..9 {
        // A family ends after 90 days; the last of these begins on day 680.
        let mut tokens = log_in(&site, &client).await;
        for _ in 0..17 {
            site.pass(5 * DAY);
            tokens = refresh(&site, &client, &tokens.refresh).await.tokens();
        }
    }
    site.pass(364 * DAY);
    let tokens = log_in(&site, &client).await;
    site.pass(13 * DAY);
    refresh(&site, &client, &tokens.refresh).await.tokens();
    site.pass(365 * DAY);
    assert_eq!(
        site.authorize(&[("client_id", &client), ("redirect_uri", WEB_CALLBACK)]).await.status,
        400,
        "a year idle"
    );
    assert_eq!(refresh(&site, &client, "any").await.refusal(), (401, "invalid_client".into()));
}

#[tokio::test]
async fn stored_client_that_is_never_used_ends_after_a_day() {
    let site = Site::open().await;
    let metadata = format!(r#"{{"redirect_uris":["{WEB_CALLBACK}"]}}"#);
    for _ in 0..20 {
        assert_eq!(site.post_as("/register", "application/json", &metadata).await.status, 201);
    }
    let client = site.register(WEB_CALLBACK).await;
    site.pass(DAY - 1);
    let asked = site.get(&site.authorize_path(&[("client_id", &client), ("redirect_uri", WEB_CALLBACK)])).await;
    assert_eq!(asked.status, 200, "there is time to log in, and a page alone is no use");
    site.pass(1);
    assert_eq!(site.get(&site.authorize_path(&[("client_id", &client)])).await.status, 400);
    assert_eq!(site.server.issuer().purge().await.unwrap(), 21);
    assert_eq!(site.register(WEB_CALLBACK).await, client, "it may come back");
    log_in(&site, &client).await;
}

#[tokio::test]
async fn stored_client_that_registers_again_has_a_day_from_then() {
    let site = Site::open().await;
    let client = site.register(WEB_CALLBACK).await;
    site.pass(DAY - 60);
    assert_eq!(site.register(WEB_CALLBACK).await, client);
    site.pass(DAY - 60);
    let tokens = log_in(&site, &client).await;
    assert_eq!(site.register(WEB_CALLBACK).await, client, "which shortens nothing");
    site.pass(10 * DAY);
    refresh(&site, &client, &tokens.refresh).await.tokens();
}

#[tokio::test]
async fn stored_client_in_use_is_written_once_a_day_at_most() {
    let site = Site::open().await;
    let client = site.register(WEB_CALLBACK).await;
    let mut tokens = log_in(&site, &client).await;
    for day in 0..3 {
        let before = site.store.journal().len();
        site.store.operations();
        for _ in 0..24 {
            site.pass(DAY / 24);
            tokens = refresh(&site, &client, &tokens.refresh).await.tokens();
        }
        let (written, operations) = (site.store.journal().len() - before, site.store.operations());
        assert!(written <= 24 + 1, "day {day}: {written} records for 24 rotations");
        // A request reads its client and its family, and the client once more before it is written.
        assert!(operations.len() <= 24 * 3 + 2, "{}", operations.len());
    }
}

#[tokio::test]
async fn stored_client_whose_use_cannot_be_noted_gets_its_tokens() {
    let site = Site::open().await;
    let client = site.register(WEB_CALLBACK).await;
    let tokens = log_in(&site, &client).await;
    site.pass(2 * DAY);
    // It reads the client and the family, and writes the family.
    site.store.fail_after(3, Fault::Unavailable);
    let tokens = refresh(&site, &client, &tokens.refresh).await.tokens();
    assert_eq!(site.faults(), 1);
    site.store.fail_after(4, Fault::Unavailable);
    let tokens = refresh(&site, &client, &tokens.refresh).await.tokens();
    assert_eq!(site.faults(), 1, "and noted the next time");
    refresh(&site, &client, &tokens.refresh).await.tokens();
    assert_eq!(site.faults(), 0);
}

#[test]
fn stored_client_removed_during_its_use_stays_removed() {
    let clock = TestClock::default();
    let store = Arc::new(crate::support::FlakyStore::new(MemoryStore::new()));
    let issuer = issuer(Arc::clone(&store), keyring(), &clock);
    let stored = Arc::new(StoredClients::new(issuer));
    block_on(stored.register(client())).unwrap();
    let found = find(&*stored, CLIENT).unwrap();
    let remove = Arc::clone(&stored);
    store.before_next_commit(move || assert!(block_on(remove.remove(CLIENT)).unwrap()));
    block_on(stored.used(&found)).unwrap();
    assert!(find(&*stored, CLIENT).is_none());
}

#[test]
fn memory_clients_forget_the_oldest_that_were_never_used() {
    let memory = MemoryClients::new().with(web_client());
    let one = |n: usize| RegisteredClient::public(format!("c-{n}"), ClientMetadata::new([CALLBACK]).unwrap());
    block_on(memory.register(one(0))).unwrap();
    block_on(memory.used(&find(&memory, "c-0").unwrap())).unwrap();
    for n in 1..5000 {
        block_on(memory.register(one(n))).unwrap();
        block_on(memory.register(one(n))).unwrap();
    }
    let left = (0..5000).filter(|n| find(&memory, &format!("c-{n}")).is_some()).collect::<Vec<_>>();
    assert_eq!(left, [&[0][..], &(5000 - 1024..5000).collect::<Vec<_>>()].concat());
    assert!(find(&memory, WEB_CLIENT).is_some());
}
