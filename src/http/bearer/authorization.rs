//! Reads the token of a request from one `Authorization` header, and from nowhere else (OAuth 2.1 §5.1.1, RFC 6750
//! §2.1).

use std::fmt;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::messages::TokenType;

/// The longest accepted token, in bytes.
const MAX_TOKEN: usize = 8 * 1024;

/// What a request presents as credentials.
#[derive(PartialEq, Eq)]
pub(super) enum Credentials<'a> {
    /// No credentials, or another scheme. A token in the query alone is ignored.
    None,
    /// A token with valid syntax, and its scheme.
    Token(TokenType, &'a str),
    /// Text with an invalid syntax for a token.
    Malformed,
    /// More than one `Authorization` header, or a token in the query besides the one in the header (RFC 6750 §2).
    Misplaced,
}

impl<'a> Credentials<'a> {
    /// Reads the `Authorization` header of a request with `query`. `dpop` permits the scheme `DPoP` (RFC 9449 §7.1).
    pub(super) fn read(headers: &'a HeaderMap, query: Option<&str>, dpop: bool) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Self::None };
        if values.next().is_some() {
            return Self::Misplaced;
        }
        let bytes = value.as_bytes();
        let end = bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len());
        let (scheme, rest) = bytes.split_at(end);
        let scheme = match scheme {
            scheme if scheme.eq_ignore_ascii_case(b"bearer") => TokenType::Bearer,
            scheme if dpop && scheme.eq_ignore_ascii_case(b"dpop") => TokenType::Dpop,
            _ => return Self::None,
        };
        if query.is_some_and(has_token) {
            return Self::Misplaced;
        }
        match std::str::from_utf8(rest.trim_ascii_start()) {
            Ok(token) if is_token(token) => Self::Token(scheme, token),
            _ => Self::Malformed,
        }
    }
}

/// Shows the scheme without the token.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Token(scheme, _) => write!(f, "Token({scheme:?}, ..)"),
            Self::Malformed => f.write_str("Malformed"),
            Self::Misplaced => f.write_str("Misplaced"),
        }
    }
}

/// Whether the query contains an access token.
fn has_token(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
}

/// Whether `text` has the syntax `b64token` of RFC 6750 §2.1.
fn is_token(text: &str) -> bool {
    let stem = text.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    // Checks all bytes without a branch, which the compiler vectorizes, because this runs for each request.
    text.len() <= MAX_TOKEN && !stem.is_empty() && stem.bytes().fold(true, |so_far, byte| so_far & allowed(byte))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect()
    }

    fn bearer(token: &str) -> Credentials<'_> {
        Credentials::Token(TokenType::Bearer, token)
    }

    /// spec: RFC 6750 §2.1
    #[test]
    fn read_takes_one_bearer_header_with_its_scheme_in_any_case() {
        for value in ["Bearer abc", "bearer abc", "BEARER   abc"] {
            assert_eq!(Credentials::read(&headers(&[value]), None, false), bearer("abc"), "{value}");
        }
        let every = "Bearer AZaz09-._~+/==";
        assert_eq!(Credentials::read(&headers(&[every]), Some("a=b"), false), bearer("AZaz09-._~+/=="));
    }

    #[test]
    fn another_scheme_presents_nothing() {
        for value in ["Basic abc", "Bearerabc", "DPoP abc", "", "Token Bearer abc"] {
            assert_eq!(Credentials::read(&headers(&[value]), None, false), Credentials::None, "{value}");
        }
        assert_eq!(Credentials::read(&headers(&[]), None, false), Credentials::None);
        assert_eq!(Credentials::read(&headers(&["dpop abc"]), None, true), Credentials::Token(TokenType::Dpop, "abc"));
        assert_eq!(Credentials::read(&headers(&["bearer abc"]), None, true), bearer("abc"));
    }

    /// spec: RFC 6750 §2.1
    #[test]
    fn read_calls_what_is_no_token_malformed() {
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN + 1));
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a,b",
            "Bearer \"a\"",
            "Bearer =",
            "Bearer a=b",
            "Bearer ä",
            &long,
        ] {
            assert_eq!(Credentials::read(&headers(&[value]), None, false), Credentials::Malformed, "{value}");
        }
        let longest = format!("Bearer {}", "a".repeat(MAX_TOKEN));
        assert!(matches!(Credentials::read(&headers(&[&longest]), None, false), Credentials::Token(..)));
    }

    /// spec: RFC 6750 §2.3
    #[test]
    fn read_calls_a_second_header_or_a_query_token_misplaced() {
        assert_eq!(Credentials::read(&headers(&["Bearer a", "Bearer a"]), None, false), Credentials::Misplaced);
        assert_eq!(Credentials::read(&headers(&["Bearer a", "Basic b"]), None, false), Credentials::Misplaced);
        for query in ["access_token=a", "a=b&access_token=", "access%5Ftoken=a", "access_token"] {
            assert_eq!(
                Credentials::read(&headers(&["Bearer a"]), Some(query), false),
                Credentials::Misplaced,
                "{query}"
            );
        }
    }

    /// spec: RFC 6750 §3.1
    /// spec: RFC 6750 §2.3
    #[test]
    fn read_finds_no_token_in_the_query_alone() {
        for values in [&[][..], &["Basic abc"], &[""]] {
            for query in ["access_token=a", "a=b&access_token=", "access%5Ftoken=a"] {
                assert_eq!(
                    Credentials::read(&headers(values), Some(query), true),
                    Credentials::None,
                    "{values:?} {query}"
                );
            }
        }
    }
}
