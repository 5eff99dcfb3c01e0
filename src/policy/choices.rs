//! What a policy chooses between.

/// When a refresh answers with a new refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// At every refresh.
    Always,
    /// Not for confidential clients and sender-constrained families, whose refresh token a thief cannot use; for all others
    /// at every refresh, because a public client must have the one or the other (RFC 9700 §2.2.2). When the primary key has
    /// changed, the answer carries the same token made with the new key, and the one made with the old key stays good.
    UnlessConstrained,
}

/// What the reuse of a spent token leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnReuse {
    /// Revoke the family: victim and thief both lose it (RFC 9700 §4.14.2).
    RevokeFamily,
    /// Refuse the request and report it; the family lives on.
    RejectOnly,
    /// Revoke every family of the subject, at every client. In the last minutes of a family, when its leeway has shrunk with what
    /// is left of it, a request of an honest client that comes late counts as reuse as well.
    RevokeSubject,
}

/// What to do with a genuine token that is ahead of the store, which happens when the store was restored from a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnAhead {
    /// Refuse it: the user logs in again.
    Reject,
    /// Believe it and go on from there. What was rotated or revoked since the backup is forgotten, so a spent token can come
    /// back to life: choose it only if that is the lesser evil.
    FastForward,
}

/// What a live check says of access tokens whose refresh token has been spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnSuperseded {
    /// They are good until they expire, so that calls under way are not cut off.
    Accept,
    /// They are refused once no issuer answers the spent refresh token any more: after the leeway and [`CLOCK_TOLERANCE`], and
    /// after a lost-response window. Not before: a refusal at the rotation would show a thief of both tokens when the victim has
    /// rotated, and so when the leeway is open.
    Reject,
}
