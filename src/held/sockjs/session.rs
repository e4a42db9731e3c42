//! A conversation of SockJS: what waits for the client and what waits for the application. Requests of one client may
//! come to any core, so a conversation is known to all and behind a lock, which is held for the length of a statement
//! and taken a few times for each request. That is the one exception to cores that share nothing, and only those pay
//! for it who speak SockJS.
//!
//! `bridge` is the application's side of it, `serve` and `socket` the client's.

use super::conversation_limit::ConversationPermit;
use crate::proto::sockjs;
use crate::runtime;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Bytes that may wait for the client; beyond them the application is not read.
const TO_CLIENT_BYTES: usize = 200_000;
/// Bytes that may wait for the application; beyond them the client is refused.
const TO_APPLICATION_BYTES: usize = 1_000_000;
/// What a message takes beside its text: its place in a queue that may be half empty, and an allocation.
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
    /// How the application ended it: what the client is told from then on.
    close: Option<(u16, String)>,
    /// The client has ended it.
    client_left: bool,
    /// A client waits for what comes, or else since when none has.
    attached: bool,
    alone_since: Instant,
    client: Option<Waker>,
    bridge: Option<Waker>,
}

/// How far the opening is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// The application was asked.
    Asked,
    /// It accepts; the client does not know.
    Accepted,
    /// The client knows.
    Said,
    /// It does not accept, and answers so.
    Rejected(u16),
}

/// What a client is told next.
#[derive(Debug, PartialEq, Eq)]
pub enum ToClient {
    /// A frame.
    Frame(String),
    /// The last frame: the application has closed.
    Closed(String, u16, String),
    /// The application does not accept, with this status.
    Rejected(u16),
}

/// There is no room for what a client says, or nobody to hear it.
#[derive(Debug)]
pub struct NotTaken;

/// The right to wait for what comes. There is one at a time.
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

/// What the client's side does.
impl Session {
    /// A conversation that has `open_socket` among all, as long as anybody knows of it.
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

    /// Lets a client wait for what comes, unless one does.
    pub fn attach(self: &Arc<Self>) -> Option<Attached> {
        let was_attached = std::mem::replace(&mut self.lock().attached, true);
        (!was_attached).then(|| Attached { session: self.clone() })
    }

    /// Takes what the client says.
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

    /// Ends it: nobody will wait for what comes any more.
    pub fn leave(&self) {
        let mut state = self.lock();
        state.client_left = true;
        wake(&mut state.bridge);
        wake(&mut state.client);
    }
}

impl Attached {
    /// Waits for what the client is told next; `None` when the client has left.
    pub async fn next(&self) -> Option<ToClient> {
        poll_fn(|context| self.session.poll_told(context)).await
    }

    /// Waits until the application accepts; its status if it does not.
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

/// What the application's side does.
impl Session {
    /// The application accepts.
    pub fn accept(&self) {
        let mut state = self.lock();
        state.opening = Opening::Accepted;
        wake(&mut state.client);
    }

    /// The application does not accept.
    pub fn reject(&self, status: u16) {
        let mut state = self.lock();
        state.opening = Opening::Rejected(status);
        wake(&mut state.client);
    }

    /// The application says a message. Waits first while too much waits for the client.
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

    /// The application is gone, or has closed.
    pub fn close(&self, code: u16, reason: &str) {
        let mut state = self.lock();
        if state.close.is_none() {
            state.close = Some((code, reason.to_owned()));
        }
        wake(&mut state.client);
    }

    /// There is no application any more.
    pub fn end(&self) {
        let is_asked = self.lock().opening == Opening::Asked;
        match is_asked {
            true => self.reject(502),
            false => self.close(1006, "Connection lost"),
        }
    }

    /// Waits for a message of the client; `None` when it has left.
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

    /// Whether no client has waited for so long.
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

    /// How many bytes may wait one way, of `most` that one conversation may have.
    fn bound(&self, most: usize) -> usize {
        self.place.as_ref().map_or(most, |place| place.bound(most))
    }

    /// Counts what waits, among all conversations.
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

/// Wakes who waits, on whichever core.
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
