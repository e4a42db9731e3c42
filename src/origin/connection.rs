//! One connection to an origin, which carries one exchange at a time. A connection has no task of its own: the task
//! that waits for the answer reads and writes, and an unused connection is checked when it is wanted again. Dropping
//! a [`Connection`] closes the socket. The pool and response bodies own the connections.

use super::activity::Activity;
use super::error::BadAnswer;
use super::idle::Reusable;
use super::transport::Transport;
use super::upload::{Upload, UploadError};
use crate::proto::http1::{AnswerHead, AnswerParser, AnswerStep, BodyDecoder};
use crate::runtime;
use bytes::{Buf, Bytes, BytesMut};
use futures_lite::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// A connection that can carry one request at a time.
pub(super) struct Connection {
    transport: Transport,
    pub activity: Activity,
    /// The address that the connection leads to.
    pub address: IpAddr,
    begun: Instant,
    /// Whether an earlier request was sent on the connection.
    is_used: bool,
    /// Bytes that were received and not yet consumed.
    inbox: BytesMut,
}

/// The head of an answer, whose body follows on the connection.
pub(super) struct Answered {
    pub head: Box<AnswerHead>,
    /// The part of the request that is not written, if the application answered before it had the whole request.
    pub upload: Option<Box<Upload>>,
    /// The request was fully written before the answer began, and the answer allows another request on the
    /// connection.
    pub is_reusable: bool,
}

/// Why an exchange gave no answer.
pub(super) enum Lost {
    /// The request was never written, and is returned here.
    Unsent(Upload, io::Error),
    /// The request may have been written, but no answer began.
    Unanswered(BadAnswer),
    /// An answer began, but it is malformed or incomplete.
    Garbled(BadAnswer),
    /// The client did not send its whole request body.
    Body(io::Error),
    /// No byte moved for this long.
    Idle(Duration),
}

impl Connection {
    /// A connection on `transport`, which is connected.
    pub fn begin(transport: Transport, activity: Activity, address: IpAddr) -> Self {
        let (begun, inbox) = (runtime::now(), BytesMut::new());
        Connection { transport, activity, address, begun, is_used: false, inbox }
    }

    /// The transport after a 101, and the bytes that came right behind the 101.
    pub fn switched(self) -> (Transport, Bytes) {
        (self.transport, self.inbox.freeze())
    }

    /// Sends `upload` and waits for the head of the answer. Bytes must move at least every `idle`.
    ///
    /// # Errors
    /// [`Lost`], which says whether the request may be made again.
    pub async fn exchange(
        &mut self,
        upload: Upload,
        to_head: bool,
        idle: Duration,
    ) -> Result<Answered, Lost> {
        debug_assert!(self.inbox.is_empty(), "bytes that came before the request belong to no answer");
        let (mut asking, activity) = (Asking::new(upload, to_head), self.activity.clone());
        let answer = poll_fn(|cx| asking.poll(self, cx));
        let head = match activity.unless_idle(idle, answer).await {
            Ok(Ok(head)) => head,
            Ok(Err(Failure::Body(error))) => return Err(Lost::Body(error)),
            Ok(Err(Failure::Answer(reason))) => return Err(asking.lost(reason)),
            Err(_too_long) => return Err(Lost::Idle(idle)),
        };
        self.is_used = true;
        let is_reusable = head.keep_alive && matches!(asking.writing, Writing::Done);
        let upload = match asking.writing {
            Writing::Upload(upload) => Some(Box::new(upload)),
            Writing::Done | Writing::Failed(_) => None,
        };
        Ok(Answered { head, upload, is_reusable })
    }

    /// The next piece of an answer's body, never empty; `None` at its end. Meanwhile writes the rest of the request.
    pub fn poll_piece(
        &mut self,
        decoder: &mut BodyDecoder,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BadAnswer>> {
        loop {
            let step = decoder.decode(&self.inbox)?;
            if step.used > 0 {
                let used = self.inbox.split_to(step.used).freeze();
                if self.inbox.is_empty() {
                    self.inbox = BytesMut::new();
                }
                if !step.data.is_empty() {
                    return Poll::Ready(Ok(Some(used.slice(step.data))));
                }
            }
            if decoder.is_done() {
                return Poll::Ready(Ok(None));
            }
            if ready!(self.poll_receive(cx))? == 0 {
                let is_end = decoder.ends_with_connection();
                return Poll::Ready(if is_end { Ok(None) } else { Err(BadAnswer::Ended) });
            }
        }
    }

    /// Writes more of a request whose answer has begun; ready when writing is over. An application that takes no more
    /// of the request may still send its whole answer, so its refusal is no error.
    pub fn poll_upload(&mut self, upload: &mut Upload, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(upload.poll(&mut self.transport, cx)) {
            Ok(()) | Err(UploadError::Write(_)) => Poll::Ready(Ok(())),
            Err(UploadError::Body(error)) => Poll::Ready(Err(error)),
        }
    }

    /// Whether bytes came that belong to no answer.
    pub fn has_surplus(&self) -> bool {
        !self.inbox.is_empty()
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let inbox = &mut self.inbox;
        self.transport.poll_read(cx, |bytes| {
            inbox.extend_from_slice(bytes);
            bytes.len()
        })
    }
}

impl Reusable for Connection {
    fn begun(&self) -> Instant {
        self.begun
    }

    fn is_alive(&mut self) -> bool {
        self.inbox.is_empty() && self.transport.is_quiet()
    }
}

/// An exchange whose answer has not come.
struct Asking {
    writing: Writing,
    parser: AnswerParser,
    /// Whether some bytes of an answer came.
    has_begun: bool,
}

enum Writing {
    Upload(Upload),
    Done,
    Failed(io::Error),
}

enum Failure {
    Body(io::Error),
    Answer(BadAnswer),
}

impl Asking {
    fn new(upload: Upload, to_head: bool) -> Asking {
        Asking { writing: Writing::Upload(upload), parser: AnswerParser::new(to_head), has_begun: false }
    }

    fn poll(
        &mut self,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Box<AnswerHead>, Failure>> {
        self.write(connection, cx)?;
        loop {
            if !connection.inbox.is_empty() {
                self.check_beginning(connection)?;
                match self.parser.parse(&connection.inbox).map_err(|error| Failure::Answer(error.into()))? {
                    AnswerStep::Final(head, used) => {
                        connection.inbox.advance(used);
                        return Poll::Ready(Ok(head));
                    }
                    AnswerStep::Interim(used) => {
                        connection.inbox.advance(used);
                        continue;
                    }
                    AnswerStep::Partial => {}
                }
            }
            match ready!(connection.poll_receive(cx)) {
                Ok(0) => return Poll::Ready(Err(Failure::Answer(BadAnswer::Ended))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Failure::Answer(error.into()))),
            }
        }
    }

    /// Writes as much of the request as possible. If the application takes no more, it may have answered already.
    fn write(&mut self, connection: &mut Connection, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Writing::Upload(upload) = &mut self.writing else { return Ok(()) };
        match upload.poll(&mut connection.transport, cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => self.writing = Writing::Done,
            Poll::Ready(Err(UploadError::Body(error))) => return Err(Failure::Body(error)),
            Poll::Ready(Err(UploadError::Write(error))) if upload.has_begun() => {
                self.writing = Writing::Failed(error);
            }
            Poll::Ready(Err(UploadError::Write(error))) => return Err(Failure::Answer(error.into())),
        }
        Ok(())
    }

    /// Checks bytes that come on a used connection before the application can know the request: they do not answer
    /// it.
    fn check_beginning(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        if let Writing::Upload(upload) = &self.writing
            && upload.is_in_head()
            && connection.is_used
        {
            connection.inbox.clear();
            return Err(Failure::Answer(BadAnswer::Unasked));
        }
        self.has_begun = true;
        Ok(())
    }

    fn lost(self, reason: BadAnswer) -> Lost {
        if self.has_begun {
            return Lost::Garbled(reason);
        }
        match (self.writing, reason) {
            (Writing::Upload(mut upload), BadAnswer::Connection(error)) if !upload.has_begun() => {
                upload.rewind();
                Lost::Unsent(upload, error)
            }
            // A write error says more about the cause than the end of the connection that follows it.
            (Writing::Failed(error), _) => Lost::Unanswered(error.into()),
            (_, reason) => Lost::Unanswered(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::transport::{Scratch, Stream};
    use crate::runtime::{TcpStream, block_on};
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn whatever_can_be_read_on_an_unused_connection_ends_it() {
        block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            for bytes in [&b""[..], b"x", b"HTTP/1.1 200 OK\r\n\r\n"] {
                let tcp = TcpStream::connect_timeout(listener.local_addr().unwrap(), Duration::from_secs(9))
                    .await
                    .unwrap();
                let (mut origin, _) = listener.accept().unwrap();
                let activity = Activity::new();
                let transport = Transport::new(Stream::Plain(tcp), Scratch::new(), activity.clone());
                let mut connection = Connection::begin(transport, activity, Ipv4Addr::LOCALHOST.into());
                assert!(connection.is_alive());
                match bytes {
                    b"" => drop(origin),
                    _ => origin.write_all(bytes).unwrap(),
                }
                assert!(!connection.is_alive(), "{bytes:?}");
            }
        });
    }
}
