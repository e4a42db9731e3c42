//! Reads single values of `gripwire.toml`. Each function reads one kind of value; its error says which value is
//! allowed.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use http::{HeaderName, HeaderValue};
use toml::Spanned;
use toml::de::DeValue;
use tracing_subscriber::EnvFilter;

use crate::config::accounts::{group_id, user_id};
use crate::config::forwarded_for::ForwardedFor;
use crate::config::section::Unusable;
use crate::config::{
    Endpoint, Exempt, ForwardedProtocol, Grants, MetricsPort, ProxyProtocol, SlowConsumer, StatsFormat,
    Token, TrustedProxies, UnixPort, parse_host_name, parse_listen,
};

type Value<'v> = Spanned<DeValue<'v>>;

pub fn boolean(value: &Value<'_>) -> Result<bool, Unusable> {
    value.get_ref().as_bool().ok_or_else(|| Unusable::value("true or false"))
}

pub fn string(value: &Value<'_>) -> Result<String, Unusable> {
    value.get_ref().as_str().map(str::to_owned).ok_or_else(|| Unusable::value("text in quotes"))
}

/// A whole number of at least 1. The server would not work if one of these bounds, sizes or times were 0.
pub fn positive<T: TryFrom<u64>>(value: &Value<'_>) -> Result<T, Unusable> {
    let number = value.get_ref().as_integer();
    let number = number.and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
    number
        .filter(|number| *number > 0)
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| Unusable::value("a whole number of at least 1"))
}

pub fn count(value: &Value<'_>) -> Result<usize, Unusable> {
    positive(value)
}

pub fn milliseconds(value: &Value<'_>) -> Result<u64, Unusable> {
    positive(value)
}

/// Milliseconds; 0 means never.
pub fn milliseconds_or_never(value: &Value<'_>) -> Result<u64, Unusable> {
    match value.get_ref().as_integer() {
        Some(number) if number.as_str() == "0" => Ok(0),
        _ => milliseconds(value).map_err(|_| Unusable::value("a whole number of at least 0")),
    }
}

/// A count; 0 means no limit.
pub fn count_or_none(value: &Value<'_>) -> Result<usize, Unusable> {
    milliseconds_or_never(value)?.try_into().map_err(|_| Unusable::value("a whole number of at least 0"))
}

/// A number of events per second; 0 means no limit.
pub fn rate_or_none(value: &Value<'_>) -> Result<u16, Unusable> {
    let rate = milliseconds_or_never(value).ok().and_then(|rate| rate.try_into().ok());
    rate.ok_or_else(|| Unusable::value("a whole number from 0 (no limit) to 65535"))
}

/// Bytes, or bytes per second; 0 means no limit.
pub fn bytes_or_none(value: &Value<'_>) -> Result<u64, Unusable> {
    milliseconds_or_never(value)
}

pub fn seconds_or_never(value: &Value<'_>) -> Result<u32, Unusable> {
    milliseconds_or_never(value)?.try_into().map_err(|_| Unusable::value("a number of seconds"))
}

pub fn stats_format(value: &Value<'_>) -> Result<StatsFormat, Unusable> {
    match value.get_ref().as_str() {
        Some("tnetstring") => Ok(StatsFormat::Tnetstring),
        Some("json") => Ok(StatsFormat::Json),
        _ => Err(Unusable::value("\"tnetstring\" or \"json\"")),
    }
}

pub fn strings(value: &Value<'_>) -> Result<Vec<String>, Unusable> {
    let wanted = || Unusable::value("a list of text in quotes");
    let items = value.get_ref().as_array().ok_or_else(wanted)?;
    items.iter().map(|item| item.get_ref().as_str().map(str::to_owned).ok_or_else(wanted)).collect()
}

pub fn host_names(value: &Value<'_>) -> Result<Vec<String>, Unusable> {
    each(value, "a list of host names, such as [\"build.lan\"]", parse_host_name)
}

pub fn path(value: &Value<'_>, directory: &Path) -> Result<PathBuf, Unusable> {
    string(value).map(|path| directory.join(path))
}

/// A secret. Empty text is an error: an empty secret looks protected but admits everyone.
pub fn secret(value: &Value<'_>) -> Result<String, Unusable> {
    string(value).ok().filter(|secret| !secret.is_empty()).ok_or_else(|| Unusable::value("text, not empty"))
}

pub fn tokens(value: &Value<'_>) -> Result<Vec<Token>, Unusable> {
    each(value, "a list of tokens, such as [\"publish:news- s3cret\"]", Token::parse)
}

pub fn publish_scopes(value: &Value<'_>) -> Result<Grants, Unusable> {
    gathered(value, "a list such as [\"publish:news-\"]", Grants::add_publish)
}

pub fn basic(value: &Value<'_>) -> Result<String, Unusable> {
    secret(value).ok().filter(|pair| pair.contains(':')).ok_or_else(|| Unusable::value("\"user:password\""))
}

/// One address: a port number, or text.
fn listener(value: &Value<'_>, any: Ipv4Addr) -> Result<SocketAddr, Unusable> {
    let text = match value.get_ref() {
        DeValue::Integer(port) => port.as_str(),
        DeValue::String(text) => text,
        _ => return Err(Unusable::value("a port or an address such as \"127.0.0.1:7999\"")),
    };
    parse_listen(text, any).map_err(|error| Unusable::part(value.span(), error))
}

pub fn listeners(value: &Value<'_>) -> Result<Vec<SocketAddr>, Unusable> {
    one_or_more(value, |value| listener(value, Ipv4Addr::UNSPECIFIED))
}

pub fn trusted_proxies(value: &Value<'_>) -> Result<TrustedProxies, Unusable> {
    gathered(value, "a list such as [\"10.0.0.0/8\", \"loopback\", \"unix\"]", TrustedProxies::add)
}

pub fn exempt(value: &Value<'_>) -> Result<Exempt, Unusable> {
    let wanted = "a list such as [\"loopback\", \"unix\", \"trusted_proxies\", \"10.0.0.0/8\"]";
    gathered(value, wanted, Exempt::add)
}

/// True, false, or the addresses of the ports that expect the PROXY protocol.
pub fn proxy_protocol(value: &Value<'_>) -> Result<ProxyProtocol, Unusable> {
    match value.get_ref().as_bool() {
        Some(true) => Ok(ProxyProtocol::Everywhere),
        Some(false) => Ok(ProxyProtocol::Off),
        None => listeners(value).map(ProxyProtocol::At),
    }
}

pub fn unix_ports(value: &Value<'_>, directory: &Path) -> Result<Vec<UnixPort>, Unusable> {
    one_or_more(value, |value| {
        UnixPort::parse(&string(value)?, directory).map_err(|error| Unusable::part(value.span(), error))
    })
}

pub fn control_listener(value: &Value<'_>) -> Result<Option<SocketAddr>, Unusable> {
    own_listener(value, "an address such as \"127.0.0.1:5561\", or false")
}

pub fn metrics_port(value: &Value<'_>, directory: &Path) -> Result<Option<MetricsPort>, Unusable> {
    let text = match value.get_ref() {
        DeValue::Boolean(false) => return Ok(None),
        DeValue::Integer(port) => port.as_str(),
        DeValue::String(text) => text,
        _ => return Err(Unusable::value("an address such as \"127.0.0.1:9100\", or false")),
    };
    let port = MetricsPort::parse(text, Ipv4Addr::LOCALHOST, directory);
    port.map(Some).map_err(|error| Unusable::part(value.span(), error))
}

pub fn udp_socket(value: &Value<'_>) -> Result<Option<SocketAddr>, Unusable> {
    own_listener(value, "an address such as \"127.0.0.1:5565\", or false")
}

pub fn endpoint(value: &Value<'_>, directory: &Path) -> Result<Endpoint, Unusable> {
    Endpoint::parse(&string(value)?, directory).map_err(|error| Unusable::part(value.span(), error))
}

pub fn endpoints(value: &Value<'_>, directory: &Path) -> Result<Vec<Endpoint>, Unusable> {
    one_or_more(value, |value| endpoint(value, directory))
}

pub fn file_mode(value: &Value<'_>) -> Result<u32, Unusable> {
    let mode = positive(value).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| Unusable::value("a file mode, such as 0o660"))
}

pub fn users(value: &Value<'_>) -> Result<Vec<u32>, Unusable> {
    ids(value, "user", user_id)
}

pub fn groups(value: &Value<'_>) -> Result<Vec<u32>, Unusable> {
    ids(value, "group", group_id)
}

/// Ids of users or groups, given as numbers or as names that the system knows.
fn ids(value: &Value<'_>, kind: &str, find: impl Fn(&str) -> Option<u32>) -> Result<Vec<u32>, Unusable> {
    let wanted = || Unusable::value(format!("a list of {kind}s: names in quotes, or numbers"));
    let items = value.get_ref().as_array().ok_or_else(wanted)?;
    let id = |item: &Value<'_>| match item.get_ref() {
        DeValue::Integer(number) => {
            u32::from_str_radix(number.as_str(), number.radix()).map_err(|_| wanted())
        }
        DeValue::String(name) => {
            find(name).ok_or_else(|| Unusable::part(item.span(), format!("no {kind} is called `{name}`")))
        }
        _ => Err(wanted()),
    };
    items.iter().map(id).collect()
}

pub fn forwarded_protocol(value: &Value<'_>) -> Result<ForwardedProtocol, Unusable> {
    match (value.get_ref().as_bool(), value.get_ref().as_str()) {
        (Some(true), _) => Ok(ForwardedProtocol::Both),
        (Some(false), _) => Ok(ForwardedProtocol::Off),
        (_, Some("proto-only")) => Ok(ForwardedProtocol::ProtoOnly),
        _ => Err(Unusable::value("true, false or \"proto-only\"")),
    }
}

pub fn forwarded_for_words(value: &Value<'_>) -> Result<ForwardedFor, Unusable> {
    gathered(value, "a list such as [\"truncate:2\", \"append\"]", ForwardedFor::add)
}

pub fn header_value(value: &Value<'_>) -> Result<HeaderValue, Unusable> {
    let text = string(value)?;
    HeaderValue::try_from(text).map_err(|_| Unusable::value("text that a header may hold"))
}

pub fn header_names(value: &Value<'_>) -> Result<Vec<HeaderName>, Unusable> {
    let wanted = || Unusable::value("a list of header names");
    strings(value)?.iter().map(|name| name.parse().map_err(|_| wanted())).collect()
}

pub fn slow_consumer(value: &Value<'_>) -> Result<SlowConsumer, Unusable> {
    match value.get_ref().as_str() {
        Some("close") => Ok(SlowConsumer::Close),
        Some("drop") => Ok(SlowConsumer::Drop),
        _ => Err(Unusable::value("\"close\" or \"drop\"")),
    }
}

pub fn filter(value: &Value<'_>) -> Result<String, Unusable> {
    let text = string(value)?;
    match EnvFilter::from_str(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(Unusable::value("a filter such as \"info\" or \"gripwire=debug\"")),
    }
}

/// An address, or false for none. A bare port listens on 127.0.0.1 only, so that a port is never open to other machines
/// by accident.
fn own_listener(value: &Value<'_>, wanted: &str) -> Result<Option<SocketAddr>, Unusable> {
    match value.get_ref() {
        DeValue::Boolean(false) => Ok(None),
        DeValue::Boolean(true) => Err(Unusable::value(wanted)),
        _ => listener(value, Ipv4Addr::LOCALHOST).map(Some),
    }
}

/// A list, or a single value in place of a list of one.
fn one_or_more<T>(
    value: &Value<'_>,
    read: impl Fn(&Value<'_>) -> Result<T, Unusable>,
) -> Result<Vec<T>, Unusable> {
    match value.get_ref().as_array() {
        None => read(value).map(|one| vec![one]),
        Some(items) => items.iter().map(read).collect(),
    }
}

/// A list of texts, each read by `parse`.
fn each<T, E: ToString>(
    value: &Value<'_>,
    wanted: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, Unusable> {
    gathered(value, wanted, |all: &mut Vec<T>, text: &str| parse(text).map(|one| all.push(one)))
}

/// The value that results when `add` adds each text of a list to the default.
fn gathered<T: Default, E: ToString>(
    value: &Value<'_>,
    wanted: &str,
    add: impl Fn(&mut T, &str) -> Result<(), E>,
) -> Result<T, Unusable> {
    let wanted = || Unusable::value(wanted);
    let mut all = T::default();
    for item in value.get_ref().as_array().ok_or_else(wanted)?.iter() {
        let text = item.get_ref().as_str().ok_or_else(wanted)?;
        add(&mut all, text).map_err(|error| Unusable::part(item.span(), error))?;
    }
    Ok(all)
}
