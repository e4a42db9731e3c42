//! `gripwire serve`: reads settings and routes, opens the log, and runs the server. A route that cannot be read is logged
//! and left out, as by Pushpin; every other mistake stops the start.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use gripwire::config::{Config, NotAProxy, ProxyProtocol, TrustedProxies, parse_host_name};
use gripwire::server::{EndsAtOnce, Launch, ServerError};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

use super::log::Log;
use super::reload::ServedFiles;
use super::startup::{ConfigFile, Startup, StartupError, Udp, client_address, control_address, udp_address};

/// The options of `serve`. Each option overrides a setting of the configuration.
#[derive(Args)]
#[command(long_about = ABOUT, after_long_help = EXAMPLES)]
pub struct Serve {
    #[command(flatten)]
    file: ConfigFile,
    /// Number of cores to run on [default: one for each CPU this process may use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    cores: Option<u16>,
    /// A route, written like a line of the routes file; repeatable; these routes replace the routes file
    #[arg(long = "route", value_name = "LINE")]
    routes: Vec<String>,
    /// Address for clients: a port or an address with a port; repeatable [default: 7999]
    #[arg(long, value_name = "ADDR", value_parser = client_address)]
    listen: Vec<SocketAddr>,
    /// Address for clients by TLS: a port or an address with a port; repeatable
    #[arg(long, value_name = "ADDR", value_parser = client_address)]
    tls_listen: Vec<SocketAddr>,
    /// A proxy in front of this server whose X-Forwarded-For and PROXY protocol are trusted: an address, a network such as
    /// `10.0.0.0/8`, `loopback`, or `unix`; repeatable
    #[arg(long = "trusted-proxy", value_name = "WHO", value_parser = proxy)]
    trusted_proxies: Vec<String>,
    /// Expect a header of the PROXY protocol at the start of each connection, on all TCP ports for clients
    #[arg(long)]
    proxy_protocol: bool,
    /// Directory of the certificates for TLS [default: certs]
    #[arg(long, value_name = "DIR")]
    certificates: Option<PathBuf>,
    /// Address of the control port: a port of 127.0.0.1 or an address with a port [default: 127.0.0.1:5561]
    #[arg(long, value_name = "ADDR", value_parser = control_address)]
    control: Option<SocketAddr>,
    /// A host name of this machine that publishers may use while the control port is bound to 127.0.0.1; repeatable
    #[arg(long = "control-host", value_name = "NAME", value_parser = parse_host_name)]
    control_hosts: Vec<String>,
    /// Address for datagrams: a port of 127.0.0.1, an address with a port, or `false` [default: 127.0.0.1:5565]
    #[arg(long, value_name = "ADDR", value_parser = udp_address)]
    udp: Option<Udp>,
    /// Age up to which a connection to an application carries new requests, in milliseconds [default: 300000]
    #[arg(long, value_name = "MS")]
    origin_connection_age_ms: Option<u64>,
    /// Serve the built-in demo application, unless there are routes
    #[arg(long)]
    demo: bool,
    /// What to log, such as `warn`, `debug` or `info,gripwire::origin=trace` [default: info]
    #[arg(long, value_name = "FILTER", value_parser = log_filter)]
    log: Option<String>,
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The settings or the routes cannot be used.
    #[error(transparent)]
    Startup(#[from] StartupError),
    /// The server failed. The text of the error already contains its causes.
    #[error("{0}")]
    Server(ServerError),
}

impl Serve {
    /// Runs the server until SIGINT or SIGTERM has ended it.
    ///
    /// # Errors
    /// The configuration cannot be used, or the server could not start or had to end.
    pub fn run(self) -> Result<ExitCode, ServeError> {
        // First of all, before there are other threads.
        let launch = Launch::of_this_process().map_err(ServerError::Upgrade).map_err(ServeError::Server)?;
        let startup = match self.startup() {
            Ok(startup) => startup,
            Err(error) => {
                launch.refuse(&error);
                return Err(error.into());
            }
        };
        let log = Log::open(&startup.config.log.level);
        report(&startup);
        if startup.config.drops_forwarding() {
            info!(
                "forwarding headers of clients, such as X-Forwarded-For, are dropped: if proxies are in front of this \
                 server, name them in `http.trusted_proxies` (--trusted-proxy)"
            );
        }
        let ends_at_once = self.ends_at_once();
        let mut files = ServedFiles::of(move || self.reported_startup(), &startup, log);
        let routes = Arc::new(startup.routes);
        let served = gripwire::server::serve(startup.config, routes, &mut files, ends_at_once, launch);
        served.map_err(ServeError::Server)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Which signals end the server without a drain: those of somebody who tries it out, and, where it is run by Pushpin's
    /// name, those that end Pushpin.
    fn ends_at_once(&self) -> EndsAtOnce {
        let name = std::env::args_os().next();
        let is_pushpin = name.is_some_and(|name| Path::new(&name).file_name() == Some(OsStr::new("pushpin")));
        EndsAtOnce { at_any: self.demo || is_pushpin, at_interrupt: std::io::stderr().is_terminal() }
    }

    /// Reads settings and routes again, and logs mistakes.
    fn reported_startup(&self) -> Result<Startup, StartupError> {
        self.startup().inspect(report)
    }

    /// Reads settings and routes from the files, and applies these options.
    fn startup(&self) -> Result<Startup, StartupError> {
        self.file.start(self.demo, |config| self.lay_over(config))
    }

    fn lay_over(&self, config: &mut Config) {
        config.cores = self.cores.map(usize::from).or(config.cores);
        config.control.listen = self.control.or(config.control.listen);
        if !self.control_hosts.is_empty() {
            config.control.hosts.clone_from(&self.control_hosts);
        }
        if let Some(Udp(udp)) = self.udp {
            config.ingest.udp = udp;
        }
        if !self.listen.is_empty() {
            config.http.listen.clone_from(&self.listen);
        }
        if !self.tls_listen.is_empty() {
            config.http.tls_listen.clone_from(&self.tls_listen);
        }
        if !self.trusted_proxies.is_empty() {
            config.http.trusted_proxies = trusted_proxies(&self.trusted_proxies).ok();
        }
        if self.proxy_protocol {
            config.http.proxy_protocol = ProxyProtocol::Everywhere;
        }
        if let Some(directory) = &self.certificates {
            config.http.certificates.clone_from(directory);
        }
        if !self.routes.is_empty() {
            config.proxy.routes.clone_from(&self.routes);
        }
        if let Some(age_ms) = self.origin_connection_age_ms {
            config.proxy.origin_connection_age_ms = age_ms;
        }
        if let Some(log) = &self.log {
            config.log.level.clone_from(log);
        }
    }
}

/// Logs the mistakes in routes, and the warnings.
fn report(startup: &Startup) {
    for problem in &startup.errors {
        error!("route left out: {problem}");
    }
    for warning in &startup.warnings {
        warn!("{warning}");
    }
}

/// Checks a word that names proxies.
fn proxy(word: &str) -> Result<String, NotAProxy> {
    trusted_proxies(&[word.to_owned()]).map(|_| word.to_owned())
}

fn trusted_proxies(words: &[String]) -> Result<TrustedProxies, NotAProxy> {
    let mut proxies = TrustedProxies::default();
    words.iter().try_for_each(|word| proxies.add(word))?;
    Ok(proxies)
}

fn log_filter(text: &str) -> Result<String, String> {
    match text.parse::<EnvFilter>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; write a level such as `info`, or `target=level`")),
    }
}

const ABOUT: &str = "\
Run the server until SIGINT or SIGTERM.

The first of these drains the server: it takes no new clients, lets requests finish, ends what it holds so that clients \
connect again, and tells the applications, for `drain_ms` at most. A second one ends it at once. So does the first with \
--demo, or where the program is run by the name pushpin, and the first SIGINT where standard error is a terminal.

These options override the configuration file. A route that cannot be read is logged and left out. The log goes to \
standard error.

All files are read again at SIGHUP, and a second after the configuration, the routes file, the tokens file or a file \
that one of them names has changed. No client is dropped. The log names changed settings that need a restart. If a \
file cannot be used, the old settings and routes stay in force.";

const EXAMPLES: &str = "\
Examples:
  gripwire serve --demo
  gripwire serve --route '* localhost:8000' --listen 80 --cores 4
  gripwire serve --config gripwire.toml --log debug
  gripwire serve --pushpin-conf /etc/pushpin/pushpin.conf";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        serve: Serve,
    }

    /// The settings of a pushpin.conf with `lines` in [proxy], and of `options`.
    fn settings(lines: &str, options: &[&str]) -> Config {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let file = std::env::temp_dir().join(format!("gripwire-serve-{}-{number}", std::process::id()));
        std::fs::write(&file, format!("[runner]\nhttp_port=7999\n[proxy]\n{lines}\n")).unwrap();
        let line = ["serve", "--demo", "--pushpin-conf", file.to_str().unwrap()];
        let settings = CommandLine::parse_from(line.iter().chain(options)).serve.startup().unwrap().config;
        std::fs::remove_file(file).unwrap();
        settings
    }

    #[test]
    fn a_pushpin_conf_has_pushpins_rules_of_forwarding_until_a_proxy_is_named() {
        let as_ever = settings("x_forwarded_for=", &[]);
        assert!(as_ever.http.trusted_proxies.is_none() && !as_ever.drops_forwarding());
        let named =
            settings("x_forwarded_for=", &["--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "unix"]);
        let trusted = named.http.trusted_proxies.unwrap();
        assert!(trusted.trusts(None) && trusted.trusts(Some(IpAddr::from([10, 1, 2, 3]))));
        assert_eq!(named.proxy.x_forwarded_for, None);
        let said = settings(
            "x_forwarded_for=append\naccept_x_forwarded_protocol=true",
            &["--trusted-proxy", "unix"],
        );
        assert!(said.proxy.x_forwarded_for.is_some_and(|rule| rule.append));
        assert_eq!(said.proxy.accept_x_forwarded_protocol, Some(true));
    }

    #[test]
    fn hosts_of_the_control_port_and_the_proxy_protocol_can_be_options() {
        let options = ["--control-host", "Build.lan", "--proxy-protocol", "--trusted-proxy", "loopback"];
        let settings = settings("", &options);
        assert_eq!(settings.control.hosts, ["build.lan"]);
        assert!(settings.http.listen.iter().all(|address| settings.http.is_proxied(*address)));
        let wrong = CommandLine::try_parse_from(["serve", "--trusted-proxy", "10.0.0.1/8"]).err().unwrap();
        assert!(wrong.to_string().contains("10.0.0.0/8"), "{wrong}");
    }
}
