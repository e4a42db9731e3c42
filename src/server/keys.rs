//! Reads the keys that the settings and the routes name: keys that sign requests to origins, and the key that verifies
//! requests of other proxies. Keys are read at the start, and whenever the files are read again.

use super::error::ServerError;
use crate::config::Config;
use crate::origin::{Route, Routes, Signing, read_certificate};
use crate::proto::grip::signature::{Key, Signer};
use crate::proto::grip::upstream::UpstreamKey;
use crate::requests::Signers;
use std::path::Path;
use std::sync::Arc;

/// All errors in the keys and client certificates that the settings and the routes name. The server does not start with
/// any such error.
pub fn check_keys(settings: &Config, routes: &Routes) -> Vec<ServerError> {
    let of_routes = routes.iter().map(|route| {
        let Signing { iss, key } = &*route.signing;
        key.as_ref().and_then(|key| signer(settings, iss.as_deref(), Some(key), &route.id).err())
    });
    let of_targets = routes.iter().flat_map(|route| {
        let certificates = route.targets.iter().filter_map(|target| target.client_certificate.as_ref());
        certificates.filter_map(|certificate| {
            let source = read_certificate(certificate).err()?;
            Some(ServerError::Certificate { route: route.id.clone(), source })
        })
    });
    let own = [signer(settings, None, None, "").err(), upstream_key(settings).err()];
    own.into_iter().flatten().chain(of_routes.flatten()).chain(of_targets).collect()
}

/// The signers and the verification key for the cores.
pub(super) fn signers(settings: &Config, routes: &Routes) -> Result<Signers, ServerError> {
    let own = routes.iter().filter(|route| route.signing.key.is_some() || route.signing.iss.is_some());
    let of_route = |route: &Arc<Route>| {
        let signing = &route.signing;
        let signer = signer(settings, signing.iss.as_deref(), signing.key.as_deref(), &route.id)?;
        Ok((signing.clone(), signer))
    };
    let by_route = own.map(of_route).collect::<Result<_, ServerError>>()?;
    Ok(Signers {
        default: signer(settings, None, None, "")?,
        by_route,
        upstream_key: upstream_key(settings)?,
    })
}

fn upstream_key(settings: &Config) -> Result<Option<UpstreamKey>, ServerError> {
    UpstreamKey::parse(&settings.proxy.upstream_key, Path::new(".")).map_err(ServerError::UpstreamKey)
}

fn signer(
    settings: &Config,
    iss: Option<&str>,
    key: Option<&str>,
    route: &str,
) -> Result<Option<Signer>, ServerError> {
    let text = key.unwrap_or(&settings.proxy.sig_key);
    let key = Key::parse(text, Path::new(".")).map_err(|source| {
        let of_route = if route.is_empty() { String::new() } else { format!(" of route {route}") };
        ServerError::Key { of_route, source }
    })?;
    Ok(key.map(|key| Signer::new(iss.unwrap_or(&settings.proxy.sig_iss), &key)))
}
