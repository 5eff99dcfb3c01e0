//! How services deviate from the specifications, as data.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::grant::Scope;

/// How a service deviates from RFC 6749, RFC 7009 and RFC 7662. The default does not deviate.
///
/// All of it is plain data: change the fields of a preset, or read it from the application's configuration with serde.
///
/// ```
/// use mcp_token_lifecycle::vault::{Meaning, Quirks};
///
/// let mut quirks = Quirks::default();
/// quirks.sends_scope = true;
/// quirks.refresh_codes.insert("grant-expired".to_owned(), Meaning::InvalidGrant);
///
/// let same: Quirks =
///     serde_json::from_str(r#"{ "sends_scope": true, "refresh_codes": { "grant-expired": "invalid_grant" } }"#)?;
/// assert_eq!(same, quirks);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Quirks {
    /// How the parameters of a request are encoded.
    pub body: RequestBody,
    /// Additional headers of each request.
    pub headers: BTreeMap<String, String>,
    /// Whether a refresh names the scope that was granted. RFC 6749 §6 leaves it out for an unchanged scope.
    pub sends_scope: bool,
    /// Additional scope tokens that each authorization request names, and with [`sends_scope`](Self::sends_scope) each
    /// refresh, separated by spaces: `offline_access` for example. They are no scope of a request to the service, so they
    /// are left out of the scope of an answer.
    pub added_scope: String,
    /// Additional parameters of a refresh. One with the name of a standard parameter replaces it.
    pub refresh_parameters: BTreeMap<String, String>,
    /// Additional parameters of a revocation or an introspection. One with the name of a standard parameter replaces
    /// it.
    pub token_parameters: BTreeMap<String, String>,
    /// The accepted values of `token_type`, case-insensitive (RFC 6749 §7.1). A token of another type must not be sent
    /// as a bearer token. An answer without `token_type` is accepted.
    pub token_types: Vec<String>,
    /// A separator of scope tokens in answers, in addition to the space.
    pub scope_separator: char,
    /// Whether each answer has a member `ok`, and only `"ok": true` is a success.
    pub says_ok: bool,
    /// The member that holds the tokens, if they are not at the top level.
    pub tokens_in: Option<String>,
    /// Whether a revocation ends all grants that the user has given the client, also later ones; see
    /// [`UpstreamProvider::revokes_whole_grants`](crate::vault::UpstreamProvider::revokes_whole_grants).
    pub revokes_whole_grants: bool,
    /// What the error codes of a refresh or of the exchange of a code mean. These come before the list of [`Meaning`]. An answer with a status from
    /// 300 to 499 and no readable code has a code such as `http_404`.
    pub refresh_codes: BTreeMap<String, Meaning>,
    /// What the error codes of a revocation or an introspection mean. These come before the list of [`Meaning`].
    pub token_codes: BTreeMap<String, Meaning>,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            body: RequestBody::Form,
            headers: BTreeMap::new(),
            sends_scope: false,
            added_scope: String::new(),
            refresh_parameters: BTreeMap::new(),
            token_parameters: BTreeMap::new(),
            token_types: vec!["Bearer".to_owned()],
            scope_separator: ' ',
            says_ok: false,
            tokens_in: None,
            revokes_whole_grants: false,
            refresh_codes: BTreeMap::new(),
            token_codes: BTreeMap::new(),
        }
    }
}

impl Quirks {
    /// GitHub: errors with status 200 and its own codes, scopes separated by commas.
    ///
    /// Sources: "Refreshing user access tokens"
    /// (docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens)
    /// and "Troubleshooting OAuth app access token request errors". An unknown or expired token is a 404: "Check a
    /// token" (docs.github.com/en/rest/apps/oauth-applications).
    ///
    /// A wrong address is a 404 too, and counts as the revocation of a token that has no refresh token. If you change
    /// the addresses, revoke a test token and check that it no longer works.
    pub fn github() -> Self {
        Self {
            scope_separator: ',',
            revokes_whole_grants: true,
            refresh_codes: codes([
                ("bad_refresh_token", Meaning::InvalidGrant),
                ("bad_verification_code", Meaning::InvalidGrant),
                ("incorrect_client_credentials", Meaning::Configuration),
                ("redirect_uri_mismatch", Meaning::Configuration),
            ]),
            token_codes: codes([("http_404", Meaning::AccessTokenUnknown)]),
            ..Self::default()
        }
    }

    /// Slack user tokens: errors with status 200 and `"ok": false`, its own token types, scopes separated by commas,
    /// and the user's tokens in `authed_user` if the answer also has a bot's.
    ///
    /// Sources: "oauth.v2.access" and "Using token rotation" (docs.slack.dev), and its list of errors. Some of these
    /// say that "some aspect of the operation succeeded before the error was raised".
    pub fn slack_user() -> Self {
        let passing = [
            ("ratelimited", Meaning::Unavailable),
            ("service_unavailable", Meaning::Unavailable),
            ("internal_error", Meaning::Uncertain),
            ("fatal_error", Meaning::Uncertain),
            ("request_timeout", Meaning::Uncertain),
        ];
        let mut refresh_codes = codes([
            ("token_expired", Meaning::InvalidGrant),
            ("token_revoked", Meaning::InvalidGrant),
            ("invalid_auth", Meaning::InvalidGrant),
            ("account_inactive", Meaning::InvalidGrant),
            ("invalid_code", Meaning::InvalidGrant),
            ("bad_redirect_uri", Meaning::Configuration),
            ("bad_client_secret", Meaning::Configuration),
            ("invalid_client_id", Meaning::Configuration),
            ("invalid_grant_type", Meaning::Configuration),
        ]);
        refresh_codes.extend(codes(passing));
        let mut token_codes = codes([
            ("token_expired", Meaning::AccessTokenUnknown),
            ("invalid_auth", Meaning::AccessTokenUnknown),
            ("token_revoked", Meaning::TokenInvalid),
            ("account_inactive", Meaning::TokenInvalid),
        ]);
        token_codes.extend(codes(passing));
        Self {
            token_types: vec!["user".to_owned()],
            scope_separator: ',',
            says_ok: true,
            tokens_in: Some("authed_user".to_owned()),
            refresh_codes,
            token_codes,
            ..Self::default()
        }
    }

    /// Slack bot tokens; otherwise as [`slack_user`](Self::slack_user).
    pub fn slack_bot() -> Self {
        Self { token_types: vec!["bot".to_owned()], tokens_in: None, ..Self::slack_user() }
    }

    /// Google: the codes `deleted_client` and `redirect_uri_mismatch` in addition to the codes of the specifications ("Using OAuth 2.0 for Web
    /// Server Applications").
    pub fn google() -> Self {
        let refresh_codes =
            codes([("deleted_client", Meaning::Configuration), ("redirect_uri_mismatch", Meaning::Configuration)]);
        Self { refresh_codes, ..Self::default() }
    }

    /// Microsoft Entra: a refresh names its scope, and `offline_access` to get a new refresh token.
    ///
    /// `interaction_required` and `consent_required` need the user. `unauthorized_client` means that the application
    /// was removed from the user's tenant; a new authorization adds it again.
    ///
    /// Sources: "OAuth 2.0 authorization code flow", refresh and error codes
    /// (learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow). A refresh without a scope is refused:
    /// AADSTS90009 and AADSTS90023 (learn.microsoft.com/answers/questions/192699 and 1822191). `bad_token`:
    /// `InteractionRequiredAuthErrorCodes` of the Microsoft Authentication Library.
    pub fn entra() -> Self {
        Self {
            sends_scope: true,
            added_scope: "offline_access".to_owned(),
            refresh_codes: codes([
                ("unauthorized_client", Meaning::InvalidGrant),
                ("bad_token", Meaning::InvalidGrant),
            ]),
            ..Self::default()
        }
    }

    /// Atlassian: JSON bodies, the scope `offline_access`, and a 403 for a refresh token that is no longer valid. Answers
    /// have no `token_type`.
    ///
    /// Sources: `invalid_grant` in "Implementing the Refresh Token Flow"
    /// (developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens); `unauthorized_client` with "refresh_token
    /// is invalid" (github.com/raycast/extensions/issues/11836).
    pub fn atlassian() -> Self {
        Self {
            body: RequestBody::Json,
            added_scope: "offline_access".to_owned(),
            refresh_codes: codes([("unauthorized_client", Meaning::InvalidGrant)]),
            ..Self::default()
        }
    }

    /// Linear: the revocation of an invalid token is a 400 or a 401.
    ///
    /// Source: "OAuth 2.0 authentication" (linear.app/developers/oauth-2-0-authentication). According to it,
    /// applications from before December 2023 get their scope as a list.
    pub fn linear() -> Self {
        Self {
            token_codes: codes([("http_400", Meaning::TokenInvalid), ("http_401", Meaning::TokenInvalid)]),
            ..Self::default()
        }
    }

    /// Notion: JSON bodies, and a header with the version of the API.
    ///
    /// Sources: "Refresh a token" and "Revoke token" (developers.notion.com/reference/refresh-a-token, /revoke-token);
    /// `conflict_error`: "Status codes".
    pub fn notion() -> Self {
        Self {
            body: RequestBody::Json,
            headers: BTreeMap::from([("notion-version".to_owned(), "2025-09-03".to_owned())]),
            refresh_codes: codes([("conflict_error", Meaning::Unavailable)]),
            token_codes: codes([("conflict_error", Meaning::Unavailable)]),
            ..Self::default()
        }
    }

    /// Salesforce: the scope `refresh_token`, `inactive_user` and `inactive_org` for a locked user or organization, and
    /// `rate_limit_exceeded`. Answers have no `expires_in`: the organization decides how long a session lives.
    ///
    /// Sources: "Digging Deeper into OAuth 2.0 in Salesforce"; `invalid_grant` in "OAuth 2.0 Authorization Errors"
    /// (help.salesforce.com).
    pub fn salesforce() -> Self {
        Self {
            added_scope: "refresh_token".to_owned(),
            refresh_codes: codes([
                ("inactive_user", Meaning::InvalidGrant),
                ("inactive_org", Meaning::InvalidGrant),
                ("rate_limit_exceeded", Meaning::Unavailable),
                ("invalid_client_id", Meaning::Configuration),
                ("invalid_client_credentials", Meaning::Configuration),
                ("redirect_uri_mismatch", Meaning::Configuration),
            ]),
            ..Self::default()
        }
    }

    /// Discord: a revocation ends all tokens that the user has given the application.
    ///
    /// Source: "Revoking access tokens" of the Social SDK (docs.discord.com/developers/discord-social-sdk).
    pub fn discord() -> Self {
        Self { revokes_whole_grants: true, ..Self::default() }
    }

    /// Returns what `code` means in the answer to a refresh or an exchange, if it is known.
    pub(in crate::vault) fn at_refresh(&self, code: &str) -> Option<Meaning> {
        meaning(&self.refresh_codes, AT_REFRESH, code)
    }

    /// Returns what `code` means in the answer to a revocation or an introspection, if it is known.
    pub(in crate::vault) fn about_a_token(&self, code: &str) -> Option<Meaning> {
        meaning(&self.token_codes, ABOUT_A_TOKEN, code)
    }
}

/// Joins `scope` and the tokens of `added` that it does not have.
pub(super) fn added_to(scope: &Scope, added: &str, separator: char) -> String {
    let added = added.split_ascii_whitespace().filter(|token| !scope.contains(token));
    scope.iter().chain(added).collect::<Vec<_>>().join(separator.encode_utf8(&mut [0; 4]))
}

fn codes<const N: usize>(known: [(&str, Meaning); N]) -> BTreeMap<String, Meaning> {
    known.into_iter().map(|(code, meaning)| (code.to_owned(), meaning)).collect()
}

/// Returns the meaning of `code`, case-insensitive. The service's own list comes first.
fn meaning(own: &BTreeMap<String, Meaning>, standard: &[(&str, Meaning)], code: &str) -> Option<Meaning> {
    let own = own.iter().map(|(known, meaning)| (known.as_str(), *meaning));
    own.chain(standard.iter().copied()).find(|(known, _)| known.eq_ignore_ascii_case(code)).map(|(_, meaning)| meaning)
}

/// How the parameters of a request are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RequestBody {
    /// `application/x-www-form-urlencoded`, as the specifications require.
    #[default]
    Form,
    /// `application/json`: one object of strings.
    Json,
}

/// What an error code means. In a configuration the names are in snake case, such as `invalid_grant`.
///
/// These are known without an entry in [`Quirks`]:
///
/// | meaning | at a refresh | at a revocation or an introspection |
/// |---|---|---|
/// | `InvalidGrant` | `invalid_grant`, `invalid_token`, `invalid_refresh_token`, `bad_refresh_token`, `expired_refresh_token`, `refresh_token_expired`, `expired_token`, `interaction_required`, `login_required`, `consent_required`, `account_selection_required` | |
/// | `TokenInvalid` | | `invalid_token` |
/// | `Configuration` | `invalid_client`, `unsupported_grant_type`, a redirect | `invalid_client`, a redirect |
/// | `Unsupported` | | `unsupported_token_type` |
/// | `Unavailable` | `temporarily_unavailable`, `slow_down` | the same |
/// | `Uncertain` | `server_error` | the same |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Meaning {
    /// The service refuses, and it is not known whether that passes. This is the meaning of each code that is in no
    /// list. If refreshes only get such refusals for the policy's
    /// [`refusal_limit`](crate::vault::RefreshPolicyBuilder::refusal_limit), the user is asked to authorize again.
    Refused,
    /// The grant has ended, and the user has to authorize again.
    InvalidGrant,
    /// The service refuses this client or this kind of request. The operator has to act; the grant may still be valid.
    Configuration,
    /// The token in the request is invalid, and so are all others of the same grant.
    TokenInvalid,
    /// The access token in the request is invalid or expired. A refresh token may still be valid.
    AccessTokenUnknown,
    /// Tokens of this kind cannot be revoked (RFC 7009 §2.2.1).
    Unsupported,
    /// The service did not carry out the request, which can be repeated later.
    Unavailable,
    /// The service may have carried out the request.
    Uncertain,
}

/// Codes from RFC 6749 §5.2; two codes of §4.1.2.1 that token endpoints use too; OpenID Connect Core §3.1.2.6, for
/// services that send the user back to the authorization endpoint; RFC 8628 §3.5; and the names that services use for
/// an invalid refresh token.
const AT_REFRESH: &[(&str, Meaning)] = &[
    ("invalid_grant", Meaning::InvalidGrant),
    ("invalid_token", Meaning::InvalidGrant),
    ("invalid_refresh_token", Meaning::InvalidGrant),
    ("bad_refresh_token", Meaning::InvalidGrant),
    ("expired_refresh_token", Meaning::InvalidGrant),
    ("refresh_token_expired", Meaning::InvalidGrant),
    ("expired_token", Meaning::InvalidGrant),
    ("interaction_required", Meaning::InvalidGrant),
    ("login_required", Meaning::InvalidGrant),
    ("consent_required", Meaning::InvalidGrant),
    ("account_selection_required", Meaning::InvalidGrant),
    ("invalid_client", Meaning::Configuration),
    ("unsupported_grant_type", Meaning::Configuration),
    ("temporarily_unavailable", Meaning::Unavailable),
    ("slow_down", Meaning::Unavailable),
    ("server_error", Meaning::Uncertain),
];

/// Codes from RFC 6749 §5.2, RFC 7009 §2.2.1 and RFC 6750 §3.1; Google answers with the last to the revocation of a
/// revoked token.
const ABOUT_A_TOKEN: &[(&str, Meaning)] = &[
    ("invalid_token", Meaning::TokenInvalid),
    ("unsupported_token_type", Meaning::Unsupported),
    ("invalid_client", Meaning::Configuration),
    ("temporarily_unavailable", Meaning::Unavailable),
    ("slow_down", Meaning::Unavailable),
    ("server_error", Meaning::Uncertain),
];
