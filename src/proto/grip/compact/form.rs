//! The numbers of the compact form, version 1.

/// The first byte of a datagram: a `G` with its high bit set. No JSON begins with this byte.
pub const MAGIC: u8 = 0xc7;
/// The second byte.
pub(super) const VERSION: u8 = 1;

/// Which parts an item has: one bit each in the item's first byte.
pub(super) mod has {
    pub const ID: u8 = 1;
    pub const PREV_ID: u8 = 1 << 1;
    pub const NO_SEQ: u8 = 1 << 2;
    pub const META: u8 = 1 << 3;
    pub const RESPONSE: u8 = 1 << 4;
    pub const STREAM: u8 = 1 << 5;
    pub const SOCKET: u8 = 1 << 6;
    /// An item has at least one of these parts.
    pub const FORMATS: u8 = RESPONSE | STREAM | SOCKET;
    /// The item lists the filters that some of its parts expect.
    pub const FILTERS: u8 = 1 << 7;
}

/// What long polls get.
pub(super) mod response {
    pub const HINT: u8 = 0;
    /// A body with code 200.
    pub const BODY: u8 = 1;
    /// Code, reason, headers and a body.
    pub const WHOLE: u8 = 2;
    /// Code, reason, headers and a JSON patch.
    pub const PATCH: u8 = 3;
}

/// What streams get.
pub(super) mod stream {
    pub const HINT: u8 = 0;
    pub const CONTENT: u8 = 1;
    pub const CLOSE: u8 = 2;
}

/// What WebSockets get: the opcodes of RFC 6455 section 11.8, and 0.
pub(super) mod socket {
    pub const REFRESH: u8 = 0;
    pub const TEXT: u8 = 1;
    pub const BINARY: u8 = 2;
    pub const CLOSE: u8 = 8;
    pub const PING: u8 = 9;
    pub const PONG: u8 = 10;
}
