//! One published item. `publish` parses it once, and all cores share it through an `Arc`. The wire form for each
//! transport is encoded at most once, by the first core that uses it, and is immutable from then on.

use super::formats::{ContentFilters, Format, ResponseFormat, SocketFormat, StreamFormat};
use crate::ids::CoreId;
use crate::proto::http1;
use crate::proto::websocket::{self, Compression};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// An item of a publish call: a channel, and a part for each kind of subscriber (GRIP, "publishing").
#[derive(Debug)]
pub struct Publication {
    /// The channel that the item was published to.
    pub channel: Arc<str>,
    /// The publisher's id of the item, for sequencing.
    pub id: Option<Box<str>>,
    /// The id of the previous item on the same channel.
    pub prev_id: Option<Box<str>>,
    /// Deliver the item on arrival: it does not wait for its predecessor, and no item waits for it.
    pub no_seq: bool,
    /// The variables of the item, for filters: sorted by name, each name once.
    pub meta: Meta,
    /// Where to report how many subscribers the item reached, if the publisher wants to know.
    pub receipt: Option<Receipt>,
    /// What long polls get.
    pub response: Option<ResponseFormat>,
    /// What HTTP streams get.
    pub stream: Option<StreamFormat>,
    /// What WebSockets get.
    pub socket: Option<SocketFormat>,
    /// The content filters that a subscription must have, if the publisher lists any; few publishers do.
    pub content_filters: Option<Box<ContentFilters>>,
    chunk: OnceLock<Bytes>,
    frame: OnceLock<Bytes>,
    compressed_frame: OnceLock<Bytes>,
}

/// Names and values.
pub type Meta = Box<[(Box<str>, Box<str>)]>;

/// Where to report the subscribers that an item reached.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Receipt {
    /// The core of the item's publisher.
    pub core: CoreId,
    /// The number of the publish call on that core.
    pub ticket: u64,
    /// The item's place in the call.
    pub item: u32,
}

/// What happens to a stream or WebSocket after an item.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Then {
    /// The subscriber stays.
    #[default]
    Stay,
    /// The stream or WebSocket is closed.
    End,
    /// The application is asked for events.
    Refresh,
    /// The stream continues with its next link.
    Refetch,
}

impl Publication {
    /// An item for `channel` without any parts.
    pub fn new(channel: &str) -> Self {
        Publication {
            channel: channel.into(),
            id: None,
            prev_id: None,
            no_seq: false,
            meta: Box::default(),
            receipt: None,
            response: None,
            stream: None,
            socket: None,
            content_filters: None,
            chunk: OnceLock::new(),
            frame: OnceLock::new(),
            compressed_frame: OnceLock::new(),
        }
    }

    /// A copy of this item for another channel. The copies share their contents.
    pub fn to_channel(&self, channel: &str) -> Self {
        Publication {
            id: self.id.clone(),
            prev_id: self.prev_id.clone(),
            no_seq: self.no_seq,
            meta: self.meta.clone(),
            response: self.response.clone(),
            stream: self.stream.clone(),
            socket: self.socket.clone(),
            content_filters: self.content_filters.clone(),
            ..Publication::new(channel)
        }
    }

    /// The stream content without chunk framing, for close-delimited bodies (HTTP/1.0).
    pub fn stream_content(&self) -> Option<&Bytes> {
        match &self.stream {
            Some(StreamFormat::Content(content)) if !content.is_empty() => Some(content),
            _ => None,
        }
    }

    /// The stream content as one chunk of the chunked coding (RFC 9112 section 7.1).
    pub fn stream_chunk(&self) -> Option<&Bytes> {
        let content = self.stream_content()?;
        Some(self.chunk.get_or_init(|| http1::chunk(content)))
    }

    /// The WebSocket frame, of a message or of a close.
    pub fn socket_frame(&self) -> Option<&Bytes> {
        match self.socket.as_ref()? {
            SocketFormat::Message { opcode, content } => {
                Some(self.frame.get_or_init(|| websocket::frame(*opcode, content)))
            }
            SocketFormat::Close(close) => {
                Some(self.frame.get_or_init(|| websocket::close_frame(Some(close))))
            }
            SocketFormat::Refresh => None,
        }
    }

    /// The WebSocket frame for connections that accept compressed messages. It uses no compression context, so one
    /// form serves all of them.
    pub fn compressed_socket_frame(&self) -> Option<&Bytes> {
        let plain = self.socket_frame()?;
        match self.socket.as_ref()? {
            SocketFormat::Message { opcode, content } if !opcode.is_control() => {
                Some(self.compressed_frame.get_or_init(|| {
                    let deflated = websocket::deflate(content, Compression::SHARED);
                    deflated.map_or_else(|| plain.clone(), |it| websocket::compressed_frame(*opcode, &it))
                }))
            }
            _ => Some(plain),
        }
    }

    /// The content filters that a subscription must have to get the part for `format`, in order; `None` if the
    /// publisher does not list any.
    pub fn expected_filters(&self, format: Format) -> Option<&[Box<str>]> {
        let all = self.content_filters.as_deref()?;
        match format {
            Format::Response => all.response.as_deref(),
            Format::Stream => all.stream.as_deref(),
            Format::Socket => all.socket.as_deref(),
        }
    }

    /// Whether the part for `format` is for subscriptions without content filters.
    pub fn is_plain(&self, format: Format) -> bool {
        self.expected_filters(format).is_none_or(<[_]>::is_empty)
    }

    /// Whether some part is only for subscriptions with content filters.
    pub fn expects_filters(&self) -> bool {
        [Format::Response, Format::Stream, Format::Socket].into_iter().any(|format| !self.is_plain(format))
    }

    /// About how many bytes of memory the item takes.
    pub fn weight(&self) -> usize {
        let formats = [Format::Response, Format::Stream, Format::Socket];
        size_of::<Publication>() + formats.map(|format| self.content_bytes(format)).iter().sum::<usize>()
    }

    /// The size of the part for `format`, without framing, bytes.
    pub fn content_bytes(&self, format: Format) -> usize {
        match format {
            Format::Response => match &self.response {
                Some(ResponseFormat::Send(message)) => message.body_bytes(),
                _ => 0,
            },
            Format::Stream => self.stream_content().map_or(0, Bytes::len),
            Format::Socket => match &self.socket {
                Some(SocketFormat::Message { content, .. }) => content.len(),
                _ => 0,
            },
        }
    }

    /// Whether the part for WebSockets is a text or binary message.
    pub fn is_message(&self) -> bool {
        matches!(&self.socket, Some(SocketFormat::Message { opcode, .. }) if !opcode.is_control())
    }

    /// How many blocks of `block_bytes` the part for `format` takes, the last one maybe incomplete; 0 if
    /// `block_bytes` is 0.
    pub fn blocks(&self, format: Format, block_bytes: u32) -> u64 {
        match block_bytes {
            0 => 0,
            _ => (self.content_bytes(format) as u64).div_ceil(u64::from(block_bytes)),
        }
    }

    /// What happens to streams after this item.
    pub fn then_stream(&self) -> Then {
        match self.stream {
            Some(StreamFormat::Close) => Then::End,
            Some(StreamFormat::Hint) => Then::Refetch,
            Some(StreamFormat::Content(_)) | None => Then::Stay,
        }
    }

    /// What happens to WebSockets after this item.
    pub fn then_socket(&self) -> Then {
        match self.socket {
            Some(SocketFormat::Close(_)) => Then::End,
            Some(SocketFormat::Refresh) => Then::Refresh,
            Some(SocketFormat::Message { .. }) | None => Then::Stay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::websocket::{Close, Opcode};

    fn item(stream: StreamFormat) -> Publication {
        Publication { stream: Some(stream), ..Publication::new("c") }
    }

    #[test]
    fn a_publication_is_shared_by_cores() {
        fn shared<T: Send + Sync>() {}
        shared::<Publication>();
    }

    #[test]
    fn the_frame_of_a_message_and_of_a_close_is_encoded_once() {
        let socket = |socket| Publication { socket: Some(socket), ..Publication::new("c") };
        let text = socket(SocketFormat::Message { opcode: Opcode::Text, content: "hi".into() });
        assert_eq!(text.socket_frame().map(|frame| &frame[..]), Some(&b"\x81\x02hi"[..]));
        let at = |frame: Option<&Bytes>| frame.map(|frame| frame.as_ptr());
        assert_eq!(at(text.socket_frame()), at(text.socket_frame()));
        let close = socket(SocketFormat::Close(Close::with(Close::NORMAL)));
        assert_eq!(close.socket_frame().map(|frame| &frame[..]), Some(&b"\x88\x02\x03\xe8"[..]));
        assert_eq!((close.then_socket(), close.then_stream()), (Then::End, Then::Stay));
        assert_eq!(text.then_socket(), Then::Stay);
        let refresh = socket(SocketFormat::Refresh);
        assert_eq!((refresh.socket_frame(), refresh.then_socket()), (None, Then::Refresh));
    }

    #[test]
    fn messages_are_compressed_once_and_only_if_that_makes_them_shorter() {
        let message = |opcode, content: &str| {
            let content = Bytes::copy_from_slice(content.as_bytes());
            Publication { socket: Some(SocketFormat::Message { opcode, content }), ..Publication::new("c") }
        };
        let long = message(Opcode::Text, &"again ".repeat(20));
        let frame = long.compressed_socket_frame().unwrap();
        assert!(frame[0] == 0xc1 && frame.len() < 40, "{frame:?}");
        assert_eq!(frame.as_ptr(), long.compressed_socket_frame().unwrap().as_ptr());
        for plain in [message(Opcode::Binary, "short"), message(Opcode::Ping, &"p".repeat(100))] {
            assert_eq!(plain.compressed_socket_frame(), plain.socket_frame());
        }
    }

    #[test]
    fn the_chunk_is_encoded_once() {
        let item = item(StreamFormat::Content(Bytes::from(vec![b'x'; 26])));
        let chunk = item.stream_chunk().unwrap();
        assert_eq!(chunk, &format!("1a\r\n{}\r\n", "x".repeat(26)));
        assert!(std::ptr::eq(chunk, item.stream_chunk().unwrap()));
    }

    #[test]
    fn empty_content_never_becomes_the_last_chunk() {
        let item = item(StreamFormat::Content(Bytes::new()));
        assert_eq!((item.stream_content(), item.stream_chunk()), (None, None));
    }

    #[test]
    fn what_expects_filters_is_not_plain() {
        let expecting = |stream: Option<&[&str]>| {
            let stream = stream.map(|names| names.iter().map(|name| Box::from(*name)).collect());
            let content_filters = Some(Box::new(ContentFilters { stream, ..ContentFilters::default() }));
            Publication { content_filters, ..Publication::new("c") }
        };
        let plain =
            |item: &Publication| [Format::Response, Format::Stream].map(|format| item.is_plain(format));
        assert_eq!(plain(&expecting(Some(&["build-id"]))), [true, false]);
        assert_eq!(plain(&expecting(Some(&["build-id"])).to_channel("d")), [true, false]);
        assert_eq!(plain(&expecting(Some(&[]))), [true, true]);
        assert_eq!(plain(&expecting(None)), [true, true]);
        assert_eq!(expecting(Some(&[])).expected_filters(Format::Stream), Some(&[][..]));
    }

    #[test]
    fn only_close_closes() {
        assert_eq!(item(StreamFormat::Close).then_stream(), Then::End);
        assert_eq!(item(StreamFormat::Hint).then_stream(), Then::Refetch);
        assert_eq!(Publication::new("c").then_stream(), Then::Stay);
    }
}
