//! Sockets of ZeroMQ, with which applications publish and operators ask.

pub use gripwire_harness::zeromq::{tnetstring, value};
use serde_json::Value;
use zmq::{Socket, SocketType};

use super::proxy::Proxy;

/// A socket of the kind `kind` that is connected to the server's socket `name`; a SUB hears everything.
pub fn connect(proxy: &Proxy, kind: SocketType, name: &str) -> Socket {
    let socket = gripwire_harness::zeromq::connect(&proxy.zeromq(name), kind);
    if kind == SocketType::SUB {
        socket.set_subscribe(b"").expect("a subscription");
    }
    socket
}

/// Asks something of the command socket; the whole answer but for its id, which is right.
pub fn command(proxy: &Proxy, method: &str, args: Value) -> Value {
    gripwire_harness::zeromq::command(&proxy.zeromq("command"), method, args)
}
