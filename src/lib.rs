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

mod access_keys;
#[cfg(any(feature = "http", feature = "upstream"))]
mod address;
mod audit;
mod base64url;
mod claims;
mod client;
mod crypto;
pub mod decision;
mod entropy;
mod error;
mod family;
mod grant;
mod grant_check;
mod grant_error;
#[cfg(feature = "http")]
pub mod http;
mod id;
mod issuer;
mod keyring;
mod live;
mod master_key;
mod newest_key;
mod outage;
mod policy;
mod record;
mod redacted;
mod request;
mod response;
mod sealed;
mod sessions;
mod shown;
mod store;
mod time;
mod token;
mod upkeep;
#[cfg(feature = "upstream")]
pub mod upstream;
mod uri;
mod verifier;

pub use self::access_keys::AccessKeys;
pub use self::audit::*;
pub use self::claims::AccessClaims;
pub use self::client::*;
pub use self::entropy::{Entropy, EntropyError, OsEntropy};
pub use self::error::{Error, ErrorKind};
pub use self::family::{FamilyId, IssuerId, RevocationReason, Status, TokenFamily};
pub use self::grant::{Grant, Resource, Scope};
pub use self::grant_check::{GrantCheck, Standing};
pub use self::grant_error::GrantError;
pub use self::issuer::TokenIssuer;
pub use self::keyring::{KeyId, Keyring};
pub use self::master_key::{KeyringError, MasterKey};
pub use self::outage::Outages;
pub use self::policy::*;
pub use self::request::{AuthorizeRequest, RedeemRequest, RefreshRequest};
pub use self::response::*;
pub use self::store::*;
pub use self::time::{CLOCK_TOLERANCE, Clock, SystemClock, Timestamp};
pub use self::token::*;
pub use self::verifier::{AccessVerifier, Expectation, VerifyError};
