//! A SockJS conversation: messages that wait for the client, and messages that wait for the application. Requests of
//! one client may come to any core, so all cores share a conversation, behind a lock. The lock is held for a statement,
//! and is taken a few times for each request. This is the one exception to cores that share nothing, and other clients
//! have no overhead from it.
//!
//! `bridge` is the application's side of a conversation, `serve` and `socket` are the client's side.

use super::conversation_limit::ConversationPermit;
use crate::proto::client_network::ClientNetwork;
use crate::proto::sockjs;
use crate::runtime;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// While more bytes than this wait for the client, the application is not read.
const TO_CLIENT_BYTES: usize = 200_000;
/// While more bytes than this wait for the application, the client's messages are refused.
const TO_APPLICATION_BYTES: usize = 1_000_000;
/// Memory of a message beside its text: its place in a queue that may be half empty, and an allocation.
const MESSAGE_BYTES: usize = 64;

/// A conversation.
pub struct Session {
    state: Mutex<State>,
    place: Option<ConversationPermit>,
}

struct State {
    opening: Opening,
    to_client: VecDeque<Box<str>>,
    to_client_bytes: usize,
    to_application: VecDeque<String>,
    to_application_bytes: usize,
    /// The close of the application, which the client is told from then on.
    close: Option<(u16, String)>,
    /// The client has ended the conversation.
    client_left: bool,
    /// A request of the client waits for messages. If none does, `alone_since` says since when.
    attached: bool,
    alone_since: Instant,
    client: Option<Waker>,
    bridge: Option<Waker>,
}

/// The progress of the opening.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// The application was asked, and has not answered.
    Asked,
    /// The application has accepted; the client was not told.
    Accepted,
    /// The client was told.
    Said,
    /// The application has rejected the WebSocket, with this status.
    Rejected(u16),
}

/// The next message to the client.
#[derive(Debug, PartialEq, Eq)]
pub enum ToClient {
    /// A SockJS frame.
    Frame(String),
    /// The last SockJS frame, and the code and reason of the application's close in it.
    Closed(String, u16, String),
    /// The application has rejected the WebSocket, with this status.
    Rejected(u16),
}

/// The client's messages were not taken: there is no room, or the application is gone.
#[derive(Debug)]
pub struct NotTaken;

/// The right to wait for messages to the client. Only one request at a time has it.
pub struct Attached {
    pub session: Arc<Session>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut state = self.session.lock();
        state.attached = false;
        state.alone_since = runtime::now();
    }
}

/// The client's side.
impl Session {
    /// A new conversation. It keeps its `place` among all conversations as long as it exists.
    pub fn new(place: Option<ConversationPermit>) -> Arc<Session> {
        let state = State {
            opening: Opening::Asked,
            to_client: VecDeque::new(),
            to_client_bytes: 0,
            to_application: VecDeque::new(),
            to_application_bytes: 0,
            close: None,
            client_left: false,
            attached: false,
            alone_since: runtime::now(),
            client: None,
            bridge: None,
        };
        Arc::new(Session { state: Mutex::new(state), place })
    }

    /// Lets a request of the client wait for messages; `None` if another request waits.
    pub fn attach(self: &Arc<Self>) -> Option<Attached> {
        let was_attached = std::mem::replace(&mut self.lock().attached, true);
        (!was_attached).then(|| Attached { session: self.clone() })
    }

    /// Takes messages of the client.
    ///
    /// # Errors
    /// If there is no room for them, or the application has not accepted or has closed.
    pub fn say(&self, messages: Vec<String>) -> Result<(), NotTaken> {
        let mut state = self.lock();
        let bytes: usize = messages.iter().map(|message| message.len() + MESSAGE_BYTES).sum();
        let is_full = state.to_application_bytes + bytes > self.bound(TO_APPLICATION_BYTES);
        if is_full || state.close.is_some() || !matches!(state.opening, Opening::Accepted | Opening::Said) {
            return Err(NotTaken);
        }
        state.to_application_bytes += bytes;
        state.to_application.extend(messages);
        self.count(&state);
        wake(&mut state.bridge);
        Ok(())
    }

    /// Ends the conversation, because the client has left.
    pub fn leave(&self) {
        let mut state = self.lock();
        state.client_left = true;
        wake(&mut state.bridge);
        wake(&mut state.client);
    }
}

impl Attached {
    /// Waits for the next message to the client; `None` if the client has left.
    pub async fn next(&self) -> Option<ToClient> {
        poll_fn(|context| self.session.poll_told(context)).await
    }

    /// Waits until the application accepts the WebSocket.
    ///
    /// # Errors
    /// The application's status if it rejects the WebSocket.
    pub async fn opened(&self) -> Result<(), u16> {
        poll_fn(|context| {
            let mut state = self.session.lock();
            match state.opening {
                Opening::Asked => state.wait_as_client(context),
                Opening::Rejected(status) => Poll::Ready(Err(status)),
                Opening::Accepted | Opening::Said => Poll::Ready(Ok(())),
            }
        })
        .await
    }
}

/// The application's side.
impl Session {
    /// The application has accepted the WebSocket.
    pub fn accept(&self) {
        let mut state = self.lock();
        state.opening = Opening::Accepted;
        wake(&mut state.client);
    }

    /// The application has rejected the WebSocket.
    pub fn reject(&self, status: u16) {
        let mut state = self.lock();
        state.opening = Opening::Rejected(status);
        wake(&mut state.client);
    }

    /// Adds a message of the application. Waits first while too many bytes wait for the client.
    pub async fn tell(&self, message: &str) {
        poll_fn(|context| {
            let mut state = self.lock();
            if state.to_client_bytes > self.bound(TO_CLIENT_BYTES) {
                state.bridge = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        let mut state = self.lock();
        let quoted = sockjs::quoted(message);
        state.to_client_bytes += quoted.len() + MESSAGE_BYTES;
        state.to_client.push_back(quoted);
        self.count(&state);
        wake(&mut state.client);
    }

    /// The application has closed, or is gone.
    pub fn close(&self, code: u16, reason: &str) {
        let mut state = self.lock();
        if state.close.is_none() {
            state.close = Some((code, reason.to_owned()));
        }
        wake(&mut state.client);
    }

    /// The application is gone, without a close.
    pub fn end(&self) {
        let is_asked = self.lock().opening == Opening::Asked;
        match is_asked {
            true => self.reject(502),
            false => self.close(1006, "Connection lost"),
        }
    }

    /// Waits for a message of the client; `None` if the client has left.
    pub async fn heard(&self) -> Option<String> {
        poll_fn(|context| {
            let mut state = self.lock();
            if let Some(message) = state.to_application.pop_front() {
                state.to_application_bytes -= message.len() + MESSAGE_BYTES;
                self.count(&state);
                return Poll::Ready(Some(message));
            }
            if state.client_left {
                return Poll::Ready(None);
            }
            state.bridge = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Bytes that wait in the conversation, in both directions.
    pub fn kept_bytes(&self) -> usize {
        self.place.as_ref().map_or(0, ConversationPermit::kept_bytes)
    }

    /// The network of the client that began the conversation.
    pub fn client(&self) -> ClientNetwork {
        self.place.as_ref().map_or(ClientNetwork::NOBODY, ConversationPermit::client)
    }

    /// Whether no request of the client has waited for messages for as long as `patience`.
    pub fn is_abandoned(&self, patience: Duration) -> bool {
        let state = self.lock();
        !state.attached && runtime::now().duration_since(state.alone_since) >= patience
    }
}

impl Session {
    fn poll_told(&self, context: &Context<'_>) -> Poll<Option<ToClient>> {
        let mut state = self.lock();
        match state.opening {
            Opening::Asked => return state.wait_as_client(context),
            Opening::Rejected(status) => return Poll::Ready(Some(ToClient::Rejected(status))),
            Opening::Accepted => {
                state.opening = Opening::Said;
                return Poll::Ready(Some(ToClient::Frame(sockjs::OPEN.to_owned())));
            }
            Opening::Said => {}
        }
        if state.client_left {
            return Poll::Ready(None);
        }
        if !state.to_client.is_empty() {
            let messages: Vec<Box<str>> = state.to_client.drain(..).collect();
            state.to_client_bytes = 0;
            self.count(&state);
            wake(&mut state.bridge);
            return Poll::Ready(Some(ToClient::Frame(sockjs::messages(&messages))));
        }
        if let Some((code, reason)) = state.close.clone() {
            let frame = sockjs::close(code, &reason);
            return Poll::Ready(Some(ToClient::Closed(frame, code, reason)));
        }
        state.wait_as_client(context)
    }

    /// How many bytes may wait in one direction, for a usual bound of `most`.
    fn bound(&self, most: usize) -> usize {
        self.place.as_ref().map_or(most, |place| place.bound(most))
    }

    /// Counts the waiting bytes among those of all conversations.
    fn count(&self, state: &State) {
        if let Some(place) = &self.place {
            place.keep(state.to_client_bytes + state.to_application_bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait_as_client<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        self.client = Some(context.waker().clone());
        Poll::Pending
    }
}

/// Wakes the waiting task, on its core.
fn wake(waiting: &mut Option<Waker>) {
    waiting.take().into_iter().for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    fn told(attached: &Attached) -> Option<ToClient> {
        block_on(poll_once(attached.next())).flatten()
    }

    fn frame(text: &str) -> Option<ToClient> {
        Some(ToClient::Frame(text.to_owned()))
    }

    #[test]
    fn a_client_is_told_in_order_and_the_end_again_and_again() {
        let session = Session::new(None);
        let attached = session.attach().unwrap();
        assert!(session.attach().is_none(), "one at a time");
        assert_eq!(told(&attached), None);
        session.accept();
        block_on(session.tell("a"));
        block_on(session.tell("b"));
        assert_eq!(told(&attached), frame("o"));
        assert_eq!(told(&attached), frame(r#"a["a","b"]"#));
        session.close(3000, "bye");
        drop(attached);
        for _ in 0..2 {
            let again = session.attach().unwrap();
            let closed = ToClient::Closed(r#"c[3000,"bye"]"#.into(), 3000, "bye".into());
            assert_eq!(told(&again), Some(closed));
        }
        assert!(session.say(vec!["late".into()]).is_err());
    }

    #[test]
    fn what_a_client_says_is_heard_before_it_has_left() {
        let session = Session::new(None);
        assert!(session.say(vec!["early".into()]).is_err());
        session.accept();
        session.say(vec!["a".into(), "b".into()]).unwrap();
        session.leave();
        let heard = || block_on(session.heard());
        assert_eq!((heard().as_deref(), heard().as_deref(), heard()), (Some("a"), Some("b"), None));
    }

    #[test]
    fn what_waits_has_bounds() {
        let session = Session::new(None);
        session.accept();
        let long = "x".repeat(TO_APPLICATION_BYTES - MESSAGE_BYTES);
        session.say(vec![long]).unwrap();
        assert!(session.say(vec!["".into()]).is_err(), "a message counts, not its text alone");
        block_on(session.tell(&"x".repeat(TO_CLIENT_BYTES)));
        assert!(block_on(poll_once(session.tell("x"))).is_none());
    }

    #[test]
    fn who_does_not_accept_says_so_with_a_status() {
        let session = Session::new(None);
        session.reject(403);
        let attached = session.attach().unwrap();
        assert_eq!(told(&attached), Some(ToClient::Rejected(403)));
        assert_eq!(block_on(attached.opened()), Err(403));
        drop(attached);
        assert!(session.is_abandoned(Duration::ZERO) && !session.is_abandoned(Duration::from_secs(60)));
    }
}
