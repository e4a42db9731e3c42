//! The port for Prometheus as operators write it: an address, or a Unix socket as `ipc://FILE`. Both config readers
//! call [`MetricsPort::parse`].

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::{NotAUnixPort, NotAnAddress, UnixPort, parse_listen};

/// A port for Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsPort {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket.
    File(UnixPort),
}

/// Text that is not a port for Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAMetricsPort {
    /// The text is not an address.
    #[error("{0}, or ipc://FILE")]
    Address(#[from] NotAnAddress),
    /// The text after `ipc://` is not a Unix socket.
    #[error(transparent)]
    File(#[from] NotAUnixPort),
}

impl MetricsPort {
    /// Reads `text`. A bare port becomes that port of `any`; a relative path is resolved against `directory`.
    ///
    /// # Errors
    /// Why the text has neither form.
    pub fn parse(text: &str, any: Ipv4Addr, directory: &Path) -> Result<MetricsPort, NotAMetricsPort> {
        Ok(match text.trim().strip_prefix("ipc://") {
            Some(file) => MetricsPort::File(UnixPort::parse(file, directory)?),
            None => MetricsPort::Tcp(parse_listen(text, any)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_a_file_is_read() {
        let parse = |text| MetricsPort::parse(text, Ipv4Addr::LOCALHOST, Path::new("/run"));
        assert_eq!(parse("9100"), Ok(MetricsPort::Tcp("127.0.0.1:9100".parse().unwrap())));
        let Ok(MetricsPort::File(file)) = parse("ipc://m?mode=600") else { panic!("a file") };
        assert_eq!((file.path.as_path(), file.mode), (Path::new("/run/m"), Some(0o600)));
        assert!(parse("m").unwrap_err().to_string().ends_with(", or ipc://FILE"));
        assert!(parse("ipc://").is_err());
    }
}
