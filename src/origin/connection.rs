//! One connection to an origin and one exchange on it. Its task lives exactly as long as this value: dropping
//! a [`Connection`], wherever it is, closes the socket. The pool and response bodies own them.

use super::activity::Activity;
use super::idle::Reusable;
use super::message::{Outbound, Outgoing};
use super::transport::Transport;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use std::time::Duration;

/// A connection that can carry one request at a time.
pub(super) struct Connection {
    sender: SendRequest<Outgoing>,
    pub activity: Activity,
    /// Drives the socket; cancelled when dropped.
    _driver: glommio::Task<()>,
}

/// Why an exchange gave no answer.
pub(super) enum Lost {
    /// The request was never written and is given back.
    Unsent(Box<Outbound>, hyper::Error),
    /// It may have been written; nothing came back.
    Unanswered(hyper::Error),
    /// What came back was no answer.
    Garbled(hyper::Error),
    /// Nothing moved for this long.
    Idle(Duration),
}

impl Connection {
    /// Puts hyper on a connected transport.
    pub async fn begin(transport: Transport, activity: Activity) -> hyper::Result<Self> {
        let (sender, connection) = Builder::new().title_case_headers(true).handshake(transport).await?;
        let driver = glommio::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!("origin connection ended: {error}");
            }
        });
        Ok(Connection { sender, activity, _driver: driver })
    }

    /// Sends `request` and waits for the head of its answer, as long as bytes move within `idle`.
    pub async fn exchange(
        &mut self,
        request: Outbound,
        idle: Duration,
    ) -> Result<http::Response<Incoming>, Lost> {
        let read_before = self.activity.bytes_read();
        let answer = self.sender.try_send_request(request);
        match self.activity.unless_idle(idle, answer).await {
            Ok(Ok(response)) => Ok(response),
            Err(_too_long) => Err(Lost::Idle(idle)),
            Ok(Err(mut failure)) => match failure.take_message() {
                Some(request) => Err(Lost::Unsent(Box::new(request), failure.into_error())),
                None if self.activity.bytes_read() == read_before => {
                    Err(Lost::Unanswered(failure.into_error()))
                }
                None => Err(Lost::Garbled(failure.into_error())),
            },
        }
    }
}

impl Reusable for Connection {
    fn is_ready(&self) -> bool {
        self.sender.is_ready() && !self.sender.is_closed()
    }
}
