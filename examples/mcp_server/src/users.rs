//! Who may log in. A real application brings its own login and keeps no password in its source; these two exist for the
//! demonstration.

use subtle::ConstantTimeEq;

#[derive(Debug, PartialEq, Eq)]
pub struct User {
    /// What the tokens name: never reassigned, unlike a name.
    pub id: &'static str,
    pub name: &'static str,
    login: &'static str,
    password: &'static str,
}

const USERS: [User; 2] = [
    User { id: "user-1", name: "Alice", login: "alice", password: "wonderland" },
    User { id: "user-2", name: "Bob", login: "bob", password: "builder" },
];

/// The user with this login and password. A real login also limits how often one may try.
pub fn authenticate(login: &str, password: &str) -> Option<&'static User> {
    let fits = |user: &&User| user.login == login && bool::from(user.password.as_bytes().ct_eq(password.as_bytes()));
    USERS.iter().find(fits)
}
