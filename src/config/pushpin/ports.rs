//! Reads the keys of client ports.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::PushpinConf;
use crate::config::{Http, UnixPort, parse_listen};

impl PushpinConf {
    /// Reads the TCP, TLS and Unix socket ports. Certificates are in Pushpin's directory for them.
    pub(super) fn ports(&mut self, http: &mut Http, directory: &Path) {
        http.listen = self.addresses("runner/http_port");
        http.tls_listen = self.addresses("runner/https_ports");
        http.certificates = directory.join("runner/certs");
        http.unix_listen = self.files("runner/local_ports");
        if http.is_unreachable() && self.errors.is_empty() {
            self.error("runner/http_port", "no port for clients: set `http_port` in [runner]".to_owned());
        }
    }

    fn addresses(&mut self, name: &str) -> Vec<SocketAddr> {
        let read = |text: &str| parse_listen(text, Ipv4Addr::UNSPECIFIED);
        self.each(name, read)
    }

    /// Reads the paths of Unix sockets. Relative paths are resolved against the working directory, like ZeroMQ's.
    fn files(&mut self, name: &str) -> Vec<UnixPort> {
        self.each(name, |text| UnixPort::parse(text, Path::new("")))
    }

    /// Reads each part of a list with `read`.
    fn each<T, E: ToString>(&mut self, name: &str, read: impl Fn(&str) -> Result<T, E>) -> Vec<T> {
        let key = name.rsplit('/').next().unwrap_or(name);
        let mut all = Vec::new();
        for text in self.list(name) {
            match read(&text) {
                Ok(one) => all.push(one),
                Err(error) => self.error(name, format!("`{key}`: {}", error.to_string())),
            }
        }
        all
    }
}
