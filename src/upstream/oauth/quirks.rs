//! Where services depart from the specification, as data.

/// How a service departs from RFC 6749, 7009 and 7662. [`Quirks::NONE`] is one that does not.
///
/// ```
/// use mcp_token_lifecycle::upstream::{Meaning, Quirks};
///
/// let mut quirks = Quirks::NONE;
/// quirks.token_type_optional = true;
/// quirks.codes = &[("expired_refresh_token", Meaning::InvalidGrant)];
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Quirks {
    /// The values of `token_type` that are taken, whatever their case (RFC 6749 §7.1). The vault's tokens are bearer tokens: a
    /// token of another type must not be sent as one.
    pub token_types: &'static [&'static str],
    /// Whether an answer without `token_type` is taken.
    pub token_type_optional: bool,
    /// What separates scope tokens in an answer, besides the space.
    pub scope_separator: char,
    /// Whether every answer says `ok`: without `"ok": true` it is no success, whatever its status.
    pub says_ok: bool,
    /// Whether the tokens are in the member `authed_user` if there are any, and only otherwise at the top.
    pub in_authed_user: bool,
    /// What the service's error codes mean, before [`Meaning`]'s own list. An answer with a status of 300 to 499 and no readable
    /// code has the code `http_404` and the like.
    pub codes: &'static [(&'static str, Meaning)],
}

impl Quirks {
    /// None at all.
    pub const NONE: Self = Self {
        token_types: &["Bearer"],
        token_type_optional: false,
        scope_separator: ' ',
        says_ok: false,
        in_authed_user: false,
        codes: &[],
    };

    /// GitHub: errors with status 200 and codes of its own, scopes with commas. "Refreshing user access tokens"
    /// (docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens),
    /// "Troubleshooting OAuth app access token request errors". A token that is unknown, expired for instance, is a 404: "Check a
    /// token" (docs.github.com/en/rest/apps/oauth-applications).
    ///
    /// So is a wrong address, which therefore passes for the revocation of a token without a refresh token. With addresses of your
    /// own, revoke one by way of trial and see that it is dead.
    pub const GITHUB: Self = Self {
        scope_separator: ',',
        codes: &[("bad_refresh_token", Meaning::InvalidGrant), ("http_404", Meaning::AccessTokenUnknown)],
        ..Self::NONE
    };

    /// Slack, user tokens: errors with status 200 and `"ok": false`, token types of its own, scopes with commas, the user's
    /// tokens in `authed_user` where there are a bot's too. "oauth.v2.access" and "Using token rotation" (docs.slack.dev), and its
    /// list of errors, of which some say that "some aspect of the operation succeeded before the error was raised".
    pub const SLACK_USER: Self = Self {
        token_types: &["user"],
        scope_separator: ',',
        says_ok: true,
        in_authed_user: true,
        codes: &[
            ("invalid_refresh_token", Meaning::InvalidGrant),
            ("token_expired", Meaning::AccessTokenUnknown),
            ("token_revoked", Meaning::TokenInvalid),
            ("account_inactive", Meaning::TokenInvalid),
            ("ratelimited", Meaning::Unavailable),
            ("service_unavailable", Meaning::Unavailable),
            ("internal_error", Meaning::Uncertain),
            ("fatal_error", Meaning::Uncertain),
            ("request_timeout", Meaning::Uncertain),
        ],
        ..Self::NONE
    };

    /// Slack, bot tokens.
    pub const SLACK_BOT: Self = Self { token_types: &["bot"], in_authed_user: false, ..Self::SLACK_USER };

    /// What `code` means, if it is known.
    pub(super) fn meaning(&self, code: &str) -> Option<Meaning> {
        let mut known = self.codes.iter().chain(STANDARD);
        known.find(|(known, _)| *known == code).map(|(_, meaning)| *meaning)
    }
}

/// What an error code means. These are known without being listed in [`Quirks::codes`]: `invalid_grant`, `invalid_token` (what
/// Google answers to the revocation of a revoked token), `unsupported_token_type`, `temporarily_unavailable`, `server_error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Meaning {
    /// The service refuses, and nothing is wrong with the credential; the meaning of every code that is not known.
    Refused,
    /// The refresh token is not honoured any more; elsewhere than in the answer to a refresh: refused.
    InvalidGrant,
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

/// RFC 6749 §5.2, RFC 7009 §2.2.1, RFC 6750 §3.1, and two codes of RFC 6749 §4.1.2.1 that token endpoints use too.
const STANDARD: &[(&str, Meaning)] = &[
    ("invalid_grant", Meaning::InvalidGrant),
    ("invalid_token", Meaning::TokenInvalid),
    ("unsupported_token_type", Meaning::Unsupported),
    ("temporarily_unavailable", Meaning::Unavailable),
    ("server_error", Meaning::Uncertain),
];
