//! Where a connection goes: address, user, database, trust and the session's settings.

use std::fmt;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tributary_core::pipeline::{Roots, Tls};
use tributary_core::{Error, Result};

use super::{trust, url};

/// How a database may be reached, as the mapping says.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Transport security.
    pub tls: Tls,
    /// A PEM file that stands in for the built-in RDS roots, which age.
    pub rds_roots: Option<String>,
    /// Whether a proxy that pools sessions is in between. It takes no startup settings, so none are sent.
    pub proxy: bool,
}

/// The address of a database in parts.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// A host name, an address, or the directory of a Unix socket.
    pub host: String,
    /// The port, 5432 by default.
    pub port: Option<u16>,
    /// The user; the process's own by default.
    pub user: Option<String>,
    /// The database; named as the user by default.
    pub dbname: Option<String>,
}

/// Where a connection goes. `Display` prints `user@host:port/database`; neither it nor `Debug` prints the password.
#[derive(Clone)]
pub struct Target {
    config: Config,
    roots: Option<Roots>,
    proxy: bool,
    connect_timeout: Duration,
    statement_timeout: Option<Duration>,
}

impl Target {
    /// From a URL, `postgres://user:password@host:port/database`. Its `sslmode` may ask for TLS where the policy would
    /// do without, never the other way round.
    ///
    /// # Errors
    /// `Config` when the URL cannot be read, names no host, or asks for less TLS than the policy. No message holds a part
    /// of the password.
    pub fn from_url(text: &str, policy: &Policy) -> Result<Target> {
        let url = url::read(text)?;
        let mut target = Target::new(url.config, policy)?;
        target.roots = trust::roots(&target.config, policy, url.mode, url.root)?;
        Ok(target)
    }

    /// From the parts of an address.
    ///
    /// # Errors
    /// `Config` when there is no host, or it can be none.
    pub fn from_parts(parts: &Parts, policy: &Policy) -> Result<Target> {
        let mut config = Config::new();
        if !parts.host.is_empty() {
            config.host(&parts.host);
        }
        config.port(parts.port.unwrap_or(5432));
        if let Some(user) = &parts.user {
            config.user(user);
        }
        if let Some(dbname) = &parts.dbname {
            config.dbname(dbname);
        }
        let mut target = Target::new(config, policy)?;
        target.roots = trust::roots(&target.config, policy, None, None)?;
        Ok(target)
    }

    fn new(config: Config, policy: &Policy) -> Result<Target> {
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Error::config("the database has no host").with_hint("name one: postgres://USER@HOST/DATABASE"));
        }
        // A password that was not percent-encoded ends here; it must not be looked up, nor printed.
        let odd = |host: &Host| matches!(host, Host::Tcp(name) if !name.chars().all(|c| c.is_alphanumeric() || "-._:%".contains(c)));
        if config.get_hosts().iter().any(odd) {
            return Err(Error::config("the database's host is not a host name")
                .with_hint("percent-encode special characters in user and password"));
        }
        let connect_timeout = config.get_connect_timeout().copied().unwrap_or(Duration::from_secs(5));
        Ok(Target { config, roots: None, proxy: policy.proxy, connect_timeout, statement_timeout: None })
    }

    /// With this password, or IAM token.
    #[must_use]
    pub fn with_password(mut self, password: impl AsRef<[u8]>) -> Self {
        self.config.password(password);
        self
    }

    /// With another database of the same server.
    #[must_use]
    pub fn with_dbname(mut self, dbname: &str) -> Self {
        self.config.dbname(dbname);
        self
    }

    /// With the application's name `tributary/{who}`: the pipeline or function, as `pg_stat_activity` shows it.
    #[must_use]
    pub fn with_application(mut self, who: &str) -> Self {
        self.config.application_name(format!("tributary/{who}"));
        self
    }

    /// With a limit on each host's answer, from looking up its name to the end of authentication. 5 s by default.
    #[must_use]
    pub fn with_connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// With a limit on each statement. Not sent through a proxy.
    #[must_use]
    pub fn with_statement_timeout(mut self, limit: Duration) -> Self {
        self.statement_timeout = Some(limit);
        self
    }

    /// Whether a proxy that pools sessions is in between: statements should be unnamed, and session settings are those
    /// of the role.
    pub fn proxy(&self) -> bool {
        self.proxy
    }

    /// Whether the connection is encrypted and the server verified.
    pub fn encrypted(&self) -> bool {
        self.roots.is_some()
    }

    /// The first host.
    pub fn host(&self) -> String {
        match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => self.config.get_hostaddrs().first().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// The first host's port.
    pub fn port(&self) -> u16 {
        self.config.get_ports().first().copied().unwrap_or(5432)
    }

    /// The user, if one was named.
    pub fn user(&self) -> Option<&str> {
        self.config.get_user()
    }

    /// The database, if one was named.
    pub fn dbname(&self) -> Option<&str> {
        self.config.get_dbname()
    }

    pub(super) fn roots(&self) -> Option<&Roots> {
        self.roots.as_ref()
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// The driver's configuration.
    pub(super) fn config(&self) -> Config {
        let mut config = self.config.clone();
        config
            .ssl_mode(if self.encrypted() { SslMode::Require } else { SslMode::Disable })
            .connect_timeout(self.connect_timeout)
            // A socket that died while the environment was frozen is noticed in half a minute, not in two hours.
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(30));
        if config.get_application_name().is_none() {
            config.application_name("tributary");
        }
        if !self.proxy {
            let theirs = config.get_options().map(|options| format!(" {options}")).unwrap_or_default();
            config.options(format!("{}{theirs}", self.settings()));
        }
        config
    }

    /// The session's settings, sent with the startup packet: SET would cost a round trip. The URL's own come after them
    /// and win.
    fn settings(&self) -> String {
        // Values pass as text in places, and a frozen environment must not hold locks.
        let mut settings =
            "-c TimeZone=UTC -c DateStyle=ISO,YMD -c idle_in_transaction_session_timeout=60000".to_owned();
        if let Some(limit) = self.statement_timeout {
            settings.push_str(&format!(" -c statement_timeout={}", limit.as_millis()));
        }
        settings
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = self.user() {
            write!(f, "{user}@")?;
        }
        write!(f, "{}:{}", self.host(), self.port())?;
        match self.dbname() {
            Some(dbname) => write!(f, "/{dbname}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("address", &self.to_string())
            .field("roots", &self.roots)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_says_where_it_goes_and_nothing_secret() {
        let target = Target::from_url("postgres://ann:hunter2@db.example.org:6543/shop", &Policy::default()).unwrap();
        assert_eq!(target.to_string(), "ann@db.example.org:6543/shop");
        let printed = format!("{target:?} {:?}", target.clone().with_password("hunter3"));
        assert!(!printed.contains("hunter"), "{printed}");
    }

    #[test]
    fn parts_and_url_mean_the_same() {
        let url = Target::from_url("postgres://ann@db.example.org/shop", &Policy::default()).unwrap();
        let (host, user, dbname) = ("db.example.org".into(), Some("ann".into()), Some("shop".into()));
        let parts = Target::from_parts(&Parts { host, port: None, user, dbname }, &Policy::default()).unwrap();
        assert_eq!(url.config(), parts.config());
        assert_eq!(parts.port(), 5432);
    }

    #[test]
    fn settings_go_with_the_startup_packet_unless_a_proxy_would_refuse_them() {
        let check = |url: &str, proxy, expect: Option<&str>| {
            let target = Target::from_url(url, &Policy { proxy, ..Policy::default() }).unwrap();
            let config = target.with_statement_timeout(Duration::from_secs(7)).config();
            assert_eq!(config.get_options(), expect, "{url}");
        };
        let ours = "-c TimeZone=UTC -c DateStyle=ISO,YMD -c idle_in_transaction_session_timeout=60000 -c statement_timeout=7000";
        check("postgres://localhost/x", false, Some(ours));
        check("postgres://localhost/x?options=-c%20a.b%3D1", false, Some(&format!("{ours} -c a.b=1")));
        check("postgres://localhost/x", true, None);
        check("postgres://localhost/x?options=endpoint%3Dme", true, Some("endpoint=me"));
    }

    #[test]
    fn no_message_holds_a_piece_of_the_password() {
        let check = |url: &str| {
            let error = Target::from_url(url, &Policy::default()).unwrap_err();
            let said = format!("{error:#} {error:?} {}", error.hint().unwrap_or_default());
            assert!(!said.contains("hunter"), "{said}");
            assert!(error.hint().is_some());
        };
        check("postgres://ann:p@hunter2@db.example.org/shop");
        check("postgres://ann:p@hunter2/x@db.example.org/shop");
        check("postgres://ann:p@hunter2#x/shop");
        check("postgres://ann:p@ss?hunter2=1");
        check("postgres://ann:p@ss?hunter2");
        check("postgres://ann:hunter2%zz@db.example.org:port/shop");
        check("host=db.example.org hunter2=1");
        check("hunter2");
        check("");
    }
}
