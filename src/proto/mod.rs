//! Sans-IO codecs: bytes in, decisions and bytes out. No sockets, no clock, no executor.
//!
//! `http1` is HTTP/1.1, `content_coding` undoes the compression of answers, `websocket` is the server side of
//! WebSockets; `grip` is the GRIP protocol (instructions, publish items, signatures), parts of which are in the form of
//! `tnetstring`; `cross_origin` answers browsers whose page is of another origin, `sockjs` those without WebSockets;
//! `script` is what both put into scripts; `proxy_protocol` reads what load balancers say of a connection,
//! `trusted_proxies` whom this server believes such things, `client_network` which addresses are one client, and `exempt`
//! for whom there are no limits by address; `byte_order_mark` and `lenient_json` are what is let pass
//! in texts of others.

#![forbid(unsafe_code)]

pub mod byte_order_mark;
pub mod client_network;
pub mod content_coding;
pub mod cross_origin;
pub mod exempt;
pub mod grip;
pub mod http1;
pub mod lenient_json;
pub mod proxy_protocol;
pub mod script;
pub mod sockjs;
pub mod tnetstring;
pub mod trusted_proxies;
pub mod websocket;
