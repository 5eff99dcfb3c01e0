//! What can happen to a deployment. Tokens and families are picked from those there are when it happens.

use mcp_token_lifecycle::Binding;
use proptest::bool::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};

#[derive(Clone, Debug)]
pub enum Operation {
    Authorize(Login),
    Issue(Login),
    /// A code or refresh token at the token endpoint.
    Exchange(Pick, Proof, RequestContext),
    Revoke(Pick, RequestContext),
    RevokeByAccessToken(Index, RequestContext),
    RevokeFamily(Index, User),
    RevokeSubject(User),
    RevokeClient(App),
    /// A live check of an access token, as a resource server makes it: it shows that the response arrived.
    Check(Index),
    Introspect(Index),
    Pass(Span),
    Purge,
    Restart,
    /// A restart with a new primary key; the one before is retired.
    RotateKey,
    Rekey,
}

pub type User = &'static str;
pub type App = &'static str;

pub const USERS: [User; 2] = ["user-1", "user-2"];
pub const APPS: [App; 2] = ["client-1", "client-2"];

#[derive(Clone, Debug)]
pub struct Login {
    pub user: User,
    pub app: App,
    pub binding: Option<Binding>,
}

/// Which refresh token or code.
#[derive(Clone, Copy, Debug)]
pub enum Pick {
    /// One that was not spent, of a family that was not revoked.
    Current(Index),
    /// One whose successor is current, likewise; any if there is none.
    Previous(Index),
    Any(Index),
}

/// What a client sends along with a token, if it takes it for a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Right,
    WithoutRedirect,
    WrongRedirect,
    WrongVerifier,
}

/// A request, relative to the family of the token that it comes with.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Whether a code is taken for a code.
    pub right_type: bool,
    pub right_client: bool,
    pub confidential: bool,
    pub binding: Proven,
    pub scope: Option<&'static str>,
    pub resource: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
pub enum Proven {
    /// What the family is bound to.
    Same,
    Nothing,
    Other,
}

/// A length of time that matters, and a second more or less.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub of: SpanOf,
    pub offset: i64,
}

#[derive(Clone, Copy, Debug)]
pub enum SpanOf {
    Nothing,
    Leeway,
    Window,
    Code,
    Access,
    Idle,
    /// What is left of this family, all of it or until it gets no access token any more.
    Rest(Index),
    RestButTheLeast(Index),
}

const BINDINGS: [Option<Binding>; 4] =
    [None, Some(Binding::DpopKey([1; 32])), Some(Binding::Certificate([1; 32])), Some(Binding::Fingerprint([1; 32]))];

fn login() -> impl Strategy<Value = Login> {
    let binding = prop_oneof![2 => Just(None), 1 => select(&BINDINGS[..])];
    (select(&USERS[..]), select(&APPS[..]), binding).prop_map(|(user, app, binding)| Login { user, app, binding })
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        4 => any::<Index>().prop_map(Pick::Current),
        4 => any::<Index>().prop_map(Pick::Previous),
        2 => any::<Index>().prop_map(Pick::Any),
    ]
}

fn ask() -> impl Strategy<Value = RequestContext> {
    let plain = |confidential| RequestContext {
        right_type: true,
        right_client: true,
        confidential,
        binding: Proven::Same,
        scope: None,
        resource: None,
    };
    let binding = prop_oneof![6 => Just(Proven::Same), 1 => Just(Proven::Nothing), 1 => Just(Proven::Other)];
    let scope =
        select(vec![None, Some(""), Some("mcp:read"), Some("mcp:write mcp:read"), Some("mcp:admin"), Some("\"")]);
    let resource = select(vec![None, Some(crate::support::RESOURCE), Some(ELSEWHERE), Some(FOREIGN), Some("nonsense")]);
    let odd = (weighted(0.8), weighted(0.8), any::<bool>(), binding, scope, resource).prop_map(
        |(right_type, right_client, confidential, binding, scope, resource)| RequestContext {
            right_type,
            right_client,
            confidential,
            binding,
            scope,
            resource,
        },
    );
    prop_oneof![3 => any::<bool>().prop_map(plain), 1 => odd]
}

/// The second resource of every grant, and one that is in none.
pub const ELSEWHERE: &str = "https://files.example.com";
const FOREIGN: &str = "https://foreign.example.com";

fn span() -> impl Strategy<Value = Span> {
    let of = prop_oneof![
        3 => Just(SpanOf::Nothing),
        3 => Just(SpanOf::Leeway),
        1 => Just(SpanOf::Window),
        1 => Just(SpanOf::Code),
        2 => Just(SpanOf::Access),
        1 => Just(SpanOf::Idle),
        1 => any::<Index>().prop_map(SpanOf::Rest),
        1 => any::<Index>().prop_map(SpanOf::RestButTheLeast),
    ];
    (of, -1..=1i64).prop_map(|(of, offset)| Span { of, offset })
}

fn operation() -> impl Strategy<Value = Operation> {
    let proof = prop_oneof![
        6 => Just(Proof::Right),
        2 => Just(Proof::WithoutRedirect),
        1 => Just(Proof::WrongRedirect),
        1 => Just(Proof::WrongVerifier),
    ];
    prop_oneof![
        3 => login().prop_map(Operation::Authorize),
        3 => login().prop_map(Operation::Issue),
        30 => (pick(), proof, ask()).prop_map(|(token, proof, ask)| Operation::Exchange(token, proof, ask)),
        1 => (pick(), ask()).prop_map(|(token, ask)| Operation::Revoke(token, ask)),
        1 => (any::<Index>(), ask()).prop_map(|(token, ask)| Operation::RevokeByAccessToken(token, ask)),
        1 => (any::<Index>(), select(&USERS[..])).prop_map(|(family, user)| Operation::RevokeFamily(family, user)),
        1 => select(&USERS[..]).prop_map(Operation::RevokeSubject),
        1 => select(&APPS[..]).prop_map(Operation::RevokeClient),
        3 => any::<Index>().prop_map(Operation::Check),
        1 => any::<Index>().prop_map(Operation::Introspect),
        12 => span().prop_map(Operation::Pass),
        3 => Just(Operation::Purge),
        1 => Just(Operation::Restart),
        1 => Just(Operation::RotateKey),
        1 => Just(Operation::Rekey),
    ]
}

/// A login, and up to `longest` operations more.
pub fn sequence(longest: usize) -> impl Strategy<Value = Vec<Operation>> {
    let begin = prop_oneof![login().prop_map(Operation::Authorize), login().prop_map(Operation::Issue)];
    (begin, prop::collection::vec(operation(), 1..=longest)).prop_map(|(begin, mut sequence)| {
        sequence.insert(0, begin);
        sequence
    })
}
