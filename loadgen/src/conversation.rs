//! One subscriber's side of its connection, from the answer's head to its messages, on any transport: bytes in, events
//! out, no socket and no clock.
//!
//! An idle conversation is a few words without a buffer. Incomplete input is kept in a buffer that exists only until the
//! input is complete.

use crate::decode::events::Division;
use crate::decode::frames::Arrival;
use crate::decode::{CARRY_BYTES, Malformed, body::Body, events, frames, head};
use crate::target::Subscription;
use crate::transport::Transport;

/// The state of a subscriber's connection.
pub(crate) struct Conversation {
    pub transport: Transport,
    phase: Phase,
    body: Body,
    carry: Option<Box<Carry>>,
}

/// Incomplete input. It is boxed, so that an idle subscriber needs one word for it.
struct Carry(Vec<u8>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before the end of the answer's head. Long polls wait here.
    Head,
    /// Before the message that confirms the subscription.
    Greeting,
    /// After that message, but within its framing.
    Greeted,
    Messages,
}

/// An event in the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told<'a> {
    /// The subscription is confirmed.
    Opened,
    /// A message, or other data in the place of a message.
    Message(&'a [u8]),
    /// A ping, which has to be answered with a pong.
    Ping(&'a [u8]),
    /// A long poll's answer is complete: poll again with these validators, on this connection if `keeps`.
    Answered { keeps: bool, validators: Option<(String, String)> },
    /// The server ended the connection.
    Ended,
    /// The server refused, with this status.
    Refused(u16),
}

impl Conversation {
    pub fn new(transport: Transport) -> Conversation {
        Conversation { transport, phase: Phase::Head, body: Body::chunked(), carry: None }
    }

    /// Puts the carried-over bytes at the front of `input`, with room for `room` bytes after them. Returns their number.
    pub fn resume(&mut self, input: &mut Vec<u8>, room: usize) -> usize {
        let carried = self.carry.take().map_or(Vec::new(), |carry| carry.0);
        if input.len() < carried.len() + room {
            input.resize(carried.len() + room, 0);
        }
        input[..carried.len()].copy_from_slice(&carried);
        carried.len()
    }

    /// Takes new input. `input` begins with the `carried` bytes of [`Conversation::resume`].
    pub fn feed(
        &mut self,
        input: &mut [u8],
        carried: usize,
        subscription: &Subscription,
        greeting: &str,
        told: &mut dyn FnMut(Told),
    ) -> Result<(), Malformed> {
        let rest = if self.transport == Transport::Poll {
            poll(input, told)?
        } else if self.phase == Phase::Head {
            match self.head(input, subscription, told)? {
                Some(length) => self.messages(&mut input[length..], 0, greeting, told)?,
                None => input,
            }
        } else {
            self.messages(input, carried, greeting, told)?
        };
        if rest.len() > CARRY_BYTES {
            return Err(Malformed::Endless);
        }
        self.carry = (!rest.is_empty()).then(|| Box::new(Carry(rest.to_vec())));
        Ok(())
    }

    /// Reads the head. Returns its length, if it is complete and messages follow.
    fn head(
        &mut self,
        input: &[u8],
        subscription: &Subscription,
        told: &mut dyn FnMut(Told),
    ) -> Result<Option<usize>, Malformed> {
        let Some(head) = head::read(input)? else { return Ok(None) };
        let expected = if self.transport == Transport::Websocket { 101 } else { 200 };
        if head.status != expected {
            told(Told::Refused(head.status));
            return Ok(None);
        }
        self.body = head.body;
        self.phase = if subscription.greeting.is_some() { Phase::Greeting } else { Phase::Messages };
        if self.phase == Phase::Messages {
            told(Told::Opened);
        }
        Ok(Some(head.length))
    }

    /// Reads messages. Returns the rest of the input, which has to be carried over.
    fn messages<'a>(
        &mut self,
        input: &'a mut [u8],
        carried: usize,
        greeting: &str,
        told: &mut dyn FnMut(Told),
    ) -> Result<&'a [u8], Malformed> {
        let mut greeted = self.phase != Phase::Greeting;
        let mut message = |message: &[u8]| match greeted {
            true => told(Told::Message(message)),
            false => greeted = message == greeting.as_bytes(),
        };
        let (mut ended, mut pings) = (false, Vec::new());
        let rest = if self.transport == Transport::Websocket {
            let used = frames::take(input, &mut |arrival| match arrival {
                Arrival::Message(bytes) => message(bytes),
                Arrival::Ping(payload) => pings.push(payload.to_vec()),
                Arrival::Closed => ended = true,
            })?;
            &input[used..]
        } else {
            let taken = self.body.take(&mut input[carried..])?;
            let body = &input[..carried + taken.body];
            let division = if self.transport == Transport::Sse { Division::Events } else { Division::Lines };
            let used = events::take(division, body, &mut message);
            ended = self.body.ended();
            &body[used..]
        };
        let whole = self.transport == Transport::Websocket || self.body.between_chunks();
        if greeted && self.phase == Phase::Greeting {
            self.phase = Phase::Greeted;
        }
        if self.phase == Phase::Greeted && rest.is_empty() && whole {
            self.phase = Phase::Messages;
            told(Told::Opened);
        }
        pings.iter().for_each(|payload| told(Told::Ping(payload)));
        if ended {
            told(Told::Ended);
        }
        Ok(rest)
    }
}

/// Reads the answer to a long poll once it is complete. Until then, returns the input, which has to be carried over.
fn poll<'a>(input: &'a mut [u8], told: &mut dyn FnMut(Told)) -> Result<&'a [u8], Malformed> {
    let Some(head) = head::read(input)? else { return Ok(input) };
    let mut content = input[head.length..].to_vec();
    let mut body = head.body;
    let taken = body.take(&mut content)?;
    if !body.ended() {
        return Ok(input);
    }
    match head.status {
        200 => {
            content.truncate(taken.body);
            content.push(b'\n');
            events::take(Division::Lines, &content, &mut |line| told(Told::Message(line)));
        }
        // Servers answer with one of these when nothing was published for a while.
        204 | 304 | 408 | 504 => {}
        status => {
            told(Told::Refused(status));
            return Ok(&[]);
        }
    }
    told(Told::Answered { keeps: head.keeps, validators: head.validators });
    Ok(&[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;

    /// The events of a subscriber when `wire` arrives in two pieces.
    fn converse(transport: Transport, wire: &[u8], cut: usize) -> Vec<String> {
        let mut conversation = Conversation::new(transport);
        let subscription = Target::Gripwire.subscription(transport);
        let greeting = if transport == Transport::Sse { "news" } else { "held" };
        let mut heard = Vec::new();
        for piece in [&wire[..cut], &wire[cut..]].into_iter().filter(|piece| !piece.is_empty()) {
            let mut input = Vec::new();
            let carried = conversation.resume(&mut input, piece.len());
            input[carried..].copy_from_slice(piece);
            conversation
                .feed(&mut input, carried, &subscription, greeting, &mut |told| heard.push(said(told)))
                .unwrap();
        }
        assert!(conversation.carry.is_none(), "nothing is kept of what was complete");
        heard
    }

    fn said(told: Told) -> String {
        match told {
            Told::Message(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_transport_says_the_same_wherever_its_input_is_cut() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let cases = [
            (
                Transport::Stream,
                format!("{head}5\r\nheld\n\r\n4\r\none\n\r\n7\r\ntwo\nthr\r\n3\r\nee\n\r\n0\r\n\r\n"),
                vec!["Opened", "one", "two", "three", "Ended"],
            ),
            (
                Transport::Sse,
                format!(
                    "{head}18\r\nevent: held\ndata: news\n\n\r\n5\r\ndata:\r\n7\r\n one\n\n:\r\n2\r\n\n\n\r\n"
                ),
                vec!["Opened", "one"],
            ),
            (
                Transport::Websocket,
                "HTTP/1.1 101 Switching Protocols\r\n\r\n\u{1}held".replace('\u{1}', "\u{1}\u{4}"),
                vec!["Opened"],
            ),
            (
                Transport::Poll,
                format!("{head}4\r\none\n\r\n0\r\n\r\n"),
                vec!["one", "", "Answered { keeps: true, validators: None }"],
            ),
        ];
        for (transport, wire, expected) in cases {
            let mut wire = wire.into_bytes();
            if transport == Transport::Websocket {
                let frame = wire.len() - 6;
                wire[frame] = 0x81;
                wire.extend_from_slice(b"\x81\x03one\x89\x01p\x88\x00");
            }
            let expected: Vec<String> = match transport {
                Transport::Websocket => ["Opened", "one", "Ping([112])", "Ended"].map(String::from).to_vec(),
                _ => expected.into_iter().map(String::from).collect(),
            };
            for cut in 0..=wire.len() {
                let mut heard = converse(transport, &wire, cut);
                // A message that arrives together with the greeting is reported before the subscription is confirmed.
                heard.sort_by_key(|said| said != "Opened");
                assert_eq!(heard, expected, "{} cut at {cut}", transport.name());
            }
        }
    }

    #[test]
    fn an_idle_conversation_is_small() {
        assert!(size_of::<Conversation>() <= 24, "{}", size_of::<Conversation>());
    }

    #[test]
    fn a_refusal_is_told_with_its_status() {
        let wire = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        for transport in Transport::ALL {
            let mut conversation = Conversation::new(transport);
            let subscription = Target::Gripwire.subscription(transport);
            let mut heard = Vec::new();
            conversation
                .feed(&mut wire.to_vec(), 0, &subscription, "held", &mut |told| heard.push(said(told)))
                .unwrap();
            assert_eq!(heard, ["Refused(503)"]);
        }
    }
}
