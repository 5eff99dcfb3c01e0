//! Refresh tokens and codes that are nearly genuine.

use base64ct::{Base64UrlUnpadded, Encoding};
use mcp_token_lifecycle::{ErrorCode, MemoryStore, Presented, Reason, RotationPolicy};

use crate::altered;
use crate::support::*;

/// Body and guard: what only the holder of the key can make, and what is checked before the store is asked.
/// What the guard covers, the masked time of issue behind it, which it does not, and the guard.
const HEAD: usize = 29;
const MASKED: usize = 8;
const GUARD: usize = 9;

/// Whether the guard of `text` is right, because all that it covers is that of one of the tokens that were issued.
fn passes_guard(text: &str, issued: &[String]) -> bool {
    let guarded = |text: &str| {
        let bytes = Base64UrlUnpadded::decode_vec(text.get(6..)?).ok()?;
        let (guard, end) = (HEAD + MASKED, HEAD + MASKED + GUARD);
        (bytes.len() == end + 32).then(|| (text[..6].to_owned(), [&bytes[..HEAD], &bytes[guard..end]].concat()))
    };
    guarded(text).is_some_and(|own| issued.iter().any(|issued| guarded(issued).as_ref() == Some(&own)))
}

/// A code, the token that was spent, and the one that is current, of one family; and the access token of another.
pub struct Issued {
    pub bench: Bench<FlakyStore<MemoryStore>>,
    pub tokens: [String; 4],
}

impl Issued {
    pub fn new() -> Self {
        let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
        let code = bench.code();
        let first = bench.redeem(&code).unwrap();
        let second = bench.refresh(rt(&first)).unwrap();
        let access = bench.begin(grant()).access_token.expose().to_owned();
        let tokens = [code, rt(&first).to_owned(), rt(&second).to_owned(), access];
        bench.issuer.store().operations();
        bench.told();
        Self { bench, tokens }
    }

    /// Present `text`, which was not issued, everywhere: it is refused, and the store is read at most, and only past the guard.
    pub fn refuses(&self, text: &str) {
        let (bench, store) = (&self.bench, self.bench.issuer.store());
        let passes = passes_guard(text, &self.tokens[..3]);
        let (asked, reason) = if passes { (vec![Op::Get], Reason::Forged) } else { (vec![], Reason::Malformed) };
        let is_code = text.starts_with("mcpac_");
        let keyring = keyring();
        assert_eq!(Presented::any(text, &keyring).is_some(), passes, "{text:?}");
        assert_eq!(Presented::code(text, &keyring).is_some(), passes && is_code, "{text:?}");
        assert_eq!(Presented::refresh_token(text, &keyring).is_some(), passes && !is_code, "{text:?}");

        let answer = if is_code { bench.redeem(text) } else { bench.refresh(text) };
        assert_eq!(answer.unwrap_err(), ErrorCode::InvalidGrant, "{text:?}");
        assert_eq!(store.operations(), asked, "{text:?}");
        let crossed = if is_code { bench.refresh(text) } else { bench.redeem(text) };
        assert_eq!(crossed.unwrap_err(), ErrorCode::InvalidGrant, "{text:?}");
        assert_eq!(store.operations(), [], "a code is no refresh token: {text:?}");
        bench.revoke(&client(), text);
        assert_eq!(store.operations(), asked, "{text:?}");
        let told = [("deny", Some(reason)), ("deny", Some(Reason::Malformed)), ("deny", Some(reason))];
        assert_eq!(bench.told(), told, "{text:?}");
        assert!(!bench.introspect(text).is_active(), "{text:?}");
        let asked = if is_code { vec![] } else { asked };
        assert_eq!(store.operations(), asked, "{text:?}");
        bench.told();
    }

    /// Nothing that was refused has left a trace.
    pub fn are_as_before(&self) {
        assert!(!self.bench.refresh(&self.tokens[2]).unwrap().retry);
    }
}

#[test]
fn refresh_token_or_code_in_another_spelling_is_refused() {
    let issued = Issued::new();
    for token in &issued.tokens[..3] {
        altered::token(token).iter().for_each(|text| issued.refuses(text));
    }
    issued.are_as_before();
}

/// Parts of several tokens put together make no token.
#[test]
fn token_with_the_front_of_one_and_back_of_another_is_refused() {
    let issued = Issued::new();
    for (one, other) in issued.tokens.iter().flat_map(|one| issued.tokens.iter().map(move |other| (one, other))) {
        for cut in 0..=one.len().min(other.len()) {
            let text = format!("{}{}", &one[..cut], &other[cut..]);
            if !issued.tokens.contains(&text) {
                issued.refuses(&text);
            }
        }
    }
    issued.are_as_before();
}
