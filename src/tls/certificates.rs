//! Certificates by host name, from a directory that is laid out as Pushpin's: `HOST.crt` and `HOST.key` for a host,
//! `_.PARENT.crt` for all hosts one level below PARENT, `default_PORT.crt` for all other hosts on a port. The files
//! are read at start and when the main thread notices a change, so no handshake waits for a disk. A file that cannot
//! be used is reported, and the certificate that was read before stays in use.

use crate::proto::byte_order_mark::without_bom;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::{BTreeSet, HashMap};
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// The certificates of a directory. All cores read them; the main thread renews them.
#[derive(Debug)]
pub struct Certificates {
    directory: PathBuf,
    /// Locked to copy the pointer for a handshake, and to replace it after a change.
    by_name: RwLock<Arc<ByName>>,
}

type ByName = HashMap<String, Arc<CertifiedKey>>;

/// A certificate or key file that cannot be used, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateProblem {
    file: PathBuf,
    message: String,
}

impl Display for CertificateProblem {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.file.display(), self.message)
    }
}

impl Certificates {
    /// Reads the certificates in `directory`, and returns the files that cannot be used.
    pub fn read(directory: &Path) -> (Certificates, Vec<CertificateProblem>) {
        let certificates = Certificates { directory: directory.to_owned(), by_name: RwLock::default() };
        let problems = certificates.renew();
        (certificates, problems)
    }

    /// Reads all certificates again, and returns the files that cannot be used. A name whose files cannot be used
    /// keeps its previous certificate.
    pub fn renew(&self) -> Vec<CertificateProblem> {
        let names = match names_in(&self.directory) {
            Ok(names) => names,
            Err(problem) => return vec![problem],
        };
        let (before, mut now, mut problems) = (self.by_name(), ByName::new(), Vec::new());
        for name in names {
            let certificate = read_one(&self.directory, &name).or_else(|problem| {
                problems.push(problem);
                before.get(&name).cloned().ok_or(())
            });
            now.extend(certificate.map(|certificate| (name, certificate)));
        }
        *self.by_name.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(now);
        problems
    }

    /// The directory of the certificates.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The paths to watch for changes: the directory, and all certificate and key files in it.
    pub fn paths(&self) -> Vec<PathBuf> {
        let names = names_in(&self.directory).unwrap_or_default();
        let files = names
            .iter()
            .flat_map(|name| ["crt", "key"].map(|end| self.directory.join(format!("{name}.{end}"))));
        std::iter::once(self.directory.clone()).chain(files).collect()
    }

    /// Whether any certificate can be used on `port`.
    pub fn serve(&self, port: u16) -> bool {
        let of_this_port = default_of(port);
        let for_it = |name: &String| *name == of_this_port || !is_default(name);
        self.by_name().keys().any(for_it)
    }

    /// Chooses among these certificates for the clients of `port`.
    pub(super) fn of_port(self: Arc<Self>, port: u16) -> OfPort {
        OfPort { certificates: self, default: default_of(port) }
    }

    fn by_name(&self) -> Arc<ByName> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Chooses the certificate for a client of one port.
#[derive(Debug)]
pub(super) struct OfPort {
    certificates: Arc<Certificates>,
    default: String,
}

impl OfPort {
    fn choose(&self, host: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let by_name = self.certificates.by_name();
        let of_host = host.and_then(|host| {
            let host = host.to_ascii_lowercase();
            let wildcard = || format!("_.{}", host.split_once('.').map_or("", |(_, parent)| parent));
            by_name.get(&host).or_else(|| by_name.get(&wildcard()))
        });
        of_host.or_else(|| by_name.get(&self.default)).cloned()
    }
}

impl ResolvesServerCert for OfPort {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

/// The names for which the directory has a certificate or a key.
fn names_in(directory: &Path) -> Result<BTreeSet<String>, CertificateProblem> {
    let wrong =
        |error: std::io::Error| CertificateProblem { file: directory.to_owned(), message: error.to_string() };
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(directory).map_err(wrong)? {
        let file = entry.map_err(wrong)?.file_name();
        let name =
            file.to_str().and_then(|file| file.strip_suffix(".crt").or_else(|| file.strip_suffix(".key")));
        names.extend(name.map(str::to_owned));
    }
    Ok(names)
}

/// Reads the certificate of `name` and its key.
fn read_one(directory: &Path, name: &str) -> Result<Arc<CertifiedKey>, CertificateProblem> {
    let (chain, key) = (directory.join(format!("{name}.crt")), directory.join(format!("{name}.key")));
    let wrong = |file: &Path, error: &dyn Display| CertificateProblem {
        file: file.to_owned(),
        message: error.to_string(),
    };
    let read = |file: &Path| fs::read(file).map_err(|error| wrong(file, &error));
    let certificates = CertificateDer::pem_slice_iter(without_bom(&read(&chain)?))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(&chain, &error))?;
    if certificates.is_empty() {
        return Err(wrong(&chain, &"the file has no certificate"));
    }
    let private = PrivateKeyDer::from_pem_slice(without_bom(&read(&key)?));
    let private = private.map_err(|error| wrong(&key, &error))?;
    let certified = CertifiedKey::from_der(certificates, private, &ring::default_provider());
    certified.map(Arc::new).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            wrong(&key, &"this is not the key of the certificate of this name")
        }
        error => wrong(&chain, &error),
    })
}

fn default_of(port: u16) -> String {
    format!("default_{port}")
}

fn is_default(name: &str) -> bool {
    name.strip_prefix("default_").is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests;
