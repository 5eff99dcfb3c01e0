//! The choices of a policy: when tokens rotate, and what reuse leads to.

/// When a refresh returns a new refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// Every refresh returns a new refresh token.
    Always,
    /// A refresh keeps the refresh token of confidential clients and sender-constrained families, because a thief
    /// cannot use it. Every refresh of other clients rotates: a public client needs sender constraint or rotation (RFC
    /// 9700 §2.2.2).
    ///
    /// After a change of the primary key, the response contains the same token made with the new key. The token made
    /// with the old key stays valid.
    UnlessConstrained,
}

/// What the reuse of a spent token leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnReuse {
    /// The family is revoked: victim and thief both lose it (RFC 9700 §4.14.2).
    RevokeFamily,
    /// The request is refused and reported; the family stays active.
    RejectOnly,
    /// Every family of the subject is revoked, at every client.
    ///
    /// In the last minutes of a family its leeway shrinks, so a late request of an honest client counts as reuse as
    /// well.
    RevokeSubject,
}

/// What to do with a genuine token that is ahead of the store, which happens after the store was restored from a
/// backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnAhead {
    /// The token is refused, and the user must log in again.
    Reject,
    /// The token is accepted and rotated.
    ///
    /// The store has forgotten the rotations and revocations since the backup, so a spent token can become valid again.
    /// Choose this only if that is better than making users log in again.
    FastForward,
}

/// How a live check treats access tokens whose refresh token has been spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnSuperseded {
    /// They are valid until they expire, so calls in progress are not interrupted.
    Accept,
    /// They are refused once no issuer answers the spent refresh token any more: after the leeway,
    /// [`CLOCK_TOLERANCE`](crate::CLOCK_TOLERANCE) and a lost-response window. An earlier refusal would show a thief of
    /// both tokens when the victim has rotated, and so when the leeway is open.
    Reject,
}
