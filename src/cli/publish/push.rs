//! Sends one message by a ZeroMQ PUSH socket, for `gripwire publish`. A PULL socket does not answer, so success means only
//! that the server's socket has the message. A missing server is an error.

use std::time::Duration;

use super::outcome::PostError;

/// Time for connecting, and for sending the message.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends the item `item` to the PULL socket at `endpoint`.
///
/// # Errors
/// The error of libzmq, and the endpoint.
pub fn push(endpoint: &str, item: &[u8]) -> Result<(), PostError> {
    let sent = || {
        let context = zmq::Context::new();
        let socket = context.socket(zmq::PUSH)?;
        // Without this option, the message would be queued for a server that may never start.
        socket.set_immediate(true)?;
        socket.set_sndtimeo(PATIENCE.as_millis() as i32)?;
        socket.set_linger(PATIENCE.as_millis() as i32)?;
        socket.connect(endpoint)?;
        socket.send([b"J", item].concat(), 0)
    };
    sent().map_err(|error: zmq::Error| PostError::Unsent { to: endpoint.to_owned(), source: error.into() })
}
