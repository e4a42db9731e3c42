//! SockJS (protocol 0.3): sessions of text messages for browsers, over a WebSocket or over requests that wait.
//! `endpoint` finds the endpoint of a path, `frame` writes and reads messages, and `page` has the answers outside
//! sessions.

mod endpoint;
mod frame;
mod page;

pub use endpoint::{Endpoint, Transport, endpoint};
pub use frame::{ANOTHER_CONNECTION, HEARTBEAT, OPEN, close, messages, quoted, said, said_in_form};
pub use page::{iframe, info};
