//! Where services depart from the specifications, as data.

use std::collections::BTreeMap;

use serde::Deserialize;

/// How a service departs from RFC 6749, 7009 and 7662; the default is one that does not.
///
/// All of it is plain data: a preset whose fields are changed, or read from the application's configuration with serde.
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
    /// How the parameters of a request are written.
    pub body: RequestBody,
    /// Headers that every request carries besides the usual ones.
    pub headers: BTreeMap<String, String>,
    /// Whether a refresh names the scope that was granted (RFC 6749 §6 leaves it out for "the same as before").
    pub sends_scope: bool,
    /// Scope tokens that a refresh names besides, separated by spaces. Only with [`sends_scope`](Self::sends_scope).
    pub added_scope: String,
    /// Parameters of a refresh besides the usual ones. One of the same name takes the place of a usual one.
    pub refresh_parameters: BTreeMap<String, String>,
    /// The same for a revocation or an introspection.
    pub token_parameters: BTreeMap<String, String>,
    /// The values of `token_type` that are taken, in any case (RFC 6749 §7.1). A token of another type must not be
    /// sent as a bearer token. An answer without `token_type` is taken.
    pub token_types: Vec<String>,
    /// What separates scope tokens in an answer, besides the space.
    pub scope_separator: char,
    /// Whether every answer says `ok`, and only `"ok": true` is a success.
    pub says_ok: bool,
    /// The member that holds the tokens if there are any in it; otherwise they are at the top.
    pub tokens_in: Option<String>,
    /// What the error codes of a refresh mean, before [`Meaning`]'s own list. An answer with a status of 300 to 499 and no
    /// readable code has the code `http_404` and the like.
    pub refresh_codes: BTreeMap<String, Meaning>,
    /// The same for a revocation or an introspection.
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
            refresh_codes: BTreeMap::new(),
            token_codes: BTreeMap::new(),
        }
    }
}

impl Quirks {
    /// GitHub: errors with status 200 and codes of its own, scopes with commas. "Refreshing user access tokens"
    /// (docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens),
    /// "Troubleshooting OAuth app access token request errors". A token that is unknown, expired for instance, is a 404: "Check a
    /// token" (docs.github.com/en/rest/apps/oauth-applications).
    ///
    /// So is a wrong address, which therefore passes for the revocation of a token without a refresh token. With addresses of your
    /// own, revoke one by way of trial and see that it is dead.
    pub fn github() -> Self {
        Self {
            scope_separator: ',',
            refresh_codes: codes([
                ("bad_refresh_token", Meaning::InvalidGrant),
                ("incorrect_client_credentials", Meaning::Configuration),
            ]),
            token_codes: codes([("http_404", Meaning::AccessTokenUnknown)]),
            ..Self::default()
        }
    }

    /// Slack, user tokens: errors with status 200 and `"ok": false`, token types of its own, scopes with commas, the user's
    /// tokens in `authed_user` where there are a bot's too. "oauth.v2.access" and "Using token rotation" (docs.slack.dev), and its
    /// list of errors, of which some say that "some aspect of the operation succeeded before the error was raised".
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

    /// Slack, bot tokens.
    pub fn slack_bot() -> Self {
        Self { token_types: vec!["bot".to_owned()], tokens_in: None, ..Self::slack_user() }
    }

    /// Google: `deleted_client`, of "Using OAuth 2.0 for Web Server Applications", besides the codes of the specifications.
    pub fn google() -> Self {
        Self { refresh_codes: codes([("deleted_client", Meaning::Configuration)]), ..Self::default() }
    }

    /// Microsoft Entra: a refresh names its scope, and `offline_access` for a new refresh token. `interaction_required` and
    /// `consent_required` need the user; `unauthorized_client` means that the application was taken out of the user's tenant,
    /// which an authorization undoes. "OAuth 2.0 authorization code flow", refresh and error codes
    /// (learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow); that a refresh without a scope is refused:
    /// AADSTS90009 and AADSTS90023 (learn.microsoft.com/answers/questions/192699 and 1822191); `bad_token`:
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

    /// Atlassian: JSON, and a 403 for a dead refresh token: `invalid_grant` ("Implementing the Refresh Token Flow",
    /// developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens) or `unauthorized_client` with "refresh_token is invalid"
    /// (github.com/raycast/extensions/issues/11836). An answer has no `token_type`.
    pub fn atlassian() -> Self {
        Self {
            body: RequestBody::Json,
            refresh_codes: codes([("unauthorized_client", Meaning::InvalidGrant)]),
            ..Self::default()
        }
    }

    /// Linear: a revocation of a token that is dead is a 400 or a 401. "OAuth 2.0 authentication"
    /// (linear.app/developers/oauth-2-0-authentication), by which applications from before December 2023 get their scope as a
    /// list.
    pub fn linear() -> Self {
        Self {
            token_codes: codes([("http_400", Meaning::TokenInvalid), ("http_401", Meaning::TokenInvalid)]),
            ..Self::default()
        }
    }

    /// Notion: JSON, and a header with the version of the API. "Refresh a token", "Revoke token"
    /// (developers.notion.com/reference/refresh-a-token, /revoke-token); `conflict_error`: "Status codes".
    pub fn notion() -> Self {
        Self {
            body: RequestBody::Json,
            headers: BTreeMap::from([("notion-version".to_owned(), "2025-09-03".to_owned())]),
            refresh_codes: codes([("conflict_error", Meaning::Unavailable)]),
            token_codes: codes([("conflict_error", Meaning::Unavailable)]),
            ..Self::default()
        }
    }

    /// Salesforce: `inactive_user` and `inactive_org` for a user or an organization that is locked, and `rate_limit_exceeded`
    /// ("Digging Deeper into OAuth 2.0 in Salesforce"); otherwise `invalid_grant` ("OAuth 2.0 Authorization Errors",
    /// help.salesforce.com). An answer has no `expires_in`: the organization decides how long a session lives.
    pub fn salesforce() -> Self {
        Self {
            refresh_codes: codes([
                ("inactive_user", Meaning::InvalidGrant),
                ("inactive_org", Meaning::InvalidGrant),
                ("rate_limit_exceeded", Meaning::Unavailable),
                ("invalid_client_id", Meaning::Configuration),
                ("invalid_client_credentials", Meaning::Configuration),
            ]),
            ..Self::default()
        }
    }

    /// What `code` means in the answer to a refresh, if it is known.
    pub(in crate::vault) fn at_refresh(&self, code: &str) -> Option<Meaning> {
        meaning(&self.refresh_codes, AT_REFRESH, code)
    }

    /// What `code` means in the answer to a revocation or an introspection, if it is known.
    pub(in crate::vault) fn about_a_token(&self, code: &str) -> Option<Meaning> {
        meaning(&self.token_codes, ABOUT_A_TOKEN, code)
    }
}

fn codes<const N: usize>(known: [(&str, Meaning); N]) -> BTreeMap<String, Meaning> {
    known.into_iter().map(|(code, meaning)| (code.to_owned(), meaning)).collect()
}

/// The meaning of `code` in any case; the service's own list comes first.
fn meaning(own: &BTreeMap<String, Meaning>, standard: &[(&str, Meaning)], code: &str) -> Option<Meaning> {
    let own = own.iter().map(|(known, meaning)| (known.as_str(), *meaning));
    own.chain(standard.iter().copied()).find(|(known, _)| known.eq_ignore_ascii_case(code)).map(|(_, meaning)| meaning)
}

/// How the parameters of a request are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RequestBody {
    /// `application/x-www-form-urlencoded`, as the specifications have it.
    #[default]
    Form,
    /// `application/json`: one object of texts.
    Json,
}

/// What an error code means. In a configuration the names are `invalid_grant`, `access_token_unknown` and so on.
///
/// These are known without being listed in [`Quirks`]:
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
    /// The service refuses, and it is not known whether that passes: the meaning of every code that is in no list. If a refresh
    /// gets nothing else for the time of the policy's
    /// [`refusal_limit`](crate::vault::RefreshPolicyBuilder::refusal_limit), the user is asked to authorize again.
    Refused,
    /// The grant is dead, and the user has to authorize again.
    InvalidGrant,
    /// The service refuses this client, or the request as it is made: the operator has to act, and the grant may well be alive.
    Configuration,
    /// The token that was asked about is dead, and so is everything from the same grant.
    TokenInvalid,
    /// The access token that was asked about is dead, or only expired: a refresh token may still be alive.
    AccessTokenUnknown,
    /// Tokens of this kind cannot be revoked (RFC 7009 §2.2.1).
    Unsupported,
    /// Certainly nothing has changed: later.
    Unavailable,
    /// It may have been carried out.
    Uncertain,
}

/// RFC 6749 §5.2 and two codes of §4.1.2.1 that token endpoints use too; OpenID Connect Core §3.1.2.6, for services that send the
/// user back to the authorization endpoint; RFC 8628 §3.5; and the names that services give a dead refresh token.
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

/// RFC 6749 §5.2, RFC 7009 §2.2.1, RFC 6750 §3.1 (what Google answers to the revocation of a revoked token).
const ABOUT_A_TOKEN: &[(&str, Meaning)] = &[
    ("invalid_token", Meaning::TokenInvalid),
    ("unsupported_token_type", Meaning::Unsupported),
    ("invalid_client", Meaning::Configuration),
    ("temporarily_unavailable", Meaning::Unavailable),
    ("slow_down", Meaning::Unavailable),
    ("server_error", Meaning::Uncertain),
];
