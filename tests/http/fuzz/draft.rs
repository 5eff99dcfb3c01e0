//! Good requests, and what becomes of them.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::site::*;

pub type Pairs = Vec<(String, String)>;

/// A request in which `{refresh}` and the like stand for the secrets of a session.
#[derive(Clone, Debug)]
pub struct Draft {
    pub method: String,
    pub path: String,
    pub query: Pairs,
    pub headers: Pairs,
    pub body: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    Form(Pairs),
    Raw(String),
}

const HOST: (&str, &str) = ("host", "localhost");

pub fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub fn post(path: &str, form: &[(&str, &str)]) -> Draft {
    let headers = pairs(&[HOST, ("content-type", "application/x-www-form-urlencoded")]);
    Draft { method: "POST".into(), path: path.into(), query: Vec::new(), headers, body: Content::Form(pairs(form)) }
}

fn send_json(path: &str, json: &str, headers: &[(&str, &str)]) -> Draft {
    let headers = [pairs(&[HOST, ("content-type", "application/json")]), pairs(headers)].concat();
    Draft { headers, body: Content::Raw(json.into()), ..post(path, &[]) }
}

pub fn get(path: &str, query: &[(&str, &str)], headers: &[(&str, &str)]) -> Draft {
    Draft {
        method: "GET".into(),
        query: pairs(query),
        headers: [pairs(&[HOST]), pairs(headers)].concat(),
        ..post(path, &[])
    }
}

/// Good requests, and what they are answered.
pub fn good() -> Vec<(Draft, u16)> {
    let ask = [
        ("client_id", CLIENT),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "xyz"),
        ("scope", "notes:read"),
    ];
    let redeem = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("code", "{code}"),
        ("code_verifier", "{verifier}"),
        ("redirect_uri", CALLBACK),
    ];
    let with_basic = |mut draft: Draft, credentials: &str| {
        draft.headers.push(("authorization".into(), credentials.into()));
        draft
    };
    let others_token =
        with_basic(post("/token", &[("grant_type", "refresh_token"), ("refresh_token", "{refresh}")]), "{web}");
    let agree = Draft { query: pairs(&ask), ..post("/authorize", &[("decision", "agree"), ("scope", "notes:read")]) };
    let call = r#"{"method":"tools/call","params":{"name":"delete_note"}}"#;
    let bearer = ("authorization", "Bearer {access}");
    vec![
        (post("/token", &redeem), 200),
        (
            post("/token", &[("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", "{refresh}")]),
            200,
        ),
        (others_token, 400),
        (post("/revoke", &[("client_id", CLIENT), ("token", "{access}"), ("token_type_hint", "access_token")]), 200),
        (with_basic(post("/introspect", &[("token", "{access}")]), "{guard}"), 200),
        (post("/introspect", &[("client_id", GUARD), ("client_secret", GUARD_SECRET), ("token", "{refresh}")]), 200),
        (get("/authorize", &ask, &[]), 200),
        (get("/authorize", &ask, &[("cookie", "user=user-1")]), 303),
        (agree, 303),
        (send_json("/register", r#"{"redirect_uris":["https://app.example.com/"],"client_name":"Notes"}"#, &[]), 201),
        (get("/.well-known/oauth-authorization-server", &[], &[("origin", "https://app.example.com")]), 200),
        (get("/.well-known/oauth-protected-resource/mcp", &[], &[]), 200),
        (get("/mcp", &[], &[bearer]), 200),
        (send_json("/mcp", call, &[bearer]), 200),
    ]
}

#[derive(Clone, Debug)]
enum Change {
    Method(String),
    Path(String),
    Body(String),
    Cut(Index),
    Drop(Part, Index),
    Double(Part, Index),
    Replace(Part, Index, String),
    Add(Part, String, String),
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Query,
    Headers,
    Form,
}

impl Draft {
    fn part(&mut self, part: Part) -> &mut Pairs {
        match (part, &mut self.body) {
            (Part::Form, Content::Form(form)) => form,
            (Part::Query, _) => &mut self.query,
            _ => &mut self.headers,
        }
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Method(method) => self.method = method,
            Change::Path(path) => self.path = path,
            Change::Body(body) => self.body = Content::Raw(body),
            Change::Cut(at) => {
                if let Content::Raw(text) = &mut self.body {
                    *text = text.chars().take(at.index(text.len() + 1)).collect();
                }
            }
            Change::Add(part, name, value) => self.part(part).push((name, value)),
            Change::Drop(part, at) => self.at(part, at, |pairs, at| drop(pairs.remove(at))),
            Change::Double(part, at) => self.at(part, at, |pairs, at| pairs.push(pairs[at].clone())),
            Change::Replace(part, at, value) => self.at(part, at, |pairs, at| pairs[at].1 = value),
        }
    }

    /// Change one pair, if there is any.
    fn at(&mut self, part: Part, at: Index, change: impl FnOnce(&mut Pairs, usize)) {
        let pairs = self.part(part);
        if !pairs.is_empty() {
            change(pairs, at.index(pairs.len()));
        }
    }
}

fn value() -> impl Strategy<Value = String> {
    const VALUES: [&str; 24] = [
        "",
        "{code}",
        "{access}",
        "{refresh}",
        "{verifier}",
        "{secret}",
        "{web}",
        "{guard}",
        "Bearer {access}",
        "bearer {refresh}",
        "DPoP {access}",
        "{refresh}A",
        "Bearer {access},{access}",
        CLIENT,
        WEB_CLIENT,
        GUARD,
        "refresh_token",
        "authorization_code",
        "https",
        "plain",
        "notes:read",
        "http://localhost/mcp",
        "application/json",
        "tools/call",
    ];
    prop_oneof![4 => select(&VALUES[..]).prop_map(str::to_owned), 1 => ".{0,24}", 1 => "\\PC{0,200}"]
}

fn name() -> impl Strategy<Value = String> {
    const NAMES: [&str; 22] = [
        "grant_type",
        "client_id",
        "client_secret",
        "refresh_token",
        "code",
        "code_verifier",
        "redirect_uri",
        "scope",
        "resource",
        "token",
        "token_type_hint",
        "access_token",
        "state",
        "authorization",
        "content-type",
        "host",
        "x-forwarded-proto",
        "origin",
        "access-control-request-method",
        "cookie",
        "decision",
        "response_type",
    ];
    prop_oneof![4 => select(&NAMES[..]).prop_map(str::to_owned), 1 => "[a-zA-Z_-]{1,12}"]
}

fn change() -> impl Strategy<Value = Change> {
    const METHODS: [&str; 8] = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "BREW"];
    const PATHS: [&str; 12] = [
        "/token",
        "/authorize",
        "/revoke",
        "/introspect",
        "/register",
        "/mcp",
        "/",
        "//token",
        "/token/",
        "/.well-known/",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/mcp",
    ];
    let part = || select(vec![Part::Query, Part::Headers, Part::Form]);
    let body = prop_oneof![
        "\\PC{0,100}",
        "[\\[\\]{}\",:a-z0-9 ]{0,60}",
        value()
            .prop_map(|value| format!(r#"{{"redirect_uris":["{value}"],"client_name":"{value}","method":"{value}"}}"#)),
        (name(), value()).prop_map(|(name, value)| format!("{name}={value}&{name}%={value}")),
        Just("a".repeat(17 * 1024)),
    ];
    prop_oneof![
        1 => select(&METHODS[..]).prop_map(|method| Change::Method(method.to_owned())),
        1 => prop_oneof![3 => select(&PATHS[..]).prop_map(str::to_owned), 1 => "/[ -~]{0,30}"].prop_map(Change::Path),
        1 => body.prop_map(Change::Body),
        1 => any::<Index>().prop_map(Change::Cut),
        2 => (part(), any::<Index>()).prop_map(|(part, at)| Change::Drop(part, at)),
        2 => (part(), any::<Index>()).prop_map(|(part, at)| Change::Double(part, at)),
        4 => (part(), any::<Index>(), value()).prop_map(|(part, at, value)| Change::Replace(part, at, value)),
        4 => (part(), name(), value()).prop_map(|(part, name, value)| Change::Add(part, name, value)),
    ]
}

pub fn draft() -> impl Strategy<Value = Draft> {
    let good: Vec<_> = good().into_iter().map(|(draft, _)| draft).collect();
    (select(good), prop::collection::vec(change(), 0..6)).prop_map(|(mut draft, changes)| {
        changes.into_iter().for_each(|change| draft.change(change));
        draft
    })
}
