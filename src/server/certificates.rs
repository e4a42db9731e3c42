//! Reads the certificates for TLS ports from the directory that the settings name.

use crate::config::Config;
use crate::tls::{self, CertificateProblem, Certificates};
use std::net::SocketAddr;
use std::sync::Arc;

/// Reads the certificates, and logs those that cannot be used. `None` if there is no TLS port.
pub(super) fn certificates(settings: &Config) -> Option<Arc<Certificates>> {
    let (certificates, problems) = read_certificates(settings)?;
    tell_of(&problems);
    Some(Arc::new(certificates))
}

/// All problems with the certificates: files that cannot be used, and TLS ports without a certificate.
pub fn check_certificates(settings: &Config) -> Vec<String> {
    let Some((certificates, problems)) = read_certificates(settings) else { return Vec::new() };
    let missing = tls::offers(&Arc::new(certificates), &ports(settings)).err();
    let problems = problems.iter().map(ToString::to_string);
    problems.chain(missing.map(|missing| missing.to_string())).collect()
}

fn read_certificates(settings: &Config) -> Option<(Certificates, Vec<CertificateProblem>)> {
    (!settings.http.tls_listen.is_empty()).then(|| Certificates::read(&settings.http.certificates))
}

/// Logs the certificates that cannot be used.
pub(super) fn tell_of(problems: &[CertificateProblem]) {
    problems.iter().for_each(|problem| tracing::error!("certificate left out: {problem}"));
}

/// The TLS ports.
pub(super) fn ports(settings: &Config) -> Vec<u16> {
    settings.http.tls_listen.iter().map(SocketAddr::port).collect()
}
