//! A long story with everything in it: logins, rotations, retries, reuse, revocations, wrong requests, faults, a purge and a
//! change of keys. It remembers every token that was issued, and every text that was shown.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::sync::Arc;

use mcp_token_lifecycle::audit_from_fn;
use mcp_token_lifecycle::{
    Answer, AuditEvent, AuditSink, AuthorizeRequest, Binding, Client, CodeChallenge, Commit, Error, Expectation, KeyId,
    Keyring, MasterKey, PolicySet, RedeemRequest, RefreshRequest, TokenResponse, TokenStore,
};

use crate::search::{keys_of, master_key, secret_bytes};
use crate::support::forge::{TestRng, tampered};
use crate::support::*;

pub const CLAIM: (&str, &str) = ("department", "cryptozoology");
pub const THUMBPRINT: [u8; 32] = *b"the thumbprint of the client key";

pub struct Story<S> {
    pub bench: Bench<FlakyStore<Arc<S>>>,
    pub store: Arc<S>,
    pub entropy: TestRng,
    pub tokens: Vec<String>,
    /// All that was shown, errors included.
    pub texts: Vec<String>,
    pub errors: Vec<String>,
}

pub fn keyring(number: u8) -> Keyring {
    Keyring::new(KeyId::new(number.into()), MasterKey::from_bytes(master_key(number)))
}

impl<S: TokenStore> Story<S> {
    /// Up to the change of keys.
    pub fn tell(store: Arc<S>, audit: impl AuditSink + 'static) -> Self {
        let policy = policy(|policy| policy.reuse_leeway(seconds(30)));
        let mut bench = bench_on(FlakyStore::new(Arc::clone(&store)), keyring(1), policy);
        let (entropy, remembered) = (TestRng::default(), bench.audit.clone());
        let both = move |event: &AuditEvent| {
            remembered.record(event);
            audit.record(event);
        };
        bench.issuer = bench.issuer.with_rng(FillRng(entropy.clone())).with_audit(audit_from_fn(both));
        let mut story = Self { bench, store, entropy, tokens: Vec::new(), texts: Vec::new(), errors: Vec::new() };
        story.rotations_and_reuse();
        story.wrong_requests();
        story.revocations();
        story.faults();
        story.bench.pass(60 * 24 * 3600);
        story.login();
        assert!(block_on(story.bench.issuer.purge()).unwrap() > 0);
        story
    }

    /// The change of keys, by a new issuer with both, and what the old one says of it.
    pub fn rekey(&mut self) {
        let both = keyring(2).with_retired(KeyId::new(1), MasterKey::from_bytes(master_key(1))).unwrap();
        let next = self.bench.twin(Arc::clone(&self.store), both, PolicySet::default());
        let last = self.login();
        assert!(block_on(next.issuer.rekey()).unwrap() > 0);
        self.fail(self.try_refresh(rt(&last)).unwrap_err());
        let moved = next.refresh(rt(&last)).unwrap();
        self.keep(&moved);
        let key = next.family(&moved).record_key();
        let mut altered = block_on(self.store.get(key)).unwrap().unwrap();
        altered.version += 1;
        assert_eq!(block_on(self.store.commit(altered)).unwrap(), Commit::Applied);
        self.fail(block_on(next.issuer.introspect(rt(&moved))).unwrap_err());
    }

    /// What is in neither a text nor a file: keys, family secrets, and the tokens as bytes.
    pub fn secrets(&self) -> Vec<Vec<u8>> {
        let keys = [1, 2].into_iter().flat_map(|number| keys_of(master_key(number))).map(Vec::from);
        let families = self.entropy.family_secrets().into_iter().map(Vec::from);
        keys.chain(families).chain(self.tokens.iter().map(|token| secret_bytes(token))).collect()
    }

    /// Remember the tokens, and show the response.
    pub fn keep(&mut self, response: &TokenResponse) {
        self.tokens.extend([response.access_token.expose(), rt(response)].map(str::to_owned));
        self.show(response);
    }

    pub fn show(&mut self, value: &impl Debug) {
        self.texts.extend([format!("{value:?}"), format!("{value:#?}")]);
    }

    /// Show an error and what it came from.
    pub fn fail(&mut self, error: impl StdError) {
        let mut next: Option<&dyn StdError> = Some(&error);
        while let Some(error) = next {
            let texts = [error.to_string(), format!("{error:?}")];
            self.errors.extend_from_slice(&texts);
            self.texts.extend(texts);
            next = error.source();
        }
    }

    pub fn login(&mut self) -> TokenResponse {
        let code = self.bench.code();
        let response = self.bench.redeem(&code).unwrap();
        self.tokens.push(code);
        self.keep(&response);
        response
    }

    fn try_refresh(&self, token: &str) -> Result<Answer, Error> {
        block_on(self.bench.issuer.refresh(&RefreshRequest::new(&client(), token)))
    }

    fn refresh(&mut self, token: &str) -> TokenResponse {
        let response = self.bench.refresh(token).unwrap();
        self.keep(&response);
        response
    }

    /// A request that is to be denied.
    fn deny(&mut self, answer: Result<Answer, Error>) {
        let answer = answer.expect("no fault of the server");
        self.show(&answer);
        self.fail(answer.into_result().expect_err("denied"));
    }

    fn rotations_and_reuse(&mut self) {
        let claims = grant().with_claim(CLAIM.0, CLAIM.1).unwrap();
        let mut current = self.bench.begin(claims);
        self.keep(&current);
        let first = rt(&current).to_owned();
        for _ in 0..20 {
            let next = self.refresh(rt(&current));
            self.refresh(rt(&current));
            self.bench.pass(3600);
            current = next;
        }
        self.deny(self.try_refresh(&first));
        assert!(self.bench.live(&current).is_err());
    }

    fn wrong_requests(&mut self) {
        let (login, code, client, stranger) = (self.login(), self.bench.code(), client(), Client::public("another"));
        self.tokens.push(code.clone());
        let forged = [tampered(rt(&login), 20), tampered(rt(&login), 40), tampered(rt(&login), 77), "mcprt_".into()];
        for token in &forged {
            self.deny(block_on(self.bench.issuer.refresh(&RefreshRequest::new(&client, token))));
            block_on(self.bench.issuer.revoke(&client, token, None)).unwrap();
            self.show(&self.bench.introspect(token));
        }
        let token = rt(&login);
        for request in [
            RefreshRequest::new(&stranger, token),
            RefreshRequest::new(&client, token).scope("mcp:admin"),
            RefreshRequest::new(&client, token).resource("https://elsewhere.example"),
            RefreshRequest::new(&client, &code),
        ] {
            self.show(&request);
            self.deny(block_on(self.bench.issuer.refresh(&request)));
        }
        for (redirect, verifier) in [("http://elsewhere.example", VERIFIER), (REDIRECT, &"x".repeat(43))] {
            let request = RedeemRequest::new(&client, &code, redirect, verifier);
            self.show(&request);
            self.deny(block_on(self.bench.issuer.redeem(&request)));
        }
        let here = resource();
        for text in [tampered(login.access_token.expose(), 40).as_str(), token] {
            self.fail(self.bench.issuer.verify(text, &Expectation::resource(&here)).unwrap_err());
        }
    }

    fn revocations(&mut self) {
        let [by_token, by_session, by_subject] = [self.login(), self.login(), self.login()];
        self.show(&self.bench.introspect(rt(&by_token)));
        self.bench.revoke(&client(), by_token.access_token.expose());
        let family = self.bench.family(&by_session);
        assert!(block_on(self.bench.issuer.revoke_family("user-1", family)).unwrap());
        let bound =
            AuthorizeRequest::new(grant_of("user-1", "client-1"), CodeChallenge::of_verifier(VERIFIER), REDIRECT)
                .binding(Binding::DpopKey(THUMBPRINT));
        self.show(&bound);
        let code = block_on(self.bench.issuer.authorize(bound)).unwrap();
        self.tokens.push(code.expose().to_owned());
        self.show(&code);
        let client = client();
        let request = RedeemRequest::new(&client, code.expose(), REDIRECT, VERIFIER);
        self.deny(block_on(self.bench.issuer.redeem(&request)));
        let request = request.binding(Binding::DpopKey(THUMBPRINT));
        let response = verdict(block_on(self.bench.issuer.redeem(&request))).unwrap();
        self.keep(&response);
        assert!(block_on(self.bench.issuer.revoke_subject("user-1")).unwrap() > 1);
        self.fail(self.bench.live(&by_subject).unwrap_err());
    }

    fn faults(&mut self) {
        let login = self.login();
        for fault in [Fault::Unavailable, Fault::UncertainUndone, Fault::Conflict, Fault::UncertainDone] {
            for op in [Op::Get, Op::Commit] {
                if fault == Fault::Conflict && op == Op::Get {
                    continue;
                }
                self.bench.issuer.store().fail_every(op, fault);
                self.fail(self.try_refresh(rt(&login)).unwrap_err());
                self.bench.issuer.store().heal();
            }
        }
        self.refresh(rt(&login));
        self.entropy.run_dry(true);
        let login = self.try_refresh(self.tokens.last().unwrap());
        self.fail(login.unwrap_err());
        self.entropy.run_dry(false);
    }
}

/// Every word of the story that says who may do what.
pub fn words() -> Vec<&'static str> {
    vec!["user-1", "client-1", "mcp:read", "mcp:write", "mcp.example.com", "7777/callback", VERIFIER, CLAIM.0, CLAIM.1]
}
