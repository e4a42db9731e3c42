//! The purposes for which bytes are kept.

/// The purpose for which bytes are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Incomplete request heads, and requests that wait for the answer to an earlier one.
    Heads,
    /// Requests that are being answered: their heads, and the kept parts of their bodies. Also the connections of
    /// pass-through WebSockets, and the bytes on their way there.
    Requests,
    /// Messages from the clients of WebSockets: incomplete messages, and events that wait for the application.
    Incoming,
    /// Held long polls: the requests, to send them again, and the answers for the timeout.
    Polls,
    /// Items that wait for the filters of a subscriber.
    Filters,
    /// Variables that applications have set for subscribers.
    Variables,
    /// Messages that wait in SockJS conversations.
    Conversations,
    /// Items that wait for the fan-out.
    Items,
}

impl Kind {
    /// The number of kinds.
    pub(super) const COUNT: usize = 8;
}
