//! Tokens for MCP servers: short-lived access tokens, refresh rotation with reuse detection, revocation of a whole login.
//!
//! The crate decides, and your application brings the database, the HTTP stack and the login. It carries out what the
//! [MCP authorization specification](https://modelcontextprotocol.io/specification/), OAuth 2.1, RFC 9700 (security best
//! practice), 7009 (revocation), 7662 (introspection), 8414 and 9728 (metadata) and 8707 (resource indicators) ask of tokens.
//!
//! Use it when your MCP server is its own authorization server. Do not use it when another product issues the tokens and your
//! server only verifies them: that product's library does this better.
//!
//! # Glossary
//!
//! | term | meaning |
//! |---|---|
//! | *grant* | What the user consented to: subject, client, scope and resources ([`Grant`]). |
//! | *token family* | All tokens that descend from one grant: one sealed record of constant size ([`TokenFamily`]). |
//! | *generation* | How many times the family has rotated. An authorization code is generation 0. |
//! | *rotation* | A refresh returns a new refresh token and spends the old one (RFC 9700 §4.14.2). |
//! | *reuse leeway* | The time for which a spent token is still answered with the current one, for lost responses and parallel requests. |
//! | *reuse* | A spent token is presented after its leeway. By default the family is revoked. |
//! | *revocation* | The end of a family. Its record stays as a *tombstone* until the family's absolute end. |
//! | *resource*, *audience* | Where a token may be used: the resource of the request (RFC 8707) is the audience of the token. |
//! | *live check* | A check that reads the family from the store, so that a revocation takes effect at once. |
//!
//! # Where to start
//!
//! ## You write an MCP server
//!
//! Enable the feature `http`. It has the OAuth endpoints and the check in front of the MCP server; you write the login page
//! (`http::Consent`). The module `http` has the complete program, and `examples/minimal_server` runs it with rmcp and axum.
//!
//! ```
//! # #[cfg(feature = "http")]
//! # fn example<C: mcp_token_lifecycle::http::Consent + 'static>(pages: C) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use mcp_token_lifecycle::http::{AuthorizationServer, ProtectedResource, StoredClients, TlsPolicy};
//! use mcp_token_lifecycle::{Keyring, MemoryStore, TokenIssuer};
//!
//! let issuer = Arc::new(TokenIssuer::new(MemoryStore::new(), Keyring::from_file("token-keys")?));
//! let resource = ProtectedResource::new("https://mcp.example.com/mcp", "notes:read notes:write")?;
//! let clients = StoredClients::new(Arc::clone(&issuer));
//! let server = AuthorizationServer::new("https://mcp.example.com", issuer, resource, clients, pages)?
//!     .with_registration(|_, _| true)
//!     .with_tls(TlsPolicy::TrustProxy);
//! let bearer = server.bearer_live().require_scope("notes:read")?;   // the layer around your MCP service
//! let oauth = server.service();                                     // the fallback of your router
//! # drop((bearer, oauth)); Ok(()) }
//! ```
//!
//! ## You integrate a framework, a store or a login of your own
//!
//! [`TokenIssuer`] has each operation as a method. A store implements the four methods of [`TokenStore`] over opaque records,
//! and the feature `conformance` checks it. This is the life of one family:
//!
//! ```
//! use mcp_token_lifecycle::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> { pollster::block_on(async {
//! let keyring = Keyring::new(KeyId::new(1), MasterKey::generate()?);
//! let issuer = TokenIssuer::new(MemoryStore::new(), keyring).with_policies(RotationPolicy::standard());
//!
//! // Authorization endpoint: the user has logged in and agreed; the client sent an S256 challenge.
//! let here = Resource::parse("https://mcp.example.com/mcp")?;
//! let grant = Grant::new("user-1", "client-1", Scope::parse("mcp:read")?, here.clone())?;
//! let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "S256")?;
//! let code = issuer.authorize(AuthorizeRequest::new(grant, challenge, "http://127.0.0.1/callback")).await?;
//!
//! // Token endpoint, grant_type=authorization_code.
//! let client = Client::public("client-1");
//! let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
//! let request = RedeemRequest::new(&client, code.expose(), "http://127.0.0.1/callback", verifier);
//! let tokens = issuer.redeem(&request).await?.into_result()?;
//!
//! // Each request to the protected resource.
//! let needed = Scope::parse("mcp:read")?;
//! let expected = Expectation::resource(&here).scope(&needed);
//! assert_eq!(issuer.verify(tokens.access_token.expose(), &expected)?.subject(), "user-1");
//!
//! // Token endpoint, grant_type=refresh_token.
//! let request = RefreshRequest::new(&client, tokens.refresh_token.expose());
//! let tokens = issuer.refresh(&request).await?.into_result()?;
//!
//! // Revocation endpoint.
//! issuer.revoke(&client, tokens.refresh_token.expose(), None).await?;
//! # Ok(()) }) }
//! ```
//!
//! ## You audit
//!
//! Begin at [`decision`]: its functions are pure, and its page has the table that they follow. [`guide::audit_guide`] names the
//! order to read the rest in. One request passes through the source tree like this:
//!
//! ```text
//! request ──► token/      format, guard and MAC: is it a token of this deployment?
//!             decision/   family + request + policy + now ──► write, answer, event      (pure functions)
//!             record/     seal the family's next state
//! store   ◄── issuer/     compare and swap; on a conflict load again and decide again
//! answer  ◄── issuer/     tokens, or invalid_grant without a reason
//! audit   ◄── audit/      what happened and why, never a token
//! ```
//!
//! # Errors
//!
//! | channel | type | who sees it |
//! |---|---|---|
//! | decision | [`Answer::Deny`] with an [`ErrorCode`] such as `invalid_grant` | the client; the [`Reason`] goes to the audit log only |
//! | fault of the server | [`Error`], whose [`ErrorKind`] says which | the client receives 503 `temporarily_unavailable` and keeps its token |
//! | configuration | [`PolicyError`], [`KeyringError`], `http::ConfigError` | the operator, when the program starts |
//!
//! ```
//! # use mcp_token_lifecycle::*;
//! # async fn example<S: TokenStore>(issuer: &TokenIssuer<S>, request: &RefreshRequest<'_>) -> (u16, String) {
//! match issuer.refresh(request).await {
//!     Ok(Answer::Issue(tokens)) => (200, serde_json::to_string(&tokens).unwrap_or_default()),   // with Cache-Control: no-store
//!     Ok(Answer::Deny(error)) => (error.status(), serde_json::to_string(&error).unwrap_or_default()),
//!     Err(_) => (503, serde_json::to_string(&ErrorResponse::unavailable()).unwrap_or_default()),
//! }
//! # }
//! ```
//!
//! # Security notes
//!
//! * A leaked database alone, or a leaked key alone, forges no refresh token: forging takes both. A leaked master key forges
//!   access tokens for each resource until it leaves the keyring; a key of [`AccessKeys::for_resource`] does so for that one.
//! * Offline verification does not see a revocation before the access token expires. [`TokenIssuer::verify_live`] does.
//! * Without the feature `http`, the application authenticates clients, compares redirect URIs with their registration and
//!   authorizes callers of introspection. In either case it verifies DPoP proofs and certificates before it passes on a
//!   [`Binding`].
//! * A [`TokenStore`] that loses an acknowledged write brings a spent token back to life without an alarm.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `redb` | yes | `RedbStore`: one file, pure Rust, durable, group commit |
//! | `tracing` | no | `TracingAudit`: audit events as structured `tracing` events |
//! | `conformance` | no | `conformance`: the checks that each store must pass |
//! | `postgres` | no | `PostgresStore`: a table that any number of processes share |
//! | `redis` | no | `RedisStore`: Redis or Valkey, one server, Sentinel or Cluster |
//! | `http` | no | `http`: the OAuth endpoints and the bearer check, over the `http` types and the tower traits |
//! | `vault` | no | `vault`: the credentials for other services that the server holds for its users |
//! | `reqwest` | no | `vault::ReqwestClient`: the HTTP client towards other services |
//! | `client` | no | `client`: the tokens of a program that is itself an MCP client |
//! | `os-keyring` | no | `vault::OsKeyring` and `client::OsStorage`: keys and tokens in the operating system's credential store |
//! | `ring` | no | ring instead of pure Rust for XChaCha20-Poly1305: the same bytes, faster |
//!
//! A feature adds items and never changes behaviour.

// docs.rs compiles with a nightly compiler and shows the feature that each item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// In tests and examples of this package these are well.
#![warn(unreachable_pub)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod audit;
#[cfg(feature = "client")]
pub mod client;
mod crypto;
pub mod decision;
mod error;
mod family;
mod grant;
pub mod guide;
#[cfg(feature = "http")]
pub mod http;
mod id;
mod issuer;
mod key_text;
mod keys;
mod maintenance;
mod messages;
mod net;
mod pointers;
mod policy;
mod record;
mod shown;
mod store;
mod time;
mod token;
#[cfg(feature = "vault")]
pub mod vault;
mod verifier;

#[cfg(feature = "tracing")]
pub use self::audit::TracingAudit;
pub use self::audit::{
    Action, AuditEvent, AuditSink, Claim, ErrorCode, HttpEndpoint, NoAudit, Reason, RevocationReason, audit_from_fn,
};
pub use self::crypto::random::EntropyError;
pub use self::decision::Outages;
pub use self::error::{Error, ErrorKind};
pub use self::family::{Status, TokenFamily};
pub use self::grant::{
    AccessClaims, Binding, Client, ClientKind, Grant, GrantError, Resource, ResourceError, Scope, ScopeError,
};
pub use self::id::{FamilyId, FamilyIdError, IndexKey, IssuerId, RecordKey};
pub use self::issuer::{GrantCheck, GrantStatus, TokenIssuer};
pub use self::keys::{AccessKeys, KeyId, Keyring, KeyringError, MasterKey};
pub use self::messages::{
    Answer, AuthorizeRequest, ErrorResponse, IntrospectionResponse, RedeemRequest, RefreshRequest, TokenResponse,
    TokenType,
};
pub use self::policy::{
    Lifetimes, OnAhead, OnReuse, OnSuperseded, PolicyError, PolicySet, Rotation, RotationPolicy, RotationPolicyBuilder,
    ScopeLimit,
};
#[cfg(feature = "conformance")]
pub use self::store::conformance;
pub use self::store::{
    BoxFuture, Commit, Cursor, DynTokenStore, MemoryStore, Page, Record, Select, StoreError, TokenStore,
};
#[cfg(feature = "postgres")]
pub use self::store::{PostgresError, PostgresStore};
#[cfg(feature = "redb")]
pub use self::store::{RedbOpenError, RedbStore};
#[cfg(feature = "redis")]
pub use self::store::{RedisConnectError, RedisStore};
pub use self::time::{CLOCK_TOLERANCE, Clock, SystemClock, Timestamp, clock_from_fn};
pub use self::token::{
    AccessToken, AuthorizationCode, ChallengeError, CodeChallenge, Presented, RefreshToken, VerifiedToken,
};
pub use self::verifier::{AccessVerifier, Expectation, LiveCheckError, VerifyError};
pub use rand_core;
