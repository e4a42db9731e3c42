//! The transports of subscribers. They divide a channel's subscribers into lists (`roster`): a fan-out serves one
//! list after the other, with the part of an item for that transport.

use crate::proto::grip::Format;

/// The transport of a subscriber.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Transport {
    /// A held HTTP/1.1 response in the chunked coding.
    StreamChunked,
    /// A held HTTP/1.0 response that ends with its connection.
    StreamRaw,
    /// A long poll.
    Response,
    /// A WebSocket.
    Socket,
    /// A WebSocket that takes compressed messages.
    CompressedSocket,
    /// A long poll with filters on the channel.
    FilteredResponse,
    /// A held response of either kind with filters on the channel.
    FilteredStream,
    /// A WebSocket with filters on the channel.
    FilteredSocket,
}

impl Transport {
    /// All transports, in the order a pass serves them.
    pub const ALL: [Transport; 8] = [
        Transport::StreamChunked,
        Transport::StreamRaw,
        Transport::Response,
        Transport::Socket,
        Transport::CompressedSocket,
        Transport::FilteredResponse,
        Transport::FilteredStream,
        Transport::FilteredSocket,
    ];

    /// GRIP's name of the format for this transport.
    pub fn format(self) -> &'static str {
        match self.part() {
            Format::Response => "http-response",
            Format::Stream => "http-stream",
            Format::Socket => "ws-message",
        }
    }

    /// The format of the part for this transport.
    pub fn part(self) -> Format {
        match self {
            Transport::Response | Transport::FilteredResponse => Format::Response,
            Transport::StreamChunked | Transport::StreamRaw | Transport::FilteredStream => Format::Stream,
            Transport::Socket | Transport::CompressedSocket | Transport::FilteredSocket => Format::Socket,
        }
    }

    /// This transport with filters, to which items cannot be sent unchanged.
    pub fn filtered(self) -> Transport {
        match self {
            Transport::Response => Transport::FilteredResponse,
            Transport::StreamChunked | Transport::StreamRaw => Transport::FilteredStream,
            Transport::Socket | Transport::CompressedSocket => Transport::FilteredSocket,
            filtered => filtered,
        }
    }

    /// Whether this transport has filters.
    pub fn is_filtered(self) -> bool {
        self == self.filtered()
    }

    /// Whether one item ends the hold.
    pub fn is_poll(self) -> bool {
        matches!(self, Transport::Response | Transport::FilteredResponse)
    }
}
