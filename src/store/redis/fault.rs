//! The errors of the store, and what they mean for a write.

use std::error::Error as StdError;
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::task::JoinError;

use crate::store::{Record, StoreError};

/// The time limit of an operation.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// Why [`RedisStore::connect`](super::RedisStore::connect) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisConnectError {
    /// The driver does not know the URL, or was built without a feature that the URL requires.
    #[error(
        "address must be redis://user:password@host:port/database, or rediss:// where the driver has TLS, got {address}"
    )]
    Address {
        /// The address, without user information and query.
        address: String,
        /// The error of the driver.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// No server answered at the address, or the server refused.
    #[error("the token store at {address} did not answer within {} s", TIMEOUT.as_secs())]
    Unreachable {
        /// The address, without user information and query.
        address: String,
        /// The error of the attempt.
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl RedisConnectError {
    pub(super) fn address(address: &str, error: RedisError) -> Self {
        Self::Address { address: address.to_owned(), source: error.into() }
    }
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the driver or the server failed")]
    Driver(#[from] RedisError),
    #[error("the server did not answer in time")]
    Timeout,
    #[error("the attempt to connect was aborted")]
    Connect(#[from] JoinError),
    #[error("{wanted} replicas must confirm the write, got {answer:?}")]
    Replicas { wanted: usize, answer: Option<Value> },
    #[error("a row is malformed")]
    Row,
    #[error("an answer of the server is malformed")]
    Answer,
    #[error(
        "a record must have at most {} index keys and {} bytes of payload",
        Record::MAX_INDEXES,
        Record::MAX_PAYLOAD
    )]
    TooLarge,
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        Self::unavailable(fault)
    }
}

impl Fault {
    /// Whether another connection may succeed.
    pub(super) fn is_of_connection(&self) -> bool {
        match self {
            Self::Timeout => true,
            Self::Driver(error) => self.is_demotion() || error.is_io_error() || error.is_unrecoverable_error(),
            _ => false,
        }
    }

    /// Whether the server reports that another server is the primary now.
    pub(super) fn is_demotion(&self) -> bool {
        matches!(self, Self::Driver(error) if code(error) == Some("READONLY"))
    }
}

/// A fault, and whether the command may have been carried out all the same.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    pub(super) may_be_done: bool,
}

impl Failure {
    pub(super) fn before_sending(fault: impl Into<Fault>) -> Self {
        Self { fault: fault.into(), may_be_done: false }
    }

    pub(super) fn after_sending(fault: impl Into<Fault>) -> Self {
        Self { fault: fault.into(), may_be_done: true }
    }

    /// Converts the error of a server or of the driver about a command that was sent once.
    pub(super) fn of(error: RedisError) -> Self {
        if is_refusal(&error) { Self::before_sending(error) } else { Self::after_sending(error) }
    }

    pub(super) fn is_unknown_script(&self) -> bool {
        matches!(&self.fault, Fault::Driver(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
    }

    /// Converts the failure of a command that writes.
    pub(super) fn of_write(self) -> StoreError {
        if self.may_be_done { StoreError::uncertain(self.fault) } else { StoreError::unavailable(self.fault) }
    }
}

/// Converts the failure of a command that reads, or whose effect does not matter to the caller.
impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::unavailable(failure.fault)
    }
}

/// Whether this error means that nothing was written. An error from within a script means that only if the first write
/// of the script would have failed too.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    const REFUSALS: [&str; 16] = [
        "ASK",
        "BUSY",
        "CLUSTERDOWN",
        "CROSSSLOT",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "MOVED",
        "NOAUTH",
        "NOREPLICAS",
        "NOSCRIPT",
        "OOM",
        "READONLY",
        "TRYAGAIN",
        "UNKILLABLE",
        "WRONGPASS",
    ];
    // In a Cluster the driver knows no node for the key.
    error.kind() == ErrorKind::ClusterConnectionNotFound || code(error).is_some_and(|code| REFUSALS.contains(&code))
}

/// Returns the code of a server's error. Before Redis 7 the code of an error from within a script follows the place
/// where it occurred: `ERR Error running script (call to f_…): @user_script:1: @user_script: 1: -OOM command not
/// allowed …`.
fn code(error: &RedisError) -> Option<&str> {
    let within = error.detail().and_then(|detail| detail.split_once("@user_script: ")?.1.split_once(": -"));
    within.and_then(|(_, cause)| cause.split(' ').next()).or(error.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> RedisError {
        let answer = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        answer.extract_error().unwrap_err()
    }

    #[tokio::test]
    async fn connect_error_names_the_address_and_no_password() {
        use crate::RedisStore;
        for (url, expected) in [
            (
                "redis://user:secret@127.0.0.1:1/0",
                "the token store at \"redis://..@127.0.0.1:1/0\" did not answer within 2 s",
            ),
            (
                "http://user:secret@host/",
                "address must be redis://user:password@host:port/database, or rediss:// where the driver has TLS, got \
                 \"http://..@host/\"",
            ),
            (
                "secret",
                "address must be redis://user:password@host:port/database, or rediss:// where the driver has TLS, got 6 bytes \
                 without a scheme",
            ),
        ] {
            let Err(error) = RedisStore::connect(url).await else { panic!("{url}") };
            assert_eq!(error.to_string(), expected);
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
        let Err(error) = RedisStore::connect_cluster(["redis://:secret@127.0.0.1:1", "redis://127.0.0.1:2"]).await
        else {
            panic!("there is no cluster")
        };
        assert!(error.to_string().contains("\"redis://..@127.0.0.1:1\", \"redis://127.0.0.1:2\""), "{error}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }

    #[test]
    fn is_refusal_knows_a_refusal_in_a_script_of_any_version() {
        let before_7 = "ERR Error running script (call to f_bd6f30): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.";
        let since_7 = "READONLY You can't write against a read only replica. script: bd6f30, on @user_script:1.";
        for line in [before_7, since_7] {
            assert!(is_refusal(&error(line)), "{line}");
            assert!(Fault::from(error(line)).is_demotion(), "{line}");
        }
        let fault =
            "ERR Error running script (call to f_bd6f30): @user_script:1: user_script:1: attempt to call a nil value";
        assert!(!is_refusal(&error(fault)));
        assert!(!is_refusal(&error("ERR said nowhere: -OOM")));
    }
}
