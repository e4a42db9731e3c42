//! The application's side of a conversation: a WebSocket that this server opens to itself by a virtual slot of the
//! wire. Messages that come by it wait in the session for the client, and messages that wait in the session are sent by
//! it.

use super::Session;
use super::line::Line;
use crate::bell::Bell;
use crate::clients::Request;
use crate::context::{Booking, Kind};
use crate::held::Holds;
use crate::ids::Slot;
use crate::origin::Route;
use crate::proto::http1::BodyLength;
use crate::proto::websocket::{Close, FrameHeader, Opcode, mask_frame};
use crate::runtime;
use bytes::{Buf, BytesMut};
use futures_lite::FutureExt;
use http::{HeaderValue, Method, header};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// How long a conversation goes on while no request of its client waits for messages.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the session is checked for that.
const GLANCE: Duration = Duration::from_secs(1);
/// The largest message, and the largest head of an answer.
const MESSAGE_BYTES: usize = 16 * 1024 * 1024;
const HEAD_BYTES: usize = 64 * 1024;

impl Holds {
    /// Opens the WebSocket of `session` for `request` on `route`. `ended` is called some time after the WebSocket has
    /// ended.
    pub(super) fn bridge(
        self: &Rc<Self>,
        session: &Arc<Session>,
        request: Request,
        route: Arc<Route>,
        ended: impl FnOnce() + 'static,
    ) {
        let session = session.clone();
        let line = Line::open(self);
        let owner = self.context.accounts.without_connection(session.client());
        owner.asks(route.application());
        let mut booking = owner.book(Kind::Conversations, 0);
        self.join(line.slot(), upgrade(request), route);
        let task = self.unfinished.begin();
        runtime::spawn(async move {
            if let Err(error) = carry(&line, &session).or(booked(&session, &mut booking)).await {
                tracing::debug!(%error, "a SockJS conversation ended with an error");
            }
            drop(line);
            session.end();
            drop(task);
            booking.set(session.kept_bytes());
            runtime::sleep(PATIENCE).await;
            ended();
        })
        .detach();
    }

    /// Answers the request for a WebSocket that this server itself sends by the virtual `slot`.
    fn join(self: &Rc<Self>, slot: Slot, request: Request, route: Arc<Route>) {
        let Some(exchange) = self.clients.begin_virtual(slot, &request) else { return };
        let holds = self.clone();
        runtime::spawn(async move {
            exchange.ended().or(holds.answer_upgrade_on(&exchange, request, route)).await;
        })
        .detach();
    }
}

/// The client's request, turned into a request for a WebSocket.
fn upgrade(mut request: Request) -> Request {
    let headers = &mut request.headers;
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::SEC_WEBSOCKET_EXTENSIONS] {
        headers.remove(name);
    }
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    // The key can be constant, because nothing is between the two ends.
    headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("U29ja0pTIG9uIGEgcGFpcg=="));
    request.method = Method::GET;
    request.body = BodyLength::None;
    request
}

/// Carries messages until one side is gone.
async fn carry(line: &Line, session: &Session) -> io::Result<()> {
    let mut input = BytesMut::new();
    let status = read_status(line, &mut input).await?;
    if status != 101 {
        session.reject(status);
        return Ok(());
    }
    session.accept();
    let pongs = Pongs::default();
    let from_application = from_application(line, input, session, &pongs);
    let to_application = to_application(line, session, &pongs);
    from_application.or(to_application).or(abandoned(session)).await
}

/// The pong on its way to the application. Of several waiting pings only the last is answered (RFC 6455 section 5.5.3),
/// so pongs do not pile up.
#[derive(Default)]
struct Pongs {
    waiting: RefCell<Option<BytesMut>>,
    bell: Bell,
}

/// Takes the application's messages into the session, until the application closes.
async fn from_application(
    line: &Line,
    mut input: BytesMut,
    session: &Session,
    pongs: &Pongs,
) -> io::Result<()> {
    let mut message = BytesMut::new();
    loop {
        let Some((opcode, Payload { bytes, ends })) = take_frame(&mut input)? else {
            if input.is_empty() {
                // An idle conversation has no buffer.
                input = BytesMut::new();
            }
            input.extend_from_slice(&line.read().await?);
            continue;
        };
        match opcode {
            Some(Opcode::Text | Opcode::Continuation) => {
                message.extend_from_slice(&bytes);
                if message.len() > MESSAGE_BYTES {
                    return Err(io::Error::other("a message of the application is too large"));
                }
                if ends {
                    let message = std::mem::take(&mut message);
                    session.tell(&String::from_utf8_lossy(&message)).await;
                }
            }
            Some(Opcode::Ping) => {
                pongs.waiting.replace(Some(bytes));
                pongs.bell.ring();
            }
            Some(Opcode::Close) => {
                let close = Close::parse(&bytes).ok().flatten().unwrap_or(Close::with(Close::NORMAL));
                session.close(close.code, &close.reason);
                return Ok(());
            }
            // SockJS has only text messages.
            Some(Opcode::Binary | Opcode::Pong) | None => {}
        }
    }
}

/// Brings the client's messages to the application, until the client leaves.
async fn to_application(line: &Line, session: &Session, pongs: &Pongs) -> io::Result<()> {
    loop {
        let pong_is_due = async {
            while pongs.waiting.borrow().is_none() {
                pongs.bell.rung().await;
            }
            None
        };
        let said = async { Some(session.heard().await) };
        let mut out = BytesMut::new();
        match said.or(pong_is_due).await {
            Some(Some(message)) => mask_frame(&mut out, Opcode::Text, message.as_bytes()),
            Some(None) => {
                mask_frame(&mut out, Opcode::Close, &Close::with(Close::NORMAL).payload());
                return line.write(&out).await;
            }
            None => pongs.waiting.take().iter().for_each(|pong| mask_frame(&mut out, Opcode::Pong, pong)),
        }
        line.write(&out).await?;
    }
}

/// Books the bytes that wait in the conversation. Any core may change their number: the one that does wakes this task,
/// which also looks once in each [`GLANCE`].
async fn booked<T>(session: &Session, booking: &mut Booking) -> T {
    poll_fn(|_| {
        booking.set(session.kept_bytes());
        Poll::Pending
    })
    .await
}

/// Returns when no request of the client has waited for messages for a while.
async fn abandoned(session: &Session) -> io::Result<()> {
    let mut times = 0;
    // Two checks in a row must agree, because the request of a client that came back just in time may not have been
    // read at the first.
    while times < 2 {
        runtime::sleep(GLANCE).await;
        times = if session.is_abandoned(PATIENCE) { times + 1 } else { 0 };
    }
    Ok(())
}

/// The status of the answer to the upgrade. The bytes behind the answer's head stay in `input`.
async fn read_status(line: &Line, input: &mut BytesMut) -> io::Result<u16> {
    let head = loop {
        if let Some(end) = memchr::memmem::find(input, b"\r\n\r\n") {
            break input.split_to(end + 4);
        }
        if input.len() > HEAD_BYTES {
            return Err(io::Error::other("the head of the application's answer is too large"));
        }
        input.extend_from_slice(&line.read().await?);
    };
    let digits = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| io::Error::other("no status"))
}

/// The payload of a frame.
struct Payload {
    bytes: BytesMut,
    /// The frame is the last of its message.
    ends: bool,
}

/// The frame at the front of `input`, if it is complete.
fn take_frame(input: &mut BytesMut) -> io::Result<Option<(Option<Opcode>, Payload)>> {
    let Some((header, used)) = FrameHeader::read(input) else { return Ok(None) };
    if header.length > MESSAGE_BYTES as u64 {
        return Err(io::Error::other("a message of the application is too large"));
    }
    let length = header.length as usize;
    if input.len() < used + length {
        return Ok(None);
    }
    input.advance(used);
    let bytes = input.split_to(length);
    Ok(Some((header.opcode, Payload { bytes, ends: header.fin })))
}
