//! Settings: the native TOML file and Pushpin's `pushpin.conf`, both read into one [`Config`], which `settings` declares.
//!
//! [`load()`] finds the file and calls one of two readers. `native` reads tables through `section`, which reports
//! unknown keys. `pushpin` reads entries through `ini`; `pushpin_keys` says why a key has no effect. Both readers use
//! the values in `accounts`, `address`, `endpoint`, `tokens`, `unix_port`, `metrics_port` and `forwarded_for`, and read
//! files through `files`. `defaults` has the default values. Each mistake is a [`Problem`]: file, line, what to change.
//! `marks` has the marks of settings, and `renewal` keeps the settings that need a restart.

#![forbid(unsafe_code)]

mod accounts;
mod address;
mod defaults;
mod endpoint;
mod files;
mod forwarded_for;
mod ini;
mod load;
mod marks;
mod metrics_port;
mod native;
mod problem;
mod pushpin;
mod pushpin_keys;
mod renewal;
mod section;
mod settings;
mod tokens;
mod unix_port;

pub use crate::proto::exempt::{Exempt, NotExempt};
pub use crate::proto::trusted_proxies::{NotAProxy, TrustedProxies};
pub use address::{NotAHostName, NotAnAddress, parse_host_name, parse_listen};
pub use endpoint::{Endpoint, NotAnEndpoint};
pub use files::{key_file, read_text, resolve_key};
pub use forwarded_for::ForwardedFor;
pub use load::{LoadError, Loaded, Source, load};
pub use metrics_port::{MetricsPort, NotAMetricsPort};
pub use problem::{Problem, nearest};
pub use settings::{
    Channels, Config, Control, ForwardedProtocol, Http, Ingest, Limits, Log, Proxy, ProxyProtocol, Server,
    SlowConsumer, Stats, StatsFormat, WebSocket, ZeroMq,
};
pub use tokens::{Grants, Token, TokenError};
pub use unix_port::{NotAUnixPort, UnixPort};
