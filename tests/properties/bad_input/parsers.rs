//! The parsers of everything that is no token.

use base64ct::{Base64UrlUnpadded, Encoding};
use mcp_token_lifecycle::{AccessKeys, CodeChallenge, Keyring, Resource, Scope};
use proptest::prelude::*;

use crate::altered;
use crate::arbitrary::text;
use crate::property::runner;
use crate::support::*;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[test]
fn parse_of_arbitrary_text_yields_one_canonical_form() {
    let run = |text: String| {
        if let Ok(scope) = Scope::parse(&text) {
            let again = Scope::parse(scope.as_str());
            prop_assert_eq!(again.as_ref(), Ok(&scope));
            prop_assert!(scope.as_str().bytes().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\')));
            prop_assert!(scope.iter().is_sorted() && scope.iter().all(|token| text.split(' ').any(|t| t == token)));
        }
        if let Ok(resource) = Resource::parse(&text) {
            let again = Resource::parse(resource.as_str());
            prop_assert_eq!(again.as_ref(), Ok(&resource));
            prop_assert!(resource.as_str().bytes().all(|b| b.is_ascii_graphic() && b != b'#'));
        }
        let canonical = Base64UrlUnpadded::decode_vec(&text)
            .is_ok_and(|bytes| bytes.len() == 32 && Base64UrlUnpadded::encode_string(&bytes) == text);
        prop_assert_eq!(CodeChallenge::parse(&text, "S256").is_ok(), canonical);
        prop_assert!(CodeChallenge::parse(CHALLENGE, &text).is_err());
        // An entry of access keys may name its resource besides.
        let (keyring, access) = (Keyring::parse(&text).is_ok(), AccessKeys::parse(&text));
        prop_assert!(access.is_ok() == keyring || text.contains('@') && !keyring);
        if let Ok(keys) = access {
            let again = AccessKeys::parse(&keys.export()).unwrap();
            prop_assert_eq!(again.export(), keys.export());
        }
        Ok(())
    };
    let near = prop_oneof![
        text(),
        "[ -~]{0,40}",
        "[a-z]{1,5}://[ -~]{1,40}",
        "(https?|ws)://[aA]?(:[0-9]{0,3})?(/|/[.]|%2e|%[0-9a-f]{2}|[?]|[aZ]){0,8}",
        "[A-Za-z0-9_-]{42,44}",
        "([0-9]{1,11}:[A-Za-z0-9+/]{43}=[\n, #]{1,3}){1,3}",
        "([0-9]{1,2}:[A-Za-z0-9+/]{42}A=(@[a-z]://[a-z,@]{1,3})?[\n, #]{1,3}){1,3}",
    ];
    runner(2000).run(&near, run).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn code_challenge_in_another_spelling_is_not_the_same() {
    let challenge = CodeChallenge::parse(CHALLENGE, "S256").unwrap();
    for text in altered::text(CHALLENGE) {
        assert!(CodeChallenge::parse(&text, "S256") != Ok(challenge), "{text:?}");
    }
    for method in altered::text("S256").iter().map(String::as_str).chain(["plain"]) {
        assert!(CodeChallenge::parse(CHALLENGE, method).is_err(), "{method:?}");
    }
}

/// But for blanks, and a sign in front of its id.
#[test]
fn key_in_another_spelling_is_not_the_same() {
    let key = "7:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let export = |text: &str| Keyring::parse(text).map(|keyring| keyring.access_keys().export()).ok();
    let genuine = export(key).unwrap();
    for text in altered::text(key) {
        let same = export(&text).is_some_and(|export| export == genuine);
        let as_good = text.replace([' ', '\n', '\r'], "").trim_start_matches('+') == key;
        assert!(!same || as_good, "{text:?}");
        assert_eq!(Keyring::parse(&text).is_ok(), AccessKeys::parse(&text).is_ok(), "{text:?}");
    }
}

#[test]
fn scope_or_resource_with_a_foreign_character_is_refused() {
    for byte in 0..=255u8 {
        let character = char::from(byte);
        let in_scope = Scope::parse(&format!("mcp:{character}read")).is_ok();
        assert_eq!(in_scope, matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~'), "{character:?}");
        let in_path = Resource::parse(&format!("{RESOURCE}{character}")).is_ok();
        assert_eq!(in_path, character.is_ascii_graphic() && !"#\"<>\\".contains(character), "{character:?}");
    }
}
