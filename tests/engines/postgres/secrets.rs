//! What the database and its log get to see.

use std::sync::Arc;

use mcp_token_lifecycle::{AuthorizeRequest, CodeChallenge, RedeemRequest, TokenIssuer};

use super::support::*;
use super::{Issuer, RUNTIME, direct, refresh, sql, store, table, variable};

#[test]
fn rows_and_statement_log_show_no_token_or_subject() {
    RUNTIME.block_on(async {
        let name = table();
        let url = format!("{}?options=-c%20log_min_duration_statement%3D0", direct());
        let issuer: Issuer = Arc::new(TokenIssuer::new(store(&url, &name).await, keyring()));
        let (subject, client) = ("subject-sorrel", mcp_token_lifecycle::Client::public("client-sorrel"));
        let challenge = CodeChallenge::of_verifier(VERIFIER);
        let request = AuthorizeRequest::new(grant_of(subject, client.id()), challenge, REDIRECT);
        let code = issuer.authorize(request).await.unwrap();
        let redeem = RedeemRequest::new(&client, code.expose(), REDIRECT, VERIFIER);
        let first = issuer.redeem(&redeem).await.unwrap().into_result().unwrap();
        assert!(refresh(&issuer, rt(&first)).await.is_err(), "another client");
        let request = mcp_token_lifecycle::RefreshRequest::new(&client, rt(&first));
        let second = issuer.refresh(&request).await.unwrap().into_result().unwrap();
        assert_eq!(issuer.list_families(subject).await.unwrap().len(), 1);
        issuer.revoke_subject(subject).await.unwrap();

        let log = std::fs::read_to_string(format!("{}/main/log", variable("POSTGRES_SCRATCH"))).unwrap();
        let ours: String = log.lines().skip_while(|line| !line.contains(&name)).collect();
        assert!(ours.contains("UPDATE") && ours.contains("$8 = "), "the log has the statements and their parameters");
        let rows = sql(&direct(), &format!("SELECT stored::text FROM {name} AS stored")).await.join("\n");
        assert!(rows.contains("\\x"));
        let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let tokens = [&first, &second].map(|t| [t.access_token.expose(), rt(t)]).concat();
        for secret in [subject, client.id(), code.expose(), RESOURCE, "mcp:read"].into_iter().chain(tokens) {
            for text in [secret.to_owned(), hex(secret)] {
                assert!(!ours.contains(&text) && !rows.contains(&text), "{text}");
            }
        }
    });
}
