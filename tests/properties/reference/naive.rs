//! The reference: a row for every token that was ever issued, in plain maps; no counter, no sealing, nothing forgotten.

use std::collections::BTreeMap;

use mcp_token_lifecycle::{
    Binding, Client, ClientKind, ErrorCode, FamilyId, OnReuse, OnSuperseded, TokenResponse, VerifyError,
};

use crate::operations::{App, User};
use crate::rules::{LEAST, Rules};
use crate::support::rt;

#[derive(Debug)]
pub struct Family {
    /// Known from its first access token on.
    pub id: Option<FamilyId>,
    pub user: User,
    pub app: App,
    pub binding: Option<Binding>,
    pub ends_at: u64,
    pub revoked: bool,
}

/// A refresh token or an authorization code.
#[derive(Debug)]
pub struct Token {
    pub family: usize,
    pub is_code: bool,
    /// The token that it replaced.
    before: Option<String>,
    /// The same token made with a newer key, if it was kept under one.
    reads_now: Option<String>,
    key: u32,
    issued_at: u64,
    used_at: u64,
    pub spent: Option<Spent>,
    /// How often spent tokens were answered with it.
    answered_again: u32,
    /// Whether it has reached its client: it was used, or the access token that came with it was.
    seen: bool,
}

#[derive(Debug)]
pub struct Spent {
    at: u64,
    /// The server that did it, of those that came one after another.
    by: u32,
    pub successor: String,
}

#[derive(Debug)]
pub struct Access {
    pub family: usize,
    /// The refresh token that came with it.
    with: String,
    pub scope: String,
    pub audience: Vec<String>,
    pub binding: Option<Binding>,
    expires_at: u64,
}

/// A request with everything resolved.
pub struct Request<'a> {
    pub is_code: bool,
    pub app: &'a str,
    pub confidential: bool,
    pub binding: Option<Binding>,
    /// Whether code verifier and redirect URI are right.
    pub proves: bool,
    pub scope: Option<&'a str>,
    pub resource: Option<&'a str>,
}

/// What is to be answered, and what is remembered once it was.
#[derive(Debug)]
pub struct Granted {
    pub family: usize,
    presented: Option<String>,
    act: Act,
    scope: String,
    audience: Vec<String>,
    binding: Option<Binding>,
    expires_in: u64,
    idle_in: u64,
    ends_in: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Act {
    Begin,
    Rotate,
    Keep,
    Retry,
}

pub struct Naive {
    rules: Rules,
    pub now: u64,
    pub primary_key: u32,
    pub server: u32,
    pub families: Vec<Family>,
    pub tokens: BTreeMap<String, Token>,
    pub access: BTreeMap<String, Access>,
}

/// What every grant has.
pub const SCOPE: [&str; 2] = ["mcp:read", "mcp:write"];
pub const AUDIENCE: [&str; 2] = [crate::support::RESOURCE, crate::operations::ELSEWHERE];

impl Naive {
    pub fn new(rules: Rules) -> Self {
        let (families, tokens, access) = Default::default();
        Self { rules, now: crate::support::START, primary_key: 1, server: 0, families, tokens, access }
    }

    fn begin(&mut self, user: User, app: App, binding: Option<Binding>) -> usize {
        let ends_at = self.now + self.rules.absolute;
        self.families.push(Family { id: None, user, app, binding, ends_at, revoked: false });
        self.families.len() - 1
    }

    fn insert(&mut self, text: &str, family: usize, is_code: bool, before: Option<&str>) {
        let (key, now) = (self.primary_key, self.now);
        let row = Token {
            family,
            is_code,
            before: before.map(str::to_owned),
            reads_now: None,
            key,
            issued_at: now,
            used_at: now,
            spent: None,
            answered_again: 0,
            seen: false,
        };
        assert!(self.tokens.insert(text.to_owned(), row).is_none(), "the token was issued before");
    }

    pub fn authorize(&mut self, user: User, app: App, binding: Option<Binding>, code: &str) {
        let family = self.begin(user, app, binding);
        self.insert(code, family, true, None);
    }

    pub fn issue(&mut self, user: User, app: App, binding: Option<Binding>) -> Granted {
        let family = self.begin(user, app, binding);
        self.grant(family, Act::Begin, None, binding, None, None).expect("a new family has all its life before it")
    }

    /// A code or a refresh token at the token endpoint.
    pub fn present(&mut self, text: &str, request: &Request<'_>) -> Result<Granted, ErrorCode> {
        if request.scope == Some("\"") {
            return Err(ErrorCode::InvalidScope);
        }
        if request.resource == Some("nonsense") {
            return Err(ErrorCode::InvalidTarget);
        }
        let Some(token) = self.tokens.get(text) else { return Err(ErrorCode::InvalidGrant) };
        let family = &self.families[token.family];
        let wrong_binding = family.binding.is_some() && family.binding != request.binding;
        if token.is_code != request.is_code || family.app != request.app || wrong_binding || !request.proves {
            return Err(ErrorCode::InvalidGrant);
        }
        if family.revoked || self.now >= family.ends_at {
            return Err(ErrorCode::InvalidGrant);
        }
        // The first proof binds the family, and only the redemption can bring it.
        let is_redemption = token.is_code && token.spent.is_none();
        let binding = family.binding.or(if is_redemption { request.binding } else { None });
        let own_life = if token.is_code { self.rules.code } else { self.rules.idle() };
        let grant = |act| self.grant(token.family, act, Some(text), binding, request.scope, request.resource);

        if token.spent.is_none() {
            return match () {
                () if self.now >= token.used_at + own_life => Err(ErrorCode::InvalidGrant),
                () if token.is_code => grant(Act::Rotate),
                () if self.rotates(token, request.confidential) && !self.is_crowded(token) => grant(Act::Rotate),
                () => grant(Act::Keep),
            };
        };
        let current = &self.tokens[self.current(text)];
        let may_retry = self.rules.retries.is_none_or(|limit| current.answered_again < limit);
        let is_alive = self.now < current.used_at + self.rules.idle();
        if (self.is_open(token, true) || self.is_lost(token)) && may_retry && is_alive {
            return grant(Act::Retry);
        }
        if self.now < token.issued_at + own_life {
            let (family, user) = (token.family, family.user);
            match self.rules.on_reuse {
                OnReuse::RevokeFamily => self.families[family].revoked = true,
                OnReuse::RevokeSubject => self.revoke_all(|family| family.user == user),
                _ => {}
            }
        }
        Err(ErrorCode::InvalidGrant)
    }

    /// Whether a spent token is in its leeway, by the server that runs now or by any.
    fn is_open(&self, token: &Token, here: bool) -> bool {
        let Some(spent) = &token.spent else { return false };
        let elapsed = self.now - spent.at;
        if token.is_code {
            return elapsed < self.rules.code_retries && self.now < token.issued_at + self.rules.code;
        }
        let (own, across) = self.rules.leeway(self.families[token.family].ends_at - spent.at);
        elapsed < if here && spent.by == self.server { own } else { across }
    }

    /// Whether the response that a spent token got may be lost.
    fn is_lost(&self, token: &Token) -> bool {
        let Some(spent) = &token.spent else { return false };
        let successor = &self.tokens[&spent.successor];
        let in_window = self.rules.window.is_some_and(|window| self.now - spent.at < window);
        in_window && successor.spent.is_none() && !successor.seen && !token.is_code
    }

    /// Whether a token is spent and no server answers it any more.
    fn is_over(&self, token: &Token) -> bool {
        token.spent.is_some() && !self.is_open(token, false) && !self.is_lost(token)
    }

    /// Whether the third token before this one is still in its leeway.
    fn is_crowded(&self, token: &Token) -> bool {
        let before = |token: &Token| token.before.as_ref().map(|text| &self.tokens[text]);
        let third = before(token).and_then(before).and_then(before);
        third.is_some_and(|third| self.is_open(third, true))
    }

    /// What `text` was replaced with, and that in turn, to the last.
    fn current<'a>(&'a self, mut text: &'a str) -> &'a str {
        while let Some(spent) = &self.tokens[text].spent {
            text = &spent.successor;
        }
        text
    }

    fn rotates(&self, token: &Token, confidential: bool) -> bool {
        let constrained =
            matches!(self.families[token.family].binding, Some(Binding::DpopKey(_) | Binding::Certificate(_)));
        self.rules.always_rotate || !(confidential || constrained)
    }

    fn grant(
        &self,
        family: usize,
        act: Act,
        presented: Option<&str>,
        binding: Option<Binding>,
        scope: Option<&str>,
        resource: Option<&str>,
    ) -> Result<Granted, ErrorCode> {
        let mut asked: Vec<_> = scope.unwrap_or_default().split_whitespace().collect();
        asked.sort();
        let scope = if asked.is_empty() { SCOPE.to_vec() } else { asked };
        if scope.iter().any(|token| !SCOPE.contains(token)) {
            return Err(ErrorCode::InvalidScope);
        }
        let writes = scope.contains(&"mcp:write");
        if resource.is_some_and(|asked| !AUDIENCE.contains(&asked)) {
            return Err(ErrorCode::InvalidTarget);
        }
        let ends_in = self.families[family].ends_at - self.now;
        if ends_in < LEAST {
            return Err(ErrorCode::InvalidGrant);
        }
        let used_at = match (&act, presented) {
            (Act::Retry, Some(presented)) => self.tokens[self.current(presented)].used_at,
            _ => self.now,
        };
        // No access token outlives the refresh token that comes with it.
        let idle_in = (used_at + self.rules.idle() - self.now).min(ends_in);
        Ok(Granted {
            family,
            presented: presented.map(str::to_owned),
            act,
            scope: scope.join(" "),
            audience: resource.map_or(AUDIENCE.to_vec(), |one| vec![one]).into_iter().map(str::to_owned).collect(),
            binding,
            expires_in: self.rules.access(writes).min(idle_in),
            idle_in,
            ends_in,
        })
    }

    /// Compare `response` with what was to be granted, and remember it.
    pub fn remember(&mut self, granted: Granted, response: &TokenResponse) {
        let Granted { family, presented, act, scope, audience, binding, expires_in, idle_in, ends_in } = granted;
        assert_eq!((response.retry, response.scope.as_str()), (act == Act::Retry, &*scope));
        let lifetimes = (response.expires_in, response.refresh_token_timeout, response.authorization_expires_in);
        assert_eq!(lifetimes, (expires_in, idle_in, ends_in));
        let dpop = matches!(binding, Some(Binding::DpopKey(_)));
        assert_eq!(response.token_type.as_str(), if dpop { "DPoP" } else { "Bearer" });

        let (text, now) = (rt(response).to_owned(), self.now);
        let presented = presented.as_deref().unwrap_or_default();
        match act {
            Act::Begin => self.insert(&text, family, false, None),
            Act::Rotate => {
                self.insert(&text, family, false, Some(presented));
                let spent = Spent { at: now, by: self.server, successor: text.clone() };
                self.tokens.get_mut(presented).unwrap().spent = Some(spent);
            }
            Act::Keep => {
                let primary = self.primary_key;
                let token = self.tokens.get_mut(presented).unwrap();
                if token.key < primary {
                    token.key = primary;
                    token.reads_now = Some(text.clone());
                }
                assert_eq!(text, token.reads_now.as_deref().unwrap_or(presented), "the token is kept");
                (token.used_at, token.seen) = (now, true);
            }
            Act::Retry => {
                let current = self.current(presented).to_owned();
                let token = self.tokens.get_mut(&current).unwrap();
                assert_eq!(text, *token.reads_now.as_ref().unwrap_or(&current), "a retry gets the current token");
                token.answered_again += 1;
            }
        }
        let text = match act {
            Act::Keep => presented.to_owned(),
            Act::Retry => self.current(presented).to_owned(),
            Act::Begin | Act::Rotate => text,
        };
        self.families[family].binding = binding;
        let row = Access { family, with: text, scope, audience, binding, expires_at: now + expires_in };
        let before = self.access.insert(response.access_token.expose().to_owned(), row);
        assert!(before.is_none(), "every access token is another");
    }

    /// Revocation by any token of `family` (RFC 7009).
    pub fn revoke(&mut self, family: usize, client: &Client, binding: Option<Binding>) {
        let family = &mut self.families[family];
        let constraint = family.binding.filter(|binding| !matches!(binding, Binding::Fingerprint(_)));
        // A confidential client has proved that it is the one.
        let proves = constraint.is_none() || constraint == binding || client.kind() == ClientKind::Confidential;
        if family.app == client.id() && proves {
            family.revoked = true;
        }
    }

    pub fn revoke_all(&mut self, of: impl Fn(&Family) -> bool) {
        self.families.iter_mut().filter(|family| of(family)).for_each(|family| family.revoked = true);
    }

    /// An access token was seen at a resource server.
    pub fn see(&mut self, text: &str) {
        if self.verify_live(text).is_ok() {
            let with = self.access[text].with.clone();
            self.tokens.get_mut(&with).unwrap().seen = true;
        }
    }

    pub fn verify_live(&self, text: &str) -> Result<(), VerifyError> {
        let access = &self.access[text];
        let family = &self.families[access.family];
        let with = &self.tokens[&access.with];
        let superseded = self.is_over(with) && self.rules.on_superseded == OnSuperseded::Reject;
        match () {
            () if self.now >= access.expires_at => Err(VerifyError::Expired),
            () if family.revoked || self.now >= family.ends_at || superseded => Err(VerifyError::Revoked),
            () => Ok(()),
        }
    }

    /// Whether a refresh token could be exchanged by its client now, at any server.
    pub fn is_live(&self, text: &str) -> bool {
        let (token, current) = (&self.tokens[text], &self.tokens[self.current(text)]);
        let family = &self.families[token.family];
        let life = if current.is_code { self.rules.code } else { self.rules.idle() };
        let over = family.revoked || self.now >= family.ends_at || self.now >= current.used_at + life;
        !self.is_over(token) && !over
    }

    /// The families with a token that could be exchanged now.
    pub fn live_families(&self, of: impl Fn(&Family) -> bool) -> Vec<usize> {
        let current = self.tokens.iter().filter(|(_, token)| token.spent.is_none());
        let live = current.filter(|(text, _)| self.is_live(text)).map(|(_, token)| token.family);
        live.filter(|family| of(&self.families[*family])).collect()
    }
}
