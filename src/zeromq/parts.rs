//! One message of a socket, in its parts. Valid messages have few parts. Further parts are read and dropped, so that no
//! sender can fill memory with empty parts.

use zmq::{DONTWAIT, Message, Socket};

/// Most parts that are kept: enough for the envelope of a REQ behind several brokers, and the call.
const KEPT: usize = 16;

/// A message.
#[derive(Default)]
pub struct Parts {
    parts: Vec<Message>,
    count: usize,
}

impl Parts {
    /// The next message of `socket`, if one has arrived.
    pub fn receive(socket: &Socket) -> Option<Parts> {
        let mut parts = Parts::default();
        loop {
            let mut part = Message::new();
            // libzmq delivers whole messages only, so after a first part the others are available.
            socket.recv(&mut part, DONTWAIT).ok()?;
            parts.count += 1;
            let more = part.get_more();
            if parts.parts.len() < KEPT {
                parts.parts.push(part);
            }
            if !more {
                return Some(parts);
            }
        }
    }

    /// The number of parts that the message had, dropped parts included.
    pub fn count(&self) -> usize {
        self.count
    }

    /// All parts, if there are exactly `N`.
    pub fn exactly<const N: usize>(&self) -> Option<&[Message; N]> {
        self.parts.as_slice().try_into().ok().filter(|_| self.count == N)
    }

    /// Splits a REQ socket's message into the envelope, its empty part included, and the call.
    pub fn enveloped(mut self) -> Option<(Vec<Message>, Message)> {
        let call = self.parts.pop()?;
        let is_call = self.count == self.parts.len() + 1;
        let delimiters = self.parts.iter().filter(|part| part.is_empty()).count();
        let ends_with_delimiter = self.parts.last().is_some_and(|part| part.is_empty());
        (is_call && delimiters == 1 && ends_with_delimiter).then_some((self.parts, call))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zmq::{Context, SNDMORE, SocketType};

    /// The received parts of a message with these parts.
    fn received(parts: &[&[u8]]) -> Parts {
        let context = Context::new();
        let receiver = context.socket(SocketType::PULL).expect("a socket");
        receiver.bind("inproc://parts").expect("an address");
        let sender = context.socket(SocketType::PUSH).expect("a socket");
        sender.connect("inproc://parts").expect("a connection");
        assert!(Parts::receive(&receiver).is_none(), "nothing was sent");
        for (index, part) in parts.iter().enumerate() {
            let more = if index + 1 < parts.len() { SNDMORE } else { 0 };
            sender.send(*part, more).expect("room");
        }
        let received = Parts::receive(&receiver).expect("a message");
        assert!(Parts::receive(&receiver).is_none(), "one message is one");
        received
    }

    #[test]
    fn a_message_has_exactly_the_parts_that_were_sent() {
        let parts = received(&[b"news", b"item"]);
        assert!(parts.exactly::<1>().is_none() && parts.exactly::<3>().is_none());
        let [channel, item] = parts.exactly().expect("two parts");
        assert_eq!((&channel[..], &item[..]), (&b"news"[..], &b"item"[..]));
    }

    #[test]
    fn parts_beyond_those_that_are_kept_are_counted_and_make_no_call() {
        let mut many = vec![&b"broker"[..]; KEPT - 1];
        many.push(b"");
        many.push(b"call");
        let parts = received(&many);
        assert_eq!((parts.count(), parts.parts.len()), (KEPT + 1, KEPT));
        assert!(parts.exactly::<KEPT>().is_none());
        assert!(parts.enveloped().is_none());
    }

    #[test]
    fn a_call_comes_behind_an_envelope_that_ends_with_the_one_empty_part() {
        let (envelope, call) = received(&[b"a", b"b", b"", b"call"]).enveloped().expect("a call");
        assert_eq!(envelope.iter().map(|part| &part[..]).collect::<Vec<_>>(), [&b"a"[..], b"b", b""]);
        assert_eq!(&call[..], b"call");
        const NO_CALLS: [&[&[u8]]; 4] =
            [&[b"call"], &[b"a", b"call"], &[b"", b"a", b"call"], &[b"", b"", b"call"]];
        for parts in NO_CALLS {
            assert!(received(parts).enveloped().is_none(), "{parts:?}");
        }
    }
}
