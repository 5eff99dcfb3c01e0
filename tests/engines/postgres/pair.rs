//! A primary and its synchronous standby, to be killed and frozen.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::support::port::free_port;
use super::{sql, until, variable};

/// For how many seconds a server may start, or take over, on a busy machine.
const PATIENCE: &str = "120";

pub(crate) struct Pair {
    primary: Server,
    standby: Server,
}

struct Server {
    directory: PathBuf,
    port: u16,
}

impl Pair {
    /// Takes a few seconds.
    pub(crate) async fn start(name: &str) -> Self {
        let scratch = PathBuf::from(variable("POSTGRES_SCRATCH"));
        let server = |role| Server { directory: scratch.join(format!("{name}-{role}")), port: free_port() };
        let (primary, standby) = (server("primary"), server("standby"));
        primary.run("initdb", &["-U", "postgres", "--auth=trust", "--no-sync"]);
        primary.start();
        let port = primary.port.to_string();
        let from = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
        standby.run("pg_basebackup", &[&from[..], &["-R", "-X", "stream", "-C", "-S", "b", "--no-sync"]].concat());
        standby.start();
        // Only now, for a primary without its synchronous standby answers no client; and without a restart, after which the standby
        // would take seconds to come back.
        let settings = primary.directory.join("postgresql.auto.conf");
        File::options().append(true).open(settings).unwrap().write_all(b"synchronous_standby_names = '*'\n").unwrap();
        primary.run("pg_ctl", &["reload"]);
        let pair = Self { primary, standby };
        let synchronous = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        until("the synchronous standby", async || (!sql(&url, synchronous).await.is_empty()).then_some(())).await;
        pair
    }

    /// Both, as in a connection string.
    pub(crate) fn url(&self) -> String {
        let (primary, standby) = (self.primary.port, self.standby.port);
        format!("postgres://postgres@127.0.0.1:{primary},127.0.0.1:{standby}/postgres")
    }

    pub(crate) fn kill_primary(&self) {
        self.primary.signal("-KILL");
    }

    pub(crate) fn promote_standby(&self) {
        self.standby.run("pg_ctl", &["-w", "-t", PATIENCE, "promote"]);
    }

    pub(crate) fn freeze_standby(&self) {
        self.standby.signal("-STOP");
    }

    pub(crate) fn thaw_standby(&self) {
        self.standby.signal("-CONT");
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.thaw_standby();
        self.standby.signal("-KILL");
        self.primary.signal("-KILL");
    }
}

impl Server {
    fn start(&self) {
        let log = self.directory.join("log");
        let port = self.port;
        let options = format!("-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=");
        self.run("pg_ctl", &["-w", "-t", PATIENCE, "-l", log.to_str().unwrap(), "-o", &options, "start"]);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = PathBuf::from(variable("POSTGRES_BIN")).join(program);
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(&program).arg("-D").arg(&self.directory).args(arguments);
        // A server keeps what it was given open, so its output may not be waited for.
        let log = std::env::temp_dir();
        let status = command.current_dir(log).stdout(std::process::Stdio::null()).status().unwrap();
        assert!(status.success(), "{program:?} {arguments:?}");
    }

    /// To the server and all its children.
    fn signal(&self, signal: &str) {
        let Ok(file) = std::fs::read_to_string(self.directory.join("postmaster.pid")) else { return };
        let server = file.lines().next().unwrap().trim().to_owned();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &server]).output().unwrap().stdout;
        let children = String::from_utf8(children).unwrap();
        let processes = [server.as_str()].into_iter().chain(children.split_whitespace());
        // One that has just ended is no failure.
        let _ = Command::new("kill").arg(signal).args(processes).stderr(std::process::Stdio::null()).status().unwrap();
    }
}
