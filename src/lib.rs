//! The whole life of a token for MCP servers: issue short-lived access tokens, rotate refresh tokens, detect reuse, revoke the
//! whole token family, introspect, purge, and keep everything encrypted at rest.
//!
//! The crate decides; the application brings storage and transport. It carries out what the
//! [MCP authorization specification](https://modelcontextprotocol.io/specification/), OAuth 2.1, RFC 9700 (security best
//! practice), 7009 (revocation), 7662 (introspection) and 8707 (resource indicators) ask of tokens.
//!
//! # The flow
//!
//! ```text
//! request ──► token/      format, guard, MAC: is it one of ours?
//!             decision/   family + request + policy + now ──► write? answer, event      (pure functions)
//!             record      seal the family's next state
//! store   ◄── issuer      compare-and-swap; on a conflict load again and decide again
//! answer  ◄── response    tokens, or invalid_grant and not a word more
//! audit   ◄── audit       what happened and why, never a token
//! ```
//!
//! All tokens descended from one consent are a [`TokenFamily`]: one sealed record of constant size with one counter, the
//! *generation*. A refresh token is derived from the family and the generation, never stored; so a response that was lost can
//! be given again, a token that was spent is known by its number, and revoking the family is one write.
//!
//! ```
//! use mcp_token_lifecycle::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> { pollster::block_on(async {
//! let keyring = Keyring::new(KeyId::new(1), MasterKey::generate()?);
//! let issuer = TokenIssuer::new(MemoryStore::new(), keyring).with_policies(RotationPolicy::standard());
//!
//! // The user has logged in and consented; the client sent an S256 challenge along.
//! let here = Resource::parse("https://mcp.example.com/mcp")?;
//! let grant = Grant::new("user-1", "client-1", Scope::parse("mcp:read")?, here.clone())?;
//! let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
//! let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "S256")?;
//! let code = issuer.authorize(AuthorizeRequest::new(grant, challenge, "http://127.0.0.1/callback")).await?;
//!
//! // POST /token, grant_type=authorization_code
//! let client = Client::public("client-1");
//! let request = RedeemRequest::new(&client, code.expose(), "http://127.0.0.1/callback", verifier);
//! let tokens = issuer.redeem(&request).await?.into_result()?;
//!
//! // Every request to the protected resource
//! let claims = issuer.verifier().verify(
//!     tokens.access_token.expose(),
//!     &Expectation::resource(&here).scope(&Scope::parse("mcp:read")?),
//!     SystemClock.now(),
//! )?;
//! assert_eq!(claims.subject(), "user-1");
//!
//! // POST /token, grant_type=refresh_token
//! let request = RefreshRequest::new(&client, tokens.refresh_token.expose());
//! let tokens = issuer.refresh(&request).await?.into_result()?;
//!
//! // POST /revoke
//! issuer.revoke(&client, tokens.refresh_token.expose(), None).await?;
//! let request = RefreshRequest::new(&client, tokens.refresh_token.expose());
//! match issuer.refresh(&request).await {
//!     Ok(Answer::Issue(_)) => unreachable!("the family is dead"),
//!     Ok(Answer::Deny(error)) => assert_eq!(error.status(), 400),   // invalid_grant
//!     Err(_) => { /* 503: a fault of the server; the client tries again with the same token */ }
//! }
//! # Ok(()) }) }
//! ```
//!
//! # Where to go on
//!
//! * [`TokenIssuer`] has every operation, [`AccessVerifier`] the per-request path for a server that holds [`AccessKeys`] alone.
//! * [`RotationPolicy`] and [`PolicySet`] say how tokens live. The presets are a good start.
//! * [`TokenStore`] is what a storage adapter implements; [`MemoryStore`], `RedbStore`, `PostgresStore` and `RedisStore` are here.
//! * [`decision`] has the pure functions and the table they follow: the place to begin an audit.
//! * [`AuditSink`] is where the reasons go that no client ever sees.
//!
//! # Security notes
//!
//! * A leaked database alone, or a leaked key alone, forges no refresh token; it takes both. A leaked key does forge access
//!   tokens, until it is dropped from the keyring: a master key for every resource, [`AccessKeys::for_resource`] for that one.
//! * Offline verification does not see a revocation before the access token expires. [`TokenIssuer::verify_live`] does.
//! * The application authenticates clients, checks redirect URIs against their registration and authorises whoever
//!   introspects, unless the feature `http` does that for it; and it verifies DPoP proofs or certificates before it passes on
//!   a [`Binding`].
//! * A [`TokenStore`] that loses an acknowledged write brings a spent token back to life without any alarm.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `redb` | yes | `RedbStore`: one file, pure Rust, durable, group commit |
//! | `tracing` | no | `TracingAudit`: audit events as structured `tracing` events |
//! | `conformance` | no | `conformance`: the checks that any store must pass |
//! | `postgres` | no | `PostgresStore`: a table that any number of processes share |
//! | `redis` | no | `RedisStore`: Redis or Valkey, one server, Sentinel or Cluster |
//! | `http` | no | `http`: the OAuth endpoints and the bearer check, over the `http` types and the tower traits |
//! | `upstream` | no | `upstream`: a vault for the credentials that the server itself holds for its users |
//! | `os-keyring` | no | `upstream::OsKeyring`: master keys in the operating system's credential store |
//! | `ring` | no | ring instead of pure Rust for XChaCha20-Poly1305: the same bytes, faster |

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
#![warn(clippy::exhaustive_enums)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::todo,
    clippy::unimplemented,
    clippy::dbg_macro,
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
#[cfg(feature = "http")]
pub mod http;
mod id;
mod issuer;
mod keys;
mod net;
mod policy;
mod record;
mod store;
mod time;
mod token;
#[cfg(feature = "vault")]
pub mod vault;
mod verifier;

pub use self::crypto::random::EntropyError;
#[cfg(feature = "tracing")]
pub use crate::audit::TracingAudit;
pub use crate::audit::{
    Action, AuditEvent, AuditSink, Claim, ErrorCode, HttpEndpoint, NoAudit, Reason, RevocationReason,
};
pub use crate::decision::Outages;
pub use crate::error::{Error, ErrorKind};
pub use crate::family::{Status, TokenFamily};
pub use crate::grant::{
    AccessClaims, Binding, Client, ClientKind, Grant, GrantError, Resource, ResourceError, Scope, ScopeError,
};
pub use crate::id::{FamilyId, IndexKey, IssuerId, RecordKey};
pub use crate::issuer::{
    Answer, AuthorizeRequest, ErrorResponse, GrantCheck, GrantStatus, IntrospectionResponse, RedeemRequest,
    RefreshRequest, TokenIssuer, TokenResponse, TokenType,
};
pub use crate::keys::{AccessKeys, KeyId, Keyring, KeyringError, MasterKey};
pub use crate::policy::{
    Lifetimes, OnAhead, OnReuse, OnSuperseded, PolicyError, PolicySet, Rotation, RotationPolicy, RotationPolicyBuilder,
    ScopeLimit,
};
#[cfg(feature = "conformance")]
pub use crate::store::conformance;
pub use crate::store::{
    BoxFuture, Commit, Cursor, DynTokenStore, MemoryStore, Page, Record, Select, StoreError, TokenStore,
};
#[cfg(feature = "postgres")]
pub use crate::store::{PostgresError, PostgresStore};
#[cfg(feature = "redb")]
pub use crate::store::{RedbOpenError, RedbStore};
#[cfg(feature = "redis")]
pub use crate::store::{RedisConnectError, RedisStore};
pub use crate::time::{CLOCK_TOLERANCE, Clock, SystemClock, Timestamp};
pub use crate::token::{
    AccessToken, AuthorizationCode, ChallengeError, CodeChallenge, Presented, RefreshToken, VerifiedToken,
};
pub use crate::verifier::{AccessVerifier, Expectation, VerifyError};
pub use rand_core;
