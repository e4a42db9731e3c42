//! The properties of conditions and targets in the routes file; each value is checked when it is read. A property
//! that is unknown or has no effect here is no error: it is noted with the reason.

use super::line::Section;
use crate::origin::route::{ClientCertificate, Destination, HostCondition, Route, Target};
use crate::proto::cross_origin::Mode;
use http::{HeaderName, HeaderValue, Method};
use std::sync::Arc;

/// Reads a condition; properties without effect are added to `notes`.
///
/// # Errors
/// The first invalid value, and what is allowed.
pub(super) fn parse_condition(section: &Section, notes: &mut Vec<String>) -> Result<Route, String> {
    let host = match section.value.as_str() {
        "*" => HostCondition::Any,
        "" => HostCondition::Never,
        host => HostCondition::Exact(host.to_ascii_lowercase()),
    };
    let mut route = Route::bare(host);
    for (name, value) in &section.properties {
        set_condition(&mut route, name, value, notes)?;
    }
    if !route.has_own_id {
        route.id = made_up_id(&route);
    }
    if route.host == HostCondition::Never && !route.has_own_id {
        return Err("a condition needs a host, `*`, or an `id`".into());
    }
    Ok(route)
}

fn set_condition(route: &mut Route, name: &str, value: &str, notes: &mut Vec<String>) -> Result<(), String> {
    let given =
        || if value.is_empty() { Err(format!("`{name}` needs a value")) } else { Ok(value.to_owned()) };
    let path = || match given() {
        Ok(path) if path.starts_with('/') => Ok(path),
        _ => Err(format!("`{name}` is a path that begins with `/`, not {value:?}")),
    };
    match name {
        "proto" => route.websocket = Some(choice(name, value, "ws", "http")?),
        "ssl" => route.tls = Some(choice(name, value, "yes", "no")?),
        "path_beg" => route.path_beg = Some(given()?),
        "id" => (route.id, route.has_own_id) = (given()?, true),
        "as_host" => route.as_host = Some(given()?),
        "path_rem" => {
            let length =
                value.parse().map_err(|_| format!("`path_rem` is a number of characters, not {value:?}"))?;
            route.path_rem = length;
        }
        // An empty value is useful here: it removes `path_beg` and puts nothing in its place.
        "replace_beg" => route.replace_beg = Some(value.to_owned()),
        "header" => route.headers.push(parse_header(value)?),
        "prefix" => route.prefix = Some(given()?),
        "orig_headers" => route.orig_headers = true,
        "no_grip" => route.no_grip = true,
        "aco" => route.cross_origin = true,
        "jsonp_mode" => {
            route.jsonp.mode =
                if choice(name, value, "basic", "extended")? { Mode::Basic } else { Mode::Extended };
        }
        "jsonp_cb" => route.jsonp.callback = Some(given()?),
        "jsonp_body" => route.jsonp.body = Some(given()?),
        "jsonp_defcb" => route.jsonp.default_callback = Some(given()?),
        "jsonp_defmethod" => {
            let method: Method = value.parse().map_err(|_| format!("`{name}` is a method, not {value:?}"))?;
            route.jsonp.default_method = Some(method);
        }
        "sockjs" => route.sockjs = Some(path()?),
        "sockjs_as_path" => route.sockjs_as_path = Some(path()?),
        "debug" => route.debug = true,
        "log_level" => {
            let level = value.parse().map_err(|_| format!("`log_level` is a number, not {value:?}"))?;
            route.log_level = Some(level);
        }
        "sig_iss" => Arc::make_mut(&mut route.signing).iss = Some(given()?),
        "sig_key" => Arc::make_mut(&mut route.signing).key = Some(given()?),
        _ => notes.push(without_effect(name, CONDITION_PROPERTIES, IDLE_CONDITION_PROPERTIES)),
    }
    Ok(())
}

/// Reads a target; properties without effect are added to `notes`.
///
/// # Errors
/// The first invalid value, and what is allowed.
pub(super) fn parse_target(section: &Section, notes: &mut Vec<String>) -> Result<Target, String> {
    let mut target = Target::to(parse_destination(&section.value)?);
    let (mut chain, mut key) = (None, None);
    for (name, value) in &section.properties {
        match name.as_str() {
            "ssl" => target.ssl = true,
            "insecure" => target.insecure = true,
            "trust_connect_host" => target.trust_connect_host = true,
            "host" if value.is_empty() => return Err("`host` needs a value".into()),
            "host" => target.host = Some(value.clone()),
            "client_cert" | "client_key" if value.is_empty() => return Err(format!("`{name}` needs a file")),
            "client_cert" => chain = Some(value.into()),
            "client_key" => key = Some(value.into()),
            "untrusted" => target.untrusted = true,
            "over_http" => target.over_http = true,
            "one_event" => target.one_event = true,
            "sub" if value.is_empty() => return Err("`sub` needs a channel".into()),
            "sub" => target.subscriptions.push(value.clone()),
            _ => notes.push(without_effect(name, TARGET_PROPERTIES, IDLE_TARGET_PROPERTIES)),
        }
    }
    target.client_certificate = match (chain, key) {
        (Some(chain), Some(key)) => Some(Arc::new(ClientCertificate { chain, key })),
        (None, None) => None,
        _ => return Err("`client_cert` and `client_key` need each other".into()),
    };
    Ok(target)
}

fn parse_destination(value: &str) -> Result<Destination, String> {
    match value {
        "test" => return Ok(Destination::Test),
        "demo" => return Ok(Destination::Demo),
        _ if value.starts_with("zhttp/") || value.starts_with("zhttpreq/") => {
            return Err(format!("{value:?}: targets are reached by HTTP only; name a host and port"));
        }
        _ => {}
    }
    let malformed =
        || format!("{value:?} is no target: write `host:port`, `[address]:port`, `test` or `demo`");
    let (host, port) = match value.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => value.rsplit_once(':').filter(|(host, _)| !host.contains(':')),
    }
    .ok_or_else(malformed)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(malformed)?;
    if host.is_empty() {
        return Err(malformed());
    }
    Ok(Destination::Address { host: host.to_owned(), port })
}

fn parse_header(value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let malformed = || format!("`header` is `name:value`, not {value:?}");
    let (name, text) = value.split_once(':').ok_or_else(malformed)?;
    let name = name.trim().parse().map_err(|_| malformed())?;
    Ok((name, HeaderValue::from_str(text.trim()).map_err(|_| malformed())?))
}

fn choice(name: &str, value: &str, yes: &str, no: &str) -> Result<bool, String> {
    match value {
        _ if value == yes => Ok(true),
        _ if value == no => Ok(false),
        _ => Err(format!("`{name}` is `{yes}` or `{no}`, not {value:?}")),
    }
}

fn made_up_id(route: &Route) -> String {
    let host = match &route.host {
        HostCondition::Any => "*",
        HostCondition::Exact(host) => host,
        HostCondition::Never => "",
    };
    let word = |condition: Option<bool>, yes, no| match condition {
        None => "*",
        Some(true) => yes,
        Some(false) => no,
    };
    let (proto, tls) = (word(route.websocket, "ws", "http"), word(route.tls, "ssl", "no-ssl"));
    format!("{host},{proto},{tls},{}", route.path_beg.as_deref().unwrap_or("*"))
}

/// The note for a property without effect, and what to do about it.
fn without_effect(name: &str, known: &[&str], idle: &[(&str, &str)]) -> String {
    if let Some((_, why)) = idle.iter().find(|(idle, _)| *idle == name) {
        return format!("`{name}` has no effect: {why}");
    }
    let nearest = known.iter().min_by_key(|known| strsim::damerau_levenshtein(known, name));
    format!("unknown property `{name}` has no effect (did you mean `{}`?)", nearest.unwrap_or(&""))
}

const CONDITION_PROPERTIES: &[&str] = &[
    "proto",
    "ssl",
    "path_beg",
    "id",
    "as_host",
    "path_rem",
    "replace_beg",
    "header",
    "prefix",
    "no_grip",
    "orig_headers",
    "aco",
    "jsonp_mode",
    "jsonp_cb",
    "jsonp_body",
    "jsonp_defcb",
    "jsonp_defmethod",
    "sockjs",
    "sockjs_as_path",
    "debug",
    "log_level",
    "sig_iss",
    "sig_key",
];
/// Properties of Pushpin that have no effect here, and why.
const IDLE_CONDITION_PROPERTIES: &[(&str, &str)] = &[("session", "the session service is not used")];
const TARGET_PROPERTIES: &[&str] = &[
    "ssl",
    "insecure",
    "trust_connect_host",
    "host",
    "client_cert",
    "client_key",
    "untrusted",
    "over_http",
    "one_event",
    "sub",
];
const IDLE_TARGET_PROPERTIES: &[(&str, &str)] = &[("ipc_file_mode", "there are no ipc sockets")];
