//! Sends one message by a PUSH socket of ZeroMQ, for `gripwire publish`. Nobody answers, so success says only that a server
//! has it in its socket; that nobody is there is noticed.

use std::time::Duration;

use super::outcome::PostError;

/// How long a server may take to be there, and to take the message.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends the item `item` to the PULL socket at `endpoint`.
pub fn push(endpoint: &str, item: &[u8]) -> Result<(), PostError> {
    let sent = || {
        let context = zmq::Context::new();
        let socket = context.socket(zmq::PUSH)?;
        // Without it a message would wait for a server that may never be there.
        socket.set_immediate(true)?;
        socket.set_sndtimeo(PATIENCE.as_millis() as i32)?;
        socket.set_linger(PATIENCE.as_millis() as i32)?;
        socket.connect(endpoint)?;
        socket.send([b"J", item].concat(), 0)
    };
    sent().map_err(|error: zmq::Error| PostError::Unsent { to: endpoint.to_owned(), source: error.into() })
}
