//! Refresh tokens and codes: nothing panics, and no text but the genuine one is authentic.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mcp_token_lifecycle::{Keyring, Presented, TokenFamily};
use mcp_token_lifecycle_fuzz::{SUBJECT, issuer, keyring, presented, ready, tokens};

/// Prefix, body and guard: only a holder of the key can make so many characters of a token.
const GUARDED: usize = "mcprt_".len() + (1 + 4 + 16 + 8 + 8 + 9) * 4 / 3;

static WORLD: LazyLock<(Keyring, [String; 3], Vec<TokenFamily>)> = LazyLock::new(|| {
    let issuer = issuer();
    let tokens = tokens(&issuer);
    let families = ready(issuer.list_families(SUBJECT)).unwrap();
    assert_eq!(families.len(), 2);
    (keyring(), tokens, families)
});

fuzz_target!(|data: &[u8]| {
    let (keyring, tokens, families) = &*WORLD;
    let text = presented(data, tokens);
    let any = Presented::any(&text, keyring);
    let code = Presented::code(&text, keyring);
    let refresh = Presented::refresh_token(&text, keyring);
    assert_eq!(any.is_some(), code.is_some() || refresh.is_some());
    assert!(code.is_none() || text.starts_with("mcpac_"));
    assert!(refresh.is_none() || text.starts_with("mcprt_"));
    let Some(any) = any else {
        assert!(text != tokens[0] && text != tokens[1], "a genuine token was refused");
        return;
    };
    // Past the guard: then all that the guard covers was the issuer's own, and the form has one spelling only.
    let genuine = tokens[..2].iter().find(|token| token[..GUARDED] == text[..GUARDED]).expect("a forged guard");
    assert_eq!(text.len(), genuine.len());
    for family in families {
        let authentic = any.authenticate(family, keyring).is_some();
        assert_eq!(authentic, any.family() == family.id() && text == *genuine, "forged: {text}");
    }
});
