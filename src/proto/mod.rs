//! Sans-IO codecs: bytes in, decisions and bytes out. No sockets, no clock, no executor.
//!
//! `http1` is HTTP/1.1, `content_coding` decompresses answers, `websocket` is the server side of WebSockets. `grip`
//! is the GRIP protocol (instructions, published items, signatures); parts of it use `tnetstring`. `cross_origin`
//! answers browsers whose page has another origin, `sockjs` browsers without WebSockets; `script` writes the scripts
//! of both. `proxy_protocol` reads the header that load balancers put before a connection. `trusted_proxies` decides
//! which proxies are trusted, `client_network` which addresses count as one client, and `exempt` which clients have
//! no limits by address. `byte_order_mark` and `lenient_json` accept common deviations in texts of other programs.

#![forbid(unsafe_code)]

pub mod byte_order_mark;
pub mod client_network;
pub mod content_coding;
pub mod cross_origin;
pub mod exempt;
pub mod grip;
pub mod http1;
pub mod lenient_json;
#[cfg(test)]
pub mod pinned;
pub mod proxy_protocol;
pub mod script;
pub mod sockjs;
pub mod tnetstring;
pub mod trusted_proxies;
pub mod websocket;
