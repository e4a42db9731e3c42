//! The certificates that clients by TLS are shown, as the settings name them.

use crate::config::Config;
use crate::tls::{self, CertificateProblem, Certificates};
use std::net::SocketAddr;
use std::sync::Arc;

/// Those that clients by TLS are shown, if there may be any; what cannot be used is logged.
pub(super) fn certificates(settings: &Config) -> Option<Arc<Certificates>> {
    let (certificates, problems) = read_certificates(settings)?;
    tell_of(&problems);
    Some(Arc::new(certificates))
}

/// Everything wrong with the certificates that clients by TLS are to be shown: files, and ports that have none.
pub fn check_certificates(settings: &Config) -> Vec<String> {
    let Some((certificates, problems)) = read_certificates(settings) else { return Vec::new() };
    let missing = tls::offers(&Arc::new(certificates), &ports(settings)).err();
    let problems = problems.iter().map(ToString::to_string);
    problems.chain(missing.map(|missing| missing.to_string())).collect()
}

fn read_certificates(settings: &Config) -> Option<(Certificates, Vec<CertificateProblem>)> {
    (!settings.http.tls_listen.is_empty()).then(|| Certificates::read(&settings.http.certificates))
}

/// Logs what cannot be used.
pub(super) fn tell_of(problems: &[CertificateProblem]) {
    problems.iter().for_each(|problem| tracing::error!("certificate left out: {problem}"));
}

/// The ports that clients by TLS come to.
pub(super) fn ports(settings: &Config) -> Vec<u16> {
    settings.http.tls_listen.iter().map(SocketAddr::port).collect()
}
