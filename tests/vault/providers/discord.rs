//! Discord: seven days, rotation, and a revocation that ends everything the user has given the application.

use std::time::Duration;

use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn discord() -> Service {
    Service::discord("157730590492196864", SecretText::new(SECRET)).unwrap()
}

#[test]
fn discord_authorize_url_is_the_standard_one() {
    let query = authorize("157730590492196864", "&scope=guilds+identify");
    assert_eq!(
        play(discord(), &[]).authorize_url("identify guilds"),
        format!("https://discord.com/oauth2/authorize?{query}")
    );
}

#[test]
fn discord_exchange_returns_tokens_for_seven_days() {
    let played = play(discord(), &["discord_exchanged"]);
    let tokens = played.exchange().unwrap();
    assert_eq!(tokens.access_token.unwrap().expose(), "discord-access-first");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "discord-refresh-first");
    assert_eq!(tokens.expires_in, Some(Duration::from_secs(604_800)));
    assert_eq!(tokens.scope, Some(scope("identify guilds")));
    assert_eq!(played.sent(), [format!("POST https://discord.com/api/oauth2/token {EXCHANGE}")]);
    assert!(played.header("authorization").unwrap().is_sensitive());
}

#[test]
fn discord_refresh_rotates() {
    let tokens = play(discord(), &["discord_refreshed"]).refresh().unwrap();
    assert_eq!(tokens.access_token.unwrap().expose(), "discord-access-new");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "discord-refresh-new");
}

#[test]
fn discord_errors_have_their_meaning() {
    let played = |name| play(discord(), &[name]);
    assert!(matches!(played("discord_invalid_grant").exchange(), Err(UpstreamError::InvalidGrant)));
    assert!(matches!(played("discord_invalid_grant").refresh(), Err(UpstreamError::InvalidGrant)));
    assert!(matches!(played("discord_invalid_client").exchange(), Err(UpstreamError::Configuration { .. })));
}

#[test]
fn discord_revocation_ends_whole_grants() {
    let played = play(discord(), &["discord_revoked"]);
    assert!(played.provider.revokes_whole_grants());
    assert_eq!(played.revoke().unwrap(), Revocation::Done);
    assert_eq!(
        played.sent(),
        ["POST https://discord.com/api/oauth2/token/revoke token=old-refresh-99ab&token_type_hint=refresh_token"]
    );
}
