//! The connection string, and what it leaves open.

use std::time::Duration;

use tokio_postgres::config::{Config, TargetSessionAttrs};

use super::TIMEOUT;
use super::error::PostgresError;

/// How long a connection may be silent before the server is asked for a sign of life, and how long between two such questions.
const SILENCE: Duration = Duration::from_secs(1);

/// The configuration in `url`, with limits by which a host that is silent is given up: in time for the next one to be tried.
pub(super) fn config(url: &str) -> Result<Config, PostgresError> {
    let mut config: Config = url.parse().map_err(|_| PostgresError::ConnectionString)?;
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_connect_timeout().is_none() {
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
        config.connect_timeout(TIMEOUT / (hosts as u32 + 1));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(TIMEOUT);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_idle(SILENCE).keepalives_interval(SILENCE);
    }
    if config.get_application_name().is_none() {
        config.application_name("mcp-token-lifecycle");
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_but_one_may_be_silent_within_the_time_limit() {
        for (hosts, url) in [(1, "host=a"), (2, "postgres://a,b/auth"), (3, "hostaddr=127.0.0.1,127.0.0.2,127.0.0.3")] {
            let patience = *config(url).unwrap().get_connect_timeout().unwrap();
            assert!(patience * hosts < TIMEOUT, "{url}: {patience:?}");
        }
    }

    #[test]
    fn what_the_connection_string_says_stays() {
        let said = config(
            "host=a connect_timeout=9 tcp_user_timeout=8 keepalives_idle=7 keepalives_interval=6 application_name=x",
        )
        .unwrap();
        assert_eq!(said.get_connect_timeout(), Some(&Duration::from_secs(9)));
        assert_eq!(said.get_tcp_user_timeout(), Some(&Duration::from_secs(8)));
        assert_eq!(said.get_keepalives_idle(), Duration::from_secs(7));
        assert_eq!(said.get_keepalives_interval(), Some(Duration::from_secs(6)));
        assert_eq!(said.get_application_name(), Some("x"));
    }
}
