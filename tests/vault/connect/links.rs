//! The link in the error of a lease.

use std::sync::Arc;

use mcp_token_lifecycle::vault::*;

use crate::support::scope;
use crate::world::*;

const BASE: &str = "https://mcp.example.com";

fn url(world: &World, request: &LeaseRequest) -> Option<String> {
    world.lease(request).unwrap_err().connect_url(BASE)
}

#[test]
fn lease_without_a_credential_has_a_link_to_connect() {
    let world = world();
    let link = url(&world, &need()).unwrap();
    assert_eq!(link, "https://mcp.example.com/connect/git?scope=read+write");
    let named = url(&world, &need().account("Ä & b")).unwrap();
    assert_eq!(named, "https://mcp.example.com/connect/git?account=%C3%84+%26+b&scope=read+write");
    let bare = LeaseRequest::new(SERVICE, scope(""));
    assert_eq!(url(&world, &bare).unwrap(), "https://mcp.example.com/connect/git");
    assert!(!link.contains("alice"));
}

#[test]
fn lease_of_a_dead_or_narrow_credential_has_a_link() {
    let world = world();
    let state = world.begin();
    world.script.will(Reply::Json(200, TOKENS));
    world.complete(&good(&state)).unwrap();
    let more = LeaseRequest::new(SERVICE, scope("admin"));
    assert_eq!(url(&world, &more).unwrap(), "https://mcp.example.com/connect/git?scope=admin");
    world.sim.pass(1_001);
    world.script.will(Reply::Json(400, r#"{"error":"invalid_grant"}"#));
    let refused = world.lease(&need()).unwrap_err();
    assert!(matches!(refused, LeaseError::NeedsAuthorization { .. }));
    assert_eq!(refused.connect_link().unwrap().service(), SERVICE);
    // Connecting again helps.
    let state = world.begin();
    world.script.will(Reply::Json(200, TOKENS));
    world.complete(&good(&state)).unwrap();
    assert_eq!(world.lease(&need()).unwrap(), ACCESS);
}

#[test]
fn lease_at_a_service_that_cannot_connect_has_no_link() {
    let mut plain = service();
    plain.authorization = None;
    let world = world_with(plain);
    let refused = world.lease(&need()).unwrap_err();
    assert!(matches!(refused, LeaseError::NotFound { .. }));
    assert_eq!(refused.authorize_at(), Some(SERVICE));
    assert!(refused.connect_link().is_none());
    let unknown = LeaseRequest::new("unknown", scope("read"));
    assert!(url(&world, &unknown).is_none());
}

#[test]
fn link_keeps_the_name_of_a_service_in_one_segment() {
    for (service, segment) in
        [("a/b", "a%2Fb"), ("..", "%2E%2E"), ("ä?#", "%C3%A4%3F%23"), ("my-service", "my-service")]
    {
        let link = ConnectLink::new(service, Some(Arc::from("x")), scope(""));
        assert_eq!(
            link.url("http://localhost:8000/app/"),
            format!("http://localhost:8000/app/connect/{segment}?account=x")
        );
    }
}
