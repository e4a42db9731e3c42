//! A connection that an application switched to another protocol: bytes pass in both directions until one side ends.
//! `pool` makes it when the application answers 101; the core's relay of WebSockets uses it.

use super::message::Response;
use super::transport::Transport;
use crate::proto::http1::Headers;
use bytes::{Buf, Bytes, BytesMut};
use futures_lite::future::poll_fn;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Poll, ready};

/// The answer of an application to a request to switch protocols.
pub enum UpgradeAnswer {
    /// The application did not switch, or was not asked to.
    Response(Response),
    /// The application switched.
    Switched(Upgraded),
}

impl UpgradeAnswer {
    /// Notes which of the route's targets answered.
    pub(super) fn of_target(self, target: usize) -> Self {
        match self {
            UpgradeAnswer::Response(response) => UpgradeAnswer::Response(Response { target, ..response }),
            UpgradeAnswer::Switched(upgraded) => UpgradeAnswer::Switched(Upgraded { target, ..upgraded }),
        }
    }
}

/// A connection after its 101.
pub struct Upgraded {
    /// The headers of the 101, without hop-by-hop headers.
    pub headers: Headers,
    /// Which of the route's targets answered.
    pub target: usize,
    transport: RefCell<Transport>,
    /// Bytes that came with the 101.
    early: RefCell<Bytes>,
}

/// A connection after its 101 as a value, without its socket.
#[derive(Serialize, Deserialize)]
pub struct PackedUpgraded {
    target: usize,
    early: Bytes,
}

impl Upgraded {
    /// The connection as a value, and its socket; `None` if it uses TLS, or if there is no descriptor left.
    pub fn pack(&self) -> Option<(PackedUpgraded, OwnedFd)> {
        // The headers were only needed for the answer to the client.
        let Upgraded { headers: _, target, transport, early } = self;
        let socket = transport.borrow().duplicate()?;
        Some((PackedUpgraded { target: *target, early: early.borrow().clone() }, socket))
    }

    /// The connection that was packed in another process, on `transport`.
    pub(super) fn unpack(packed: PackedUpgraded, transport: Transport) -> Upgraded {
        let PackedUpgraded { target, early } = packed;
        let headers = Headers::new();
        Upgraded { headers, target, transport: RefCell::new(transport), early: RefCell::new(early) }
    }

    pub(super) fn new(headers: Headers, transport: Transport, early: Bytes) -> Self {
        Upgraded { headers, target: 0, transport: RefCell::new(transport), early: RefCell::new(early) }
    }

    /// Waits for bytes and returns the result of `take`; at the end of the stream, `take` gets no bytes.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn read<T>(&self, mut take: impl FnMut(&[u8]) -> T) -> io::Result<T> {
        let early = self.early.take();
        if !early.is_empty() {
            return Ok(take(&early));
        }
        poll_fn(|cx| self.transport.borrow_mut().poll_read(cx, &mut take)).await
    }

    /// Writes all of `bytes`. What was written is taken off their front at once, so this can be stopped at any time.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn write(&self, bytes: &RefCell<BytesMut>) -> io::Result<()> {
        while !bytes.borrow().is_empty() {
            poll_fn(|cx| {
                let mut bytes = bytes.borrow_mut();
                let written = ready!(self.transport.borrow_mut().poll_write(cx, &bytes))?;
                bytes.advance(written);
                Poll::Ready(Ok::<(), io::Error>(()))
            })
            .await?;
        }
        poll_fn(|cx| self.transport.borrow_mut().poll_flush(cx)).await
    }
}
