//! Everything that is written for people: the audit, `Debug`, errors.

use std::sync::Arc;

use mcp_token_lifecycle::decision::{self, Context, Redemption, RequestContext};
use mcp_token_lifecycle::{
    AccessKeys, AccessVerifier, AuditSink, AuthorizeRequest, Binding, Clock, CodeChallenge, Expectation, Grant,
    IssuerId, KeyId, Keyring, MasterKey, MemoryStore, NoAudit, Outages, PolicySet, Presented, Resource, Scope, Select,
    TokenStore,
};

use crate::search::{find_in_texts, master_key};
use crate::story::{Story, keyring, words};
use crate::support::*;

fn assert_tells_no_secret(story: &Story<MemoryStore>, texts: &[String]) {
    assert_eq!(find_in_texts(texts, &story.tokens, &story.secrets()), None);
}

fn tell(audit: impl AuditSink + 'static) -> Story<MemoryStore> {
    Story::tell(Arc::new(MemoryStore::new()), audit)
}

#[test]
fn errors_show_no_token_key_or_subject() {
    let mut story = tell(NoAudit);
    story.rekey();
    configuration_errors(&mut story);
    assert!(story.errors.len() > 40);
    assert_tells_no_secret(&story, &story.errors);
    for word in words() {
        assert_eq!(story.errors.iter().find(|text| text.contains(word)), None);
    }
}

/// Errors of parsers that were given something secret.
fn configuration_errors(story: &mut Story<MemoryStore>) {
    let key = MasterKey::from_bytes(master_key(1)).to_base64();
    for text in [format!("1:{}!", *key), key.to_string(), format!("1:{}", &key[..30]), format!("1:{0},1:{0}", *key)] {
        story.fail(Keyring::parse(&text).unwrap_err());
        story.fail(AccessKeys::parse(&text).unwrap_err());
    }
    story.fail(Keyring::parse(&format!("1:{0},2:{0}", *key)).unwrap_err());
    story.fail(MasterKey::from_slice(&master_key(1)[..31]).unwrap_err());
    let token = story.tokens[0].clone();
    story.fail(Keyring::from_file(&token).unwrap_err());
    story.fail(Scope::parse(&format!("mcp:read \"{token}\"")).unwrap_err());
    story.fail(Resource::parse(&token).unwrap_err());
    story.fail(Grant::new("user-1\n", "client-1", scope("mcp:read"), resource()).unwrap_err());
    story.fail(grant().with_claim("sub", "user-1").unwrap_err());
    story.fail(CodeChallenge::parse(VERIFIER, "plain").unwrap_err());
    story.fail(CodeChallenge::parse(&token, "S256").unwrap_err());
}

#[test]
fn debug_shows_no_token_or_key() {
    let mut story = tell(NoAudit);
    let login = story.login();
    let code = story.bench.code();
    story.tokens.push(code.clone());
    let (keys, client, here) = (keyring(1), client(), resource());

    story.show(&keys);
    story.show(&MasterKey::from_bytes(master_key(1)));
    story.show(&keys.access_keys());
    story.show(&AccessVerifier::from(&keys));
    let issuer = format!("{:?}", story.bench.issuer.verifier());
    story.texts.push(issuer);
    let plain = story.bench.twin(MemoryStore::new(), keyring(1), PolicySet::default());
    story.show(&plain.issuer);

    let binding = Binding::Certificate([7; 32]);
    let challenge = CodeChallenge::of_verifier(VERIFIER);
    story.show(&challenge);
    story.show(&AuthorizeRequest::new(grant(), challenge, REDIRECT).binding(binding));
    story.show(&story.bench.claims(&login));
    story.show(&story.bench.introspect(login.access_token.expose()));
    story.show(&Expectation::resource(&here).binding(&binding));

    // What the pure functions take and give.
    let policies = PolicySet::default();
    let cx = Context {
        policies: &policies,
        key_id: KeyId::new(1),
        issuer: IssuerId::default(),
        now: story.bench.clock.now(),
        outages: Outages::default(),
        unanswered: None,
    };
    let ask = RequestContext { client: &client, binding: Some(&binding), scope: None, resources: Vec::new() };
    let families = block_on(story.bench.issuer.list_families("user-1")).unwrap();
    let presented = Presented::refresh_token(rt(&login), &keys).unwrap();
    let family = families.iter().find(|family| family.id() == presented.family()).unwrap();
    let genuine = presented.authenticate(family, &keys).unwrap();
    story.show(&(&cx, &ask, &presented, &genuine, family));
    story.show(&decision::refresh(family, &genuine, &ask, &cx));
    story.show(&decision::revoke_by_token(family, &client, None, &cx));
    story.show(&decision::issue(family, &cx));
    let proof = Redemption { code_verifier: VERIFIER, redirect_uri: Some(REDIRECT) };
    story.show(&proof);
    story.show(&decision::redeem(family, &genuine, &proof, &ask, &cx));

    // What a store is given.
    story.texts.extend(story.bench.issuer.store().journal().iter().map(|record| format!("{record:?}")));
    story.show(&block_on(story.store.list(Select::All, None, 3)).unwrap());
    story.show(&story.store.clone());

    println!("{} texts, {} tokens", story.texts.len(), story.tokens.len());
    assert!(story.texts.iter().any(|text| text.contains(&family.id().to_string())), "they do tell what is no secret");
    assert_tells_no_secret(&story, &story.texts);
    for word in [VERIFIER, REDIRECT] {
        assert!(!story.texts.iter().any(|text| text.contains(word) && !text.starts_with("AuthorizeRequest")));
    }
}

#[test]
fn audit_events_show_no_token_or_key() {
    let mut story = tell(NoAudit);
    story.rekey();
    let events = story.bench.audit.events();
    let texts: Vec<_> = events.iter().map(|event| format!("{event:?}")).collect();
    assert!(texts.len() > 60 && texts.iter().any(|text| text.contains("user-1") && text.contains("client-1")));
    assert_tells_no_secret(&story, &texts);
    for word in words() {
        assert!(["user-1", "client-1"].contains(&word) || !texts.iter().any(|text| text.contains(word)), "{word}");
    }
}

#[cfg(feature = "tracing")]
#[test]
fn tracing_events_show_no_token_or_subject() {
    let lines = Lines::default();
    let story = tracing::subscriber::with_default(lines.clone(), || {
        let mut story = tell(mcp_token_lifecycle::TracingAudit);
        story.rekey();
        story
    });
    let lines = lines.0.lock().unwrap();
    assert!(lines.len() > 60 && lines.iter().any(|line| line.contains("reuse") && line.contains("client-1")));
    assert_tells_no_secret(&story, &lines);
    for word in words() {
        assert!(word == "client-1" || !lines.iter().any(|line| line.contains(word)), "{word}");
    }
}

/// A subscriber that writes each event on a line.
#[cfg(feature = "tracing")]
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<String>>>);

#[cfg(feature = "tracing")]
impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = format!("{} {}", event.metadata().level(), event.metadata().target());
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            line.push_str(&format!(" {field}={value:?}"));
        });
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
