//! The users who can log in. These two exist for the demonstration. A real application has its own login and keeps no passwords
//! in its source.

use subtle::ConstantTimeEq;

#[derive(Debug, PartialEq, Eq)]
pub struct User {
    /// The subject of the tokens. An id is never reassigned to another user; a name may be.
    pub id: &'static str,
    pub name: &'static str,
    login: &'static str,
    password: &'static str,
}

const USERS: [User; 2] = [
    User { id: "user-1", name: "Alice", login: "alice", password: "wonderland" },
    User { id: "user-2", name: "Bob", login: "bob", password: "builder" },
];

/// Returns the user with this login and password. A real login also limits the number of attempts.
pub fn authenticate(login: &str, password: &str) -> Option<&'static User> {
    let fits = |user: &&User| user.login == login && bool::from(user.password.as_bytes().ct_eq(password.as_bytes()));
    USERS.iter().find(fits)
}
