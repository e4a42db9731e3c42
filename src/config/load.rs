//! Finds the configuration file and reads it with one of the two readers. The command line calls [`load`] at start
//! and for `check`. The returned [`Loaded`] is complete and checked. Each path in it is resolved against the directory
//! of the file that contains the setting, so the server does not depend on the directory in which it was started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::files::{directory, read_text};
use super::{
    Config, Control, Grants, Http, Ingest, Problem, ProxyProtocol, Stats, TrustedProxies, ZeroMq, native,
    pushpin, tokens,
};

/// Which file to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The first of `./gripwire.toml` and `/etc/gripwire/gripwire.toml` that exists, else the defaults.
    #[default]
    Search,
    /// A native TOML file.
    Native(PathBuf),
    /// A `pushpin.conf`.
    Pushpin(PathBuf),
}

/// A configuration without errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Settings that were read but have no effect.
    pub warnings: Vec<Problem>,
    /// The configuration file; `None` means the built-in defaults.
    pub file: Option<PathBuf>,
    /// The file that `file` includes, if the included file's directory exists.
    pub included: Option<PathBuf>,
}

/// Why the configuration cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read the configuration {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file has mistakes.
    #[error("the configuration cannot be used:\n{}", lines(.0))]
    Invalid(Vec<Problem>),
}

/// Reads the configuration that `source` names.
///
/// # Errors
/// The file that cannot be read, or all mistakes with their lines.
pub fn load(source: &Source) -> Result<Loaded, LoadError> {
    match source {
        Source::Search => match SEARCHED.iter().map(Path::new).find(|path| path.exists()) {
            Some(path) => load_native(path),
            None => {
                Ok(Loaded { config: Config::default(), warnings: Vec::new(), file: None, included: None })
            }
        },
        Source::Native(path) => load_native(path),
        Source::Pushpin(path) => load_pushpin(path),
    }
}

fn load_native(path: &Path) -> Result<Loaded, LoadError> {
    let text = read(path)?;
    let mut config = native::read(&text, path).map_err(LoadError::Invalid)?;
    config.http.certificates = directory(path).join(&config.http.certificates);
    if let Some(path) = &config.control.tokens_file {
        let problem = |(line, message)| Problem::new(path.display().to_string(), line, message);
        let more = tokens::load(path).map_err(|wrong| LoadError::Invalid(vec![problem(wrong)]))?;
        config.control.tokens.extend(more);
    }
    Ok(Loaded { config, warnings: Vec::new(), file: Some(path.to_owned()), included: None })
}

fn load_pushpin(path: &Path) -> Result<Loaded, LoadError> {
    let text = read(path)?;
    let mut included = None;
    let include = |path: &Path| {
        included = Some(path.to_owned()).filter(|path| directory(path).exists());
        read_text(path).ok()
    };
    let (config, warnings) = pushpin::read(&text, path, include).map_err(LoadError::Invalid)?;
    Ok(Loaded { config, warnings, file: Some(path.to_owned()), included })
}

fn read(path: &Path) -> Result<String, LoadError> {
    read_text(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })
}

impl Http {
    /// Whether the settings open no port for clients.
    pub(super) fn is_unreachable(&self) -> bool {
        self.listen.is_empty() && self.tls_listen.is_empty() && self.unix_listen.is_empty()
    }
}

impl Http {
    /// Whether connections to the TCP port at `address` begin with the PROXY protocol.
    pub fn is_proxied(&self, address: SocketAddr) -> bool {
        match &self.proxy_protocol {
            ProxyProtocol::Off => false,
            ProxyProtocol::Everywhere => true,
            ProxyProtocol::At(addresses) => addresses.contains(&address),
        }
    }

    /// The error if `proxy_protocol` names an address that is not a client port. Call it after the command line's
    /// options are applied, because options may add ports.
    pub fn misnamed_proxy_protocol(&self) -> Option<String> {
        let ProxyProtocol::At(addresses) = &self.proxy_protocol else { return None };
        let is_port =
            |address: &SocketAddr| self.listen.contains(address) || self.tls_listen.contains(address);
        let address = addresses.iter().find(|address| !is_port(address))?;
        Some(format!(
            "`http.proxy_protocol` names {address}, where nothing listens: name one of `listen` or `tls_listen`"
        ))
    }

    /// Whether ports expect the PROXY protocol but no proxy is trusted, so that every connection is closed.
    pub fn closes_every_connection(&self) -> bool {
        let believes_nobody = self.trusted_proxies.as_ref().is_none_or(TrustedProxies::is_nobody);
        self.proxy_protocol != ProxyProtocol::Off && believes_nobody
    }
}

impl Config {
    /// Whether forwarding headers such as X-Forwarded-For are dropped from all requests, because the settings neither
    /// trust a proxy nor set `x_forwarded_for`.
    pub fn drops_forwarding(&self) -> bool {
        self.http.trusted_proxies.as_ref().is_some_and(TrustedProxies::is_nobody)
            && self.proxy.x_forwarded_for.is_none()
    }
}

impl Control {
    /// The error if the control port can be reached from other machines and requires no secret, so that anyone who
    /// reaches it may publish. `None` when it is safe.
    pub fn exposure(&self) -> Option<String> {
        let listen = self.listen.filter(|listen| !listen.ip().is_loopback())?;
        if self.has_secret() {
            return None;
        }
        Some(format!(
            "the control port {listen} would let anyone who reaches it publish: set `tokens`, `bearer_token` or \
             `basic_password` in [control], or listen on 127.0.0.1"
        ))
    }

    /// Whether requests to the control port need a secret.
    pub fn has_secret(&self) -> bool {
        let tokens = !self.tokens.is_empty() || self.tokens_file.is_some();
        tokens || self.bearer_token.is_some() || self.basic_password.is_some()
    }
}

impl Config {
    /// The grants of UDP datagrams; empty if UDP is off. Datagrams carry no tokens. If the control port requires a
    /// secret, datagrams have only the grants of `ingest.udp_scopes`.
    pub fn udp_grants(&self) -> Grants {
        let is_open = self.ingest.udp_scopes.is_nothing() && !self.control.has_secret();
        match is_open {
            true => Grants::all(),
            false => self.ingest.udp_scopes.clone(),
        }
    }

    /// Why UDP is off although `ingest.udp` has an address. `None` if UDP is on or has no address.
    pub fn udp_is_off(&self) -> Option<String> {
        let udp = self.ingest.udp.filter(|_| self.udp_grants().is_nothing())?;
        Some(format!(
            "UDP on {udp} is off, because the control port requires a secret and datagrams carry none: set \
             `ingest.udp_scopes` to what datagrams may do, such as [\"publish:news-\"], or set `ingest.udp = false`"
        ))
    }
}

impl Ingest {
    /// The error if other machines could publish by UDP without `udp_allow_remote`. `None` when it is safe.
    pub fn exposure(&self) -> Option<String> {
        let udp = self.udp.filter(|udp| !udp.ip().is_loopback() && !self.udp_allow_remote)?;
        Some(format!(
            "UDP on {udp} would let anyone who reaches it publish, because datagrams carry no credentials: listen on \
             127.0.0.1, or set `ingest.udp_allow_remote = true` if a firewall protects the port"
        ))
    }
}

impl ZeroMq {
    /// The error if other machines could reach a bound socket without `allow_remote`. `None` when it is safe.
    pub fn exposure(&self) -> Option<String> {
        let bound_sub = self.sub.iter().filter(|_| !self.sub_connect);
        let mut bound = self.pull.iter().chain(bound_sub).chain(&self.command);
        let endpoint = bound.find(|endpoint| !endpoint.is_local() && !self.allow_remote)?;
        Some(format!(
            "ZeroMQ on {endpoint} would let anyone who reaches it publish, because it checks no credentials: bind it \
             to 127.0.0.1, or set `zeromq.allow_remote = true` if a firewall protects the port"
        ))
    }
}

impl Stats {
    /// The error if other machines could reach the stats socket without `allow_remote`. `None` when it is safe.
    pub fn exposure(&self, allow_remote: bool) -> Option<String> {
        let socket = self.socket.as_ref().filter(|socket| !socket.is_local() && !allow_remote)?;
        Some(format!(
            "the stats socket {socket} would show all channels and clients to anyone who reaches it: bind it to \
             127.0.0.1, or set `zeromq.allow_remote = true` if a firewall protects the port"
        ))
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

const SEARCHED: [&str; 2] = ["gripwire.toml", "/etc/gripwire/gripwire.toml"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Endpoint;

    #[test]
    fn a_control_port_for_all_needs_a_secret() {
        let mut control = Config::default().control;
        assert_eq!(control.exposure(), None);
        control.listen = Some(([0, 0, 0, 0], 5561).into());
        assert!(control.exposure().is_some_and(|why| why.contains("0.0.0.0:5561")));
        control.bearer_token = Some("secret".into());
        assert_eq!(control.exposure(), None);
        control = Control { listen: None, bearer_token: None, ..control };
        assert_eq!(control.exposure(), None);
    }

    #[test]
    fn udp_for_all_has_to_be_asked_for() {
        let mut ingest = Config::default().ingest;
        assert_eq!(ingest.exposure(), None);
        ingest.udp = Some(([0, 0, 0, 0], 5565).into());
        assert!(ingest.exposure().is_some_and(|why| why.contains("0.0.0.0:5565")));
        assert_eq!(Ingest { udp_allow_remote: true, ..ingest.clone() }.exposure(), None);
        assert_eq!(Ingest { udp: None, ..ingest }.exposure(), None);
    }

    #[test]
    fn udp_is_off_beside_secrets_unless_its_scopes_are_said() {
        let mut config = Config::default();
        assert_eq!((config.udp_grants(), config.udp_is_off()), (Grants::all(), None));
        config.control.bearer_token = Some("secret".into());
        assert!(config.udp_grants().is_nothing());
        assert!(config.udp_is_off().is_some_and(|why| why.contains("127.0.0.1:5565")));
        config.ingest.udp_scopes.add_publish("publish:news-").unwrap();
        assert_eq!(config.udp_is_off(), None);
        assert!(config.udp_grants().may_publish_to("news-1") && !config.udp_grants().may_publish_to("other"));
        config.control.bearer_token = None;
        assert!(!config.udp_grants().may_publish_to("other"), "also without secrets");
        let off = Config {
            control: Control { bearer_token: Some("s".into()), ..config.control },
            ..Config::default()
        };
        let ingest = Ingest { udp: None, ..off.ingest.clone() };
        assert_eq!(Config { ingest, ..off }.udp_is_off(), None);
    }

    #[test]
    fn zeromq_for_all_has_to_be_asked_for() {
        let endpoint = |text| Endpoint::parse(text, Path::new("")).unwrap();
        let mut zeromq = Config::default().zeromq;
        assert_eq!(zeromq.exposure(), None);
        zeromq.command = Some(endpoint("tcp://127.0.0.1:5563"));
        zeromq.sub = vec![endpoint("tcp://10.0.0.1:5562")];
        assert!(zeromq.exposure().is_some_and(|why| why.contains("tcp://10.0.0.1:5562")));
        assert_eq!(ZeroMq { sub_connect: true, ..zeromq.clone() }.exposure(), None);
        assert_eq!(ZeroMq { allow_remote: true, ..zeromq }.exposure(), None);
    }

    #[test]
    fn files_may_begin_with_a_byte_order_mark() {
        let directory = std::env::temp_dir().join(format!("gripwire-marked-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, format!("\u{feff}{text}")).unwrap();
            path
        };
        write("tokens", "admin all\n");
        let native = write("gripwire.toml", "[control]\ntokens_file = \"tokens\"\n");
        let native = load(&Source::Native(native)).unwrap().config;
        assert_eq!(native.control.tokens.first().map(|token| token.secret.as_str()), Some("all"));
        write("included.conf", "[handler]\nmessage_wait=7\n");
        let pushpin = write("pushpin.conf", "[global]\ninclude=included.conf\n[runner]\nhttp_port=7999\n");
        let Loaded { config, warnings, .. } = load(&Source::Pushpin(pushpin)).unwrap();
        assert_eq!((warnings, config.channels.message_wait_ms), (vec![], 7));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load(&Source::Native("/nonexistent/gripwire.toml".into())).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the configuration /nonexistent/gripwire.toml");
    }
}
