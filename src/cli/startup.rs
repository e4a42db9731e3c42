//! Reads the settings and routes for the server: options of the command line override the configuration file. `serve` and
//! `check` both call [`ConfigFile::start`], so `serve` runs exactly the settings that `check` approves. Nothing is
//! printed here.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use gripwire::config::{
    Config, LoadError, Loaded, NotAnAddress, Source, key_file, load, parse_listen, read_text,
};
use gripwire::doctor::{self, Level, Machine};
use gripwire::origin::{RouteProblem, Routes};

/// Which configuration to read.
#[derive(Args)]
pub struct ConfigFile {
    /// Configuration in TOML [default: ./gripwire.toml or /etc/gripwire/gripwire.toml, if one exists]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Configuration in Pushpin's format, instead of TOML
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pushpin_conf: Option<PathBuf>,
}

/// Settings and routes, with their errors and warnings.
pub struct Startup {
    /// The settings of the configuration and the options.
    pub config: Config,
    /// The routes; never empty.
    pub routes: Routes,
    /// Routes that were left out, and why.
    pub errors: Vec<String>,
    /// Settings without effect, and settings that contradict each other.
    pub warnings: Vec<String>,
    /// The files that were read, and the files that these name.
    pub files: Vec<PathBuf>,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// The configuration cannot be loaded.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// A setting or an option opens a port to other machines without protection.
    #[error("{0}")]
    Exposed(String),
    /// `http.proxy_protocol` names a port that neither the file nor the options open.
    #[error("{0}")]
    Misnamed(String),
    /// The routes file cannot be read.
    #[error("cannot read the routes file {}", .path.display())]
    RoutesFile {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// There are no routes.
    #[error(
        "there are no routes{}: name an application with `--route '* localhost:8000'`, set `proxy.routes_file` in \
         the configuration, or try `gripwire serve --demo`",
        among(.0)
    )]
    NoRoutes(Vec<String>),
}

impl ConfigFile {
    /// Reads the settings without the routes.
    ///
    /// # Errors
    /// Why the configuration cannot be loaded.
    pub fn settings(&self) -> Result<Config, LoadError> {
        Ok(load(&self.source())?.config)
    }

    fn source(&self) -> Source {
        match (&self.config, &self.pushpin_conf) {
            (Some(path), _) => Source::Native(path.clone()),
            (None, Some(path)) => Source::Pushpin(path.clone()),
            (None, None) => Source::Search,
        }
    }

    /// Reads the settings, changes them by `adjust`, and reads the routes.
    ///
    /// # Errors
    /// Why the server must not start.
    pub fn start(&self, demo: bool, adjust: impl FnOnce(&mut Config)) -> Result<Startup, StartupError> {
        let Loaded { mut config, warnings, file, included } = load(&self.source())?;
        // A pushpin.conf may expose its control port, because it may with Pushpin. An option must not.
        let exposed_by_file = config.control.exposure();
        let inline_routes = config.proxy.routes.clone();
        adjust(&mut config);
        if let Some(exposure) = config.control.exposure()
            && exposed_by_file.as_ref() != Some(&exposure)
        {
            return Err(StartupError::Exposed(exposure));
        }
        if let Some(misnamed) = config.http.misnamed_proxy_protocol() {
            return Err(StartupError::Misnamed(misnamed));
        }
        let stats = || config.stats.exposure(config.zeromq.allow_remote);
        if let Some(exposure) = config.ingest.exposure().or_else(|| config.zeromq.exposure()).or_else(stats) {
            return Err(StartupError::Exposed(exposure));
        }
        // Paths in options are relative to the current directory, paths in inline routes to the file's directory.
        let inline = config.proxy.routes == inline_routes;
        let inline_directory = file.as_deref().filter(|_| inline).and_then(Path::parent);
        let (mut routes, problems) = read_routes(&config, inline, inline_directory.unwrap_or(Path::new("")))?;
        let mut warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        let (fatal, notes): (Vec<_>, Vec<_>) = problems.into_iter().partition(|problem| problem.fatal);
        let errors: Vec<String> = fatal.iter().map(ToString::to_string).collect();
        warnings.extend(notes.iter().map(ToString::to_string));
        if routes.is_empty() {
            if !demo || !errors.is_empty() {
                return Err(StartupError::NoRoutes(errors));
            }
            routes = Routes::demo();
        } else if demo {
            warnings.push("--demo has no effect, because there are routes".to_owned());
        }
        warnings.extend(config.udp_is_off());
        if config.http.closes_every_connection() {
            let why = "every connection to a port with `http.proxy_protocol` will be closed: name the proxies that \
                       connect to it in `http.trusted_proxies` (--trusted-proxy)";
            warnings.push(why.to_owned());
        }
        warnings.extend(contradictions(&config));
        let files = files([file, included], &config, &routes);
        Ok(Startup { config, routes, errors, warnings, files })
    }
}

/// Warnings about settings that contradict each other or that this machine cannot support.
fn contradictions(config: &Config) -> Vec<String> {
    let Ok(machine) = Machine::open(Path::new("/"), None) else { return Vec::new() };
    let cores = config.cores.unwrap_or_else(|| doctor::allowed_cpus(&machine));
    let findings = doctor::examine_settings(&machine, cores as u64, config).into_iter();
    findings.filter(|finding| finding.level != Level::Ok).map(|finding| finding.to_string()).collect()
}

fn files(of_settings: [Option<PathBuf>; 2], config: &Config, routes: &Routes) -> Vec<PathBuf> {
    let proxy = &config.proxy;
    let routes_file = proxy.routes_file.clone().filter(|_| proxy.routes.is_empty());
    let keys = [&proxy.sig_key, &proxy.upstream_key].map(|key| key_file(key).map(Path::to_owned));
    let named = [routes_file, config.control.tokens_file.clone()];
    of_settings.into_iter().chain(named).chain(keys).flatten().chain(routes.files()).collect()
}

/// Reads the routes. Routes given by options or inline replace the routes file.
fn read_routes(
    config: &Config,
    inline: bool,
    inline_directory: &Path,
) -> Result<(Routes, Vec<RouteProblem>), StartupError> {
    if !config.proxy.routes.is_empty() {
        let source_name = if inline { "proxy.routes" } else { "--route" };
        return Ok(parse_routes(&config.proxy.routes.join("\n"), source_name, inline_directory));
    }
    let Some(path) = &config.proxy.routes_file else {
        return Ok(<(Routes, Vec<RouteProblem>)>::default());
    };
    let text = read_text(path).map_err(|source| StartupError::RoutesFile { path: path.clone(), source })?;
    Ok(parse_routes(&text, &path.display().to_string(), path.parent().unwrap_or(Path::new(""))))
}

fn parse_routes(text: &str, source_name: &str, directory: &Path) -> (Routes, Vec<RouteProblem>) {
    let (mut routes, problems) = Routes::parse(text, source_name);
    routes.resolve_files(directory);
    (routes, problems)
}

/// Reads an address for clients. A bare port listens on every address of the machine.
///
/// # Errors
/// The text, if it is not an address.
pub fn client_address(text: &str) -> Result<SocketAddr, NotAnAddress> {
    parse_listen(text, Ipv4Addr::UNSPECIFIED)
}

/// The value of `--udp`: an address, or `None` for `false`.
#[derive(Clone, Copy, Debug)]
pub struct Udp(pub Option<SocketAddr>);

/// Reads `false` or an address for datagrams.
///
/// # Errors
/// The text, if it is neither.
pub fn udp_address(text: &str) -> Result<Udp, NotAnAddress> {
    match text {
        "false" => Ok(Udp(None)),
        _ => control_address(text).map(|address| Udp(Some(address))),
    }
}

/// Reads an address for publishers. A bare port listens on 127.0.0.1.
///
/// # Errors
/// The text, if it is not an address.
pub fn control_address(text: &str) -> Result<SocketAddr, NotAnAddress> {
    parse_listen(text, Ipv4Addr::LOCALHOST)
}

fn among(errors: &[String]) -> String {
    if errors.is_empty() {
        return String::new();
    }
    format!(", because every line has an error ({})", errors.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(demo: bool, adjust: impl FnOnce(&mut Config)) -> Result<Startup, StartupError> {
        let directory = tempfile_directory();
        let path = directory.join("gripwire.toml");
        std::fs::write(&path, "").unwrap();
        let started = ConfigFile { config: Some(path), pushpin_conf: None }.start(demo, adjust);
        std::fs::remove_dir_all(directory).unwrap();
        started
    }

    fn tempfile_directory() -> PathBuf {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gripwire-startup-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn without_routes_the_operator_is_told_what_to_do() {
        let error = start(false, |_| ()).err().unwrap().to_string();
        assert!(error.contains("--route") && error.contains("--demo"), "{error}");
        assert_eq!(start(true, |_| ()).unwrap().routes.len(), 1);
    }

    #[test]
    fn a_bad_route_is_left_out_and_an_option_needs_a_secret() {
        let startup = start(true, |config| config.proxy.routes = vec!["a t:1".into(), "b".into()]).unwrap();
        assert_eq!(startup.routes.len(), 1);
        assert!(startup.errors[0].starts_with("--route:2: "), "{:?}", startup.errors);
        let no_effect = "--demo has no effect, because there are routes";
        assert!(startup.warnings.iter().any(|warning| warning == no_effect), "{:?}", startup.warnings);
        let wide = |config: &mut Config| config.control.listen = Some(([0, 0, 0, 0], 5561).into());
        assert!(matches!(start(true, wide), Err(StartupError::Exposed(_))));
        let wide = |config: &mut Config| config.ingest.udp = Some(([0, 0, 0, 0], 5565).into());
        assert!(matches!(start(true, wide), Err(StartupError::Exposed(_))));
    }

    #[test]
    fn the_proxy_protocol_is_expected_at_ports_of_the_file_or_of_options() {
        use gripwire::config::ProxyProtocol;
        let port = SocketAddr::from(([127, 0, 0, 1], 8443));
        let named = |config: &mut Config| config.http.proxy_protocol = ProxyProtocol::At(vec![port]);
        assert!(
            matches!(start(true, named), Err(StartupError::Misnamed(why)) if why.contains("127.0.0.1:8443"))
        );
        let opened = |config: &mut Config| {
            named(config);
            config.http.tls_listen = vec![port];
        };
        assert!(start(true, opened).is_ok());
    }

    #[test]
    fn only_bad_routes_are_all_named() {
        let error = start(true, |config| config.proxy.routes = vec!["b".into()]).err().unwrap();
        assert!(error.to_string().contains("--route:1: "), "{error}");
    }
}
