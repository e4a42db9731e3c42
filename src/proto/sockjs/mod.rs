//! SockJS (protocol 0.3): a conversation of texts for browsers, over a WebSocket or over requests that wait. `endpoint`
//! tells what a path asks for, `frame` what a client is told and what it says, `page` answers what is not a conversation.

mod endpoint;
mod frame;
mod page;

pub use endpoint::{Endpoint, Transport, endpoint};
pub use frame::{ANOTHER_CONNECTION, HEARTBEAT, OPEN, close, messages, quoted, said, said_in_form};
pub use page::{iframe, info};
