//! The connection string, and the defaults for what it leaves open.

use std::time::Duration;

use tokio_postgres::config::{Config, Host, TargetSessionAttrs};

use super::error::{PostgresError, TIMEOUT};

/// After how much silence of a connection the server is probed, and how long to wait between two probes.
const SILENCE: Duration = Duration::from_secs(1);

/// Parses `url`. Where it sets no limits, it adds limits by which a silent host is given up in time for the next host
/// to be tried.
pub(super) fn config(url: &str) -> Result<Config, PostgresError> {
    let mut config: Config =
        url.parse().map_err(|error| PostgresError::ConnectionString { option: bad_option(&error) })?;
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

/// Returns the hosts of `config` and their ports, for an error text.
pub(super) fn hosts(config: &Config) -> String {
    let ports = config.get_ports();
    let host = |(at, host): (usize, &Host)| {
        let port = ports.get(at).or(ports.first()).map_or(String::new(), |port| format!(":{port}"));
        match host {
            Host::Tcp(name) => format!("{name}{port}"),
            #[cfg(unix)]
            Host::Unix(path) => format!("{}{port}", path.display()),
        }
    };
    config.get_hosts().iter().enumerate().map(host).collect::<Vec<_>>().join(", ")
}

/// Returns the option whose value the driver refused. Any other part of the driver's text may contain the password.
fn bad_option(error: &tokio_postgres::Error) -> Option<&'static str> {
    const OPTIONS: [&str; 13] = [
        "host",
        "hostaddr",
        "port",
        "connect_timeout",
        "tcp_user_timeout",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_retries",
        "sslmode",
        "sslnegotiation",
        "target_session_attrs",
        "load_balance_hosts",
    ];
    let text = std::error::Error::source(error)?.to_string();
    OPTIONS.into_iter().find(|option| text == format!("invalid value for option `{option}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_string_error_names_the_option_and_no_password() {
        for (url, option) in [
            ("host=a port=x", Some("port")),
            ("host=a sslmode=sometimes password=secret", Some("sslmode")),
            ("host=a password=two secrets", None),
            ("postgres://user:secret@[", Some("host")),
            ("secret", None),
        ] {
            let error = config(url).unwrap_err();
            assert!(
                matches!(error, PostgresError::ConnectionString { option: found } if found == option),
                "{url}: {error:?}"
            );
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("secret") && option.is_none_or(|option| shown.contains(option)), "{shown}");
        }
        assert_eq!(hosts(&config("postgres://user:secret@a:1,b:2/auth").unwrap()), "a:1, b:2");
        assert_eq!(hosts(&config("host=a,b port=3").unwrap()), "a:3, b:3");
    }

    #[test]
    fn connect_timeout_of_all_hosts_fits_into_the_time_limit() {
        for (hosts, url) in [(1, "host=a"), (2, "postgres://a,b/auth"), (3, "hostaddr=127.0.0.1,127.0.0.2,127.0.0.3")] {
            let patience = *config(url).unwrap().get_connect_timeout().unwrap();
            assert!(patience * hosts < TIMEOUT, "{url}: {patience:?}");
        }
    }

    #[test]
    fn config_keeps_what_the_connection_string_says() {
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
