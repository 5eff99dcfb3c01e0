//! Both side by side: each operation is done twice, and what comes of it is compared.

use crate::support::{Dry, Fill, FillRng};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mcp_token_lifecycle::{
    AuthorizeRequest, Binding, Client, CodeChallenge, ErrorCode, Expectation, FamilyId, Grant, IntrospectionResponse,
    KeyId, Keyring, MasterKey, RedeemRequest, RefreshRequest, Resource, TokenIssuer, TokenResponse, TokenStore,
    VerifyError,
};
use proptest::sample::Index;

use crate::glass::Glass;
use crate::naive::{AUDIENCE, Family, Granted, Naive, Request, SCOPE};
use crate::operations::{Login, Operation, Pick, Proof, Proven, RequestContext, Span, SpanOf, USERS};
use crate::rules::{LEAST, Rules};
use crate::support::{REDIRECT, TestClock, VERIFIER, block_on, scope, seconds, verdict};

pub struct World<S, F> {
    rules: Rules,
    naive: Naive,
    clock: TestClock,
    entropy: Counting,
    /// Opens the store, the same each time.
    open: F,
    /// Away for a moment at a restart.
    issuer: Option<TokenIssuer<S>>,
}

/// Never the same twice, and the same in every run.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicU64>);

impl Fill for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Dry> {
        bytes.fill(0);
        bytes[..8].copy_from_slice(&self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        Ok(())
    }
}

fn keyring(primary: u32) -> Keyring {
    let key = |id: u32| MasterKey::from_bytes([id as u8; 32]);
    let retired = (1..primary).rev();
    retired.fold(Keyring::new(KeyId::new(primary), key(primary)), |keyring, id| {
        keyring.with_retired(KeyId::new(id), key(id)).unwrap()
    })
}

fn grant(login: &Login) -> Grant {
    let [here, elsewhere] = AUDIENCE.map(|uri| Resource::parse(uri).unwrap());
    Grant::new(login.user, login.app, scope(&SCOPE.join(" ")), here).unwrap().with_resource(elsewhere).unwrap()
}

/// One out of those there are.
fn pick<T>(index: Index, mut of: impl Iterator<Item = T> + Clone) -> Option<T> {
    let count = of.clone().count();
    (count > 0).then(|| of.nth(index.index(count)).unwrap())
}

impl<S: TokenStore, F: Fn() -> S> World<S, F> {
    pub fn new(rules: Rules, open: F) -> Self {
        let (naive, clock, entropy) = (Naive::new(rules), TestClock::default(), Counting::default());
        let mut world = Self { rules, naive, clock, entropy, open, issuer: None };
        world.start();
        world
    }

    fn start(&mut self) {
        // One at a time has a file open.
        self.issuer = None;
        self.naive.server += 1;
        self.issuer = Some(self.issuer_on((self.open)()));
    }

    fn issuer_on<T: TokenStore>(&self, store: T) -> TokenIssuer<T> {
        TokenIssuer::new(store, keyring(self.naive.primary_key))
            .with_policies(self.rules.policies())
            .with_clock(self.clock.clone())
            .with_rng(FillRng(self.entropy.clone()))
    }

    fn issuer(&self) -> &TokenIssuer<S> {
        self.issuer.as_ref().unwrap()
    }

    pub fn run(mut self, operations: &[Operation]) {
        for operation in operations {
            self.carry_out(operation);
            self.compare();
        }
    }

    fn carry_out(&mut self, operation: &Operation) {
        match operation {
            Operation::Authorize(login) => self.authorize(login),
            Operation::Issue(login) => {
                let granted = self.naive.issue(login.user, login.app, login.binding);
                let response = block_on(self.issuer().issue(grant(login), login.binding)).unwrap();
                self.remember(granted, &response);
            }
            Operation::Exchange(token, proof, ask) => self.exchange(*token, *proof, ask),
            Operation::Revoke(token, ask) => {
                if let Some(text) = self.pick(*token) {
                    self.revoke(&text, self.naive.tokens[&text].family, ask);
                }
            }
            Operation::RevokeByAccessToken(index, ask) => {
                if let Some(text) = pick(*index, self.naive.access.keys()).cloned() {
                    self.revoke(&text, self.naive.access[&text].family, ask);
                }
            }
            Operation::RevokeFamily(index, user) => self.revoke_family(*index, user),
            Operation::RevokeSubject(user) => {
                let count = block_on(self.issuer().revoke_subject(user)).unwrap();
                self.revoke_all(count, |family| family.user == *user);
            }
            Operation::RevokeClient(app) => {
                let count = block_on(self.issuer().revoke_client(app)).unwrap();
                self.revoke_all(count, |family| family.app == *app);
            }
            Operation::Check(index) => {
                if let Some(text) = pick(*index, self.naive.access.keys()).cloned() {
                    assert_eq!(self.verify_live(self.issuer(), &text), self.naive.verify_live(&text));
                    self.naive.see(&text);
                }
            }
            Operation::Introspect(index) => {
                if let Some(text) = pick(*index, self.naive.access.keys()).cloned() {
                    let answer = block_on(self.issuer().introspect(&text)).unwrap();
                    assert_eq!(answer.is_active(), self.naive.verify_live(&text).is_ok());
                    self.naive.see(&text);
                }
            }
            Operation::Pass(span) => self.pass(*span),
            Operation::Purge => drop(block_on(self.issuer().purge()).unwrap()),
            Operation::Restart => self.start(),
            Operation::RotateKey => {
                self.naive.primary_key += 1;
                self.start();
            }
            Operation::Rekey => drop(block_on(self.issuer().rekey()).unwrap()),
        }
    }

    fn authorize(&mut self, login: &Login) {
        let request = AuthorizeRequest::new(grant(login), CodeChallenge::of_verifier(VERIFIER), REDIRECT);
        let request = if let Some(binding) = login.binding { request.binding(binding) } else { request };
        let code = block_on(self.issuer().authorize(request)).unwrap();
        self.naive.authorize(login.user, login.app, login.binding, code.expose());
    }

    fn pick(&self, token: Pick) -> Option<String> {
        let tokens = &self.naive.tokens;
        let alive = tokens.iter().filter(|(_, token)| !self.naive.families[token.family].revoked);
        let current = alive.clone().filter(|(_, token)| token.spent.is_none());
        let previous = alive
            .filter(|(_, token)| token.spent.as_ref().is_some_and(|spent| tokens[&spent.successor].spent.is_none()));
        let (text, _) = match token {
            Pick::Current(index) => pick(index, current),
            Pick::Previous(index) => pick(index, previous).or_else(|| pick(index, tokens.iter())),
            Pick::Any(index) => pick(index, tokens.iter()),
        }?;
        Some(text.clone())
    }

    /// Who asks, and with what, about a token of `family`.
    fn resolve(&self, family: usize, ask: &RequestContext) -> (Client, Option<Binding>) {
        let family = &self.naive.families[family];
        let id = if ask.right_client { family.app } else { "client-3" };
        let client = if ask.confidential { Client::confidential(id) } else { Client::public(id) };
        let binding = match ask.binding {
            Proven::Same => family.binding,
            Proven::Nothing => None,
            Proven::Other => Some(Binding::DpopKey([9; 32])),
        };
        (client, binding)
    }

    fn exchange(&mut self, token: Pick, proof: Proof, ask: &RequestContext) {
        let Some(text) = self.pick(token) else { return };
        let token = &self.naive.tokens[&text];
        let proof = Some(proof).filter(|_| token.is_code == ask.right_type);
        let (client, binding) = self.resolve(token.family, ask);
        let expected = self.naive.present(
            &text,
            &Request {
                is_code: proof.is_some(),
                app: client.id(),
                confidential: ask.confidential,
                binding,
                proves: !matches!(proof, Some(Proof::WrongRedirect | Proof::WrongVerifier)),
                scope: ask.scope,
                resource: ask.resource,
            },
        );
        let answer = self.ask(&text, proof, &client, binding, ask);
        match (expected, answer) {
            (Ok(granted), Ok(response)) => self.remember(granted, &response),
            (Err(expected), Err(code)) => assert_eq!(code, expected),
            (expected, answer) => panic!("expected {expected:?}, answered {answer:?}"),
        }
    }

    fn remember(&mut self, granted: Granted, response: &TokenResponse) {
        let family = granted.family;
        self.naive.remember(granted, response);
        let IntrospectionResponse::Access(claims) =
            block_on(self.issuer_on(Glass(self.issuer().store())).introspect(response.access_token.expose())).unwrap()
        else {
            panic!("a new access token is live")
        };
        let id = *self.naive.families[family].id.get_or_insert(claims.family());
        assert_eq!(claims.family(), id);
    }

    /// With a proof for `authorization_code`, without for `refresh_token`.
    fn ask(
        &self,
        text: &str,
        proof: Option<Proof>,
        client: &Client,
        binding: Option<Binding>,
        ask: &RequestContext,
    ) -> Result<TokenResponse, ErrorCode> {
        let Some(proof) = proof else {
            let request = RefreshRequest::new(client, text).scope(ask.scope).resources(ask.resource);
            let request = if let Some(binding) = binding { request.binding(binding) } else { request };
            return verdict(block_on(self.issuer().refresh(&request)));
        };
        let redirect = match proof {
            Proof::WithoutRedirect => None,
            Proof::WrongRedirect => Some("http://127.0.0.1:7777/elsewhere"),
            Proof::Right | Proof::WrongVerifier => Some(REDIRECT),
        };
        let wrong = VERIFIER.to_lowercase();
        let verifier = if proof == Proof::WrongVerifier { &wrong } else { VERIFIER };
        let request = RedeemRequest::new(client, text, redirect, verifier).scope(ask.scope).resources(ask.resource);
        let request = if let Some(binding) = binding { request.binding(binding) } else { request };
        verdict(block_on(self.issuer().redeem(&request)))
    }

    fn revoke(&mut self, text: &str, family: usize, ask: &RequestContext) {
        let (client, binding) = self.resolve(family, ask);
        block_on(self.issuer().revoke(&client, text, binding.as_ref())).unwrap();
        self.naive.revoke(family, &client, binding);
    }

    fn revoke_family(&mut self, index: Index, user: &str) {
        let known = self.naive.families.iter().enumerate().filter_map(|(at, family)| Some((at, family.id?)));
        let Some((at, id)) = pick(index, known) else { return };
        let found = block_on(self.issuer().revoke_family(user, id)).unwrap();
        let owned = self.naive.families[at].user == user;
        assert!(owned || !found, "the session of another user");
        assert!(found || !self.naive.live_families(|family| family.id == Some(id) && owned).contains(&at));
        self.naive.families[at].revoked |= owned;
    }

    /// `count` families were revoked. It may include those that were over and that no purge has taken yet.
    fn revoke_all(&mut self, count: usize, of: impl Fn(&Family) -> bool) {
        let live = self.naive.live_families(&of).len();
        let known = self.naive.families.iter().filter(|family| of(family) && !family.revoked).count();
        assert!((live..=known).contains(&count), "{count} of {live} to {known} were revoked");
        self.naive.revoke_all(of);
    }

    fn pass(&mut self, Span { of, offset }: Span) {
        let rest = |index| {
            let family = pick(index, self.naive.families.iter());
            family.map_or(0, |family| family.ends_at.saturating_sub(self.naive.now))
        };
        let span = match of {
            SpanOf::Nothing => 0,
            SpanOf::Leeway => self.rules.leeway,
            SpanOf::Window => self.rules.window.unwrap_or_default(),
            SpanOf::Code => self.rules.code,
            SpanOf::Access => self.rules.access(true),
            SpanOf::Idle => self.rules.idle(),
            SpanOf::Rest(index) => rest(index),
            SpanOf::RestButTheLeast(index) => rest(index).saturating_sub(LEAST),
        };
        let span = span.saturating_add_signed(offset);
        self.clock.advance(seconds(span));
        self.naive.now += span;
    }

    fn verify_live<T: TokenStore>(&self, issuer: &TokenIssuer<T>, text: &str) -> Result<(), VerifyError> {
        let access = &self.naive.access[text];
        let here = Resource::parse(&access.audience[0]).unwrap();
        let expect = Expectation::resource(&here);
        let expect = if let Some(binding) = &access.binding { expect.binding(binding) } else { expect };
        let claims = block_on(issuer.verify_live(text, &expect)).map_err(|error| error.refusal().unwrap())?;
        let family = &self.naive.families[access.family];
        assert_eq!((claims.subject(), claims.client_id()), (family.user, family.app));
        assert_eq!(claims.scope().as_str(), access.scope);
        assert_eq!(claims.audience().iter().map(Resource::as_str).collect::<Vec<_>>(), access.audience);
        Ok(())
    }

    /// Every token that was ever issued, and every list of sessions.
    fn compare(&mut self) {
        let glass = self.issuer_on(Glass(self.issuer().store()));
        for text in self.naive.access.keys() {
            let expected = self.naive.verify_live(text);
            assert_eq!(self.verify_live(&glass, text), expected);
            assert_eq!(block_on(glass.introspect(text)).unwrap().is_active(), expected.is_ok());
        }
        for (text, token) in &self.naive.tokens {
            let expected = !token.is_code && self.naive.is_live(text);
            assert_eq!(block_on(glass.introspect(text)).unwrap().is_active(), expected, "{token:?}");
        }
        for user in USERS {
            let ids = |families: Vec<usize>| -> BTreeSet<FamilyId> {
                families.into_iter().filter_map(|family| self.naive.families[family].id).collect()
            };
            let listed = block_on(glass.list_families(user)).unwrap().iter().map(|family| family.id()).collect();
            assert_eq!(ids(self.naive.live_families(|family| family.user == user)), listed);
        }
    }
}
