//! Scopes and resources: what was parsed parses to itself; and a grant of any such parts comes back out of its tokens.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_token_lifecycle::{Expectation, Grant, Resource, Scope};
use mcp_token_lifecycle_fuzz::{NOW, issuer, ready, resource};

fuzz_target!(|parts: (&str, &str, &str, &str, &str)| {
    let (scope, uri, subject, name, value) = parts;
    let scope = Scope::parse(scope);
    if let Ok(scope) = &scope {
        assert_eq!(Scope::parse(&scope.to_string()).as_ref(), Ok(scope));
        assert!(scope.includes(scope) && scope.iter().all(|token| scope.contains(token)));
        assert_eq!(scope.iter().collect::<Vec<_>>().join(" "), scope.as_str());
    }
    let resource = match Resource::parse(uri) {
        Ok(resource) => {
            assert_eq!(Resource::parse(&resource.to_string()).as_ref(), Ok(&resource));
            assert!(!resource.as_str().contains(' '), "spaces separate resources in tokens and records");
            resource
        }
        Err(_) => resource(),
    };
    let Ok(grant) = Grant::new(subject, "client-1", scope.unwrap_or_default(), resource.clone()) else { return };
    let Ok(grant) = grant.with_claim(name, value) else { return };
    let issuer = issuer();
    let tokens = ready(issuer.issue(grant.clone(), None)).expect("every grant fits into its tokens");
    let claims =
        issuer.verifier().verify(tokens.access_token.expose(), &Expectation::resource(&resource), NOW).unwrap();
    assert_eq!((claims.subject(), claims.scope()), (subject, grant.scope()));
    assert_eq!(claims.audience(), grant.resources());
    assert_eq!(claims.claims(), grant.claims());
    assert_eq!(*ready(issuer.list_families(subject)).unwrap()[0].grant(), grant);
});
