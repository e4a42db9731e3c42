//! Events on their way to the application: waiting events, the events of one request, and events that come back because
//! the application did not accept them (Content-Bytes-Accepted, Content-Bytes-Replayed).

use crate::proto::grip::WebSocketEvent;
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::mem;

/// While more bytes of events than this wait for the application, the client is not read. It is also the size of the
/// largest request with more than one event.
pub(super) const WAITING_BYTES: usize = 200_000;
/// A paused client is read again when fewer bytes than this wait.
pub(super) const RESUME_BYTES: usize = WAITING_BYTES / 2;
/// Memory of an event beside its content: its place in a queue that may be half empty, and the allocation of its
/// content.
const EVENT_BYTES: usize = 128;

/// Events that wait for a request.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(in crate::held::websocket) struct Waiting {
    events: VecDeque<WebSocketEvent>,
    bytes: usize,
    /// Memory of the request that is under way: its events, and the request's body made of them.
    offered: usize,
    /// Bytes at the front that the application was sent before.
    replayed_bytes: usize,
    /// A request is due: there are events that the application was not sent before, or it has accepted something since.
    wants_out: bool,
}

/// The events of one request.
pub(super) struct EventBatch {
    events: VecDeque<WebSocketEvent>,
    /// Bytes of the batch that the application was sent before.
    pub replayed_bytes: usize,
    /// The batch had no room for more events.
    is_full: bool,
}

/// The events that an application did not accept.
pub(super) struct Left {
    events: VecDeque<WebSocketEvent>,
    made_progress: bool,
}

impl Waiting {
    /// Adds an event.
    pub fn push(&mut self, event: WebSocketEvent) {
        self.bytes += weight(&event);
        self.events.push_back(event);
        self.wants_out = true;
    }

    /// Memory of the waiting events.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Memory of the request that is under way.
    pub fn offered_bytes(&self) -> usize {
        self.offered
    }

    /// Forgets all events, because their client uses too much memory.
    pub fn forget(&mut self) {
        self.events.clear();
        (self.bytes, self.replayed_bytes, self.wants_out) = (0, 0, false);
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether a request is due. Events that an application did not accept are sent again together with later events,
    /// or when the application has accepted something.
    pub fn wants_out(&self) -> bool {
        self.wants_out
    }

    /// Takes out the events of one request: at least one, and at most `events`.
    pub(super) fn offer(&mut self, events: usize) -> EventBatch {
        let replayed_bytes = mem::take(&mut self.replayed_bytes);
        let mut offer = EventBatch { events: VecDeque::new(), replayed_bytes, is_full: false };
        let mut bytes = 0;
        while let Some(event) = self.events.front()
            && offer.events.len() < events
        {
            if bytes > 0 && bytes + weight(event) > WAITING_BYTES {
                offer.is_full = true;
                break;
            }
            bytes += weight(event);
            offer.events.extend(self.events.pop_front());
        }
        self.bytes -= bytes;
        self.offered = 2 * bytes;
        self.wants_out = !self.events.is_empty();
        offer
    }

    /// Puts events that were not accepted back, in front of all others.
    pub(super) fn take_back(&mut self, left: Left) {
        self.offered = 0;
        self.replayed_bytes = left.events.iter().map(WebSocketEvent::content_bytes).sum();
        self.bytes += left.events.iter().map(weight).sum::<usize>();
        self.wants_out |= left.made_progress && !left.events.is_empty();
        left.events.into_iter().rev().for_each(|event| self.events.push_front(event));
    }
}

impl EventBatch {
    /// The batch with the event OPEN.
    pub fn to_open() -> EventBatch {
        EventBatch { events: [WebSocketEvent::Open].into(), replayed_bytes: 0, is_full: false }
    }

    /// The request's body.
    pub fn body(&self) -> Bytes {
        let mut body = BytesMut::new();
        self.events.iter().for_each(|event| event.encode(&mut body));
        body.freeze()
    }

    /// Removes the `accepted_bytes` of the events' content; all of it if the application did not say. Returns the rest.
    ///
    /// # Errors
    /// A text that says why these bytes cannot be right.
    pub fn accept(mut self, accepted_bytes: Option<usize>) -> Result<Left, String> {
        let offered = self.events.iter().map(WebSocketEvent::content_bytes).sum();
        let accepted = accepted_bytes.unwrap_or(offered);
        if accepted > offered {
            return Err(format!("the application says it accepted {accepted} of {offered} bytes"));
        }
        let (mut left, before) = (accepted, self.events.len());
        while let Some(event) = self.events.front_mut() {
            let bytes = event.content_bytes();
            if bytes > left {
                event.skip_content(left);
                break;
            }
            left -= bytes;
            self.events.pop_front();
        }
        let made_progress = accepted > 0 || self.events.len() < before;
        match self.is_full && !made_progress {
            true => Err("the application accepted none of a full request".to_owned()),
            false => Ok(Left { events: self.events, made_progress }),
        }
    }
}

/// Memory of an event while it waits.
fn weight(event: &WebSocketEvent) -> usize {
    event.content_bytes() + EVENT_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_not_offered_and_takes_nothing() {
        let mut waiting = waiting(&["ab", "cd"]);
        waiting.forget();
        assert!(waiting.is_empty() && !waiting.wants_out());
        assert_eq!(waiting.bytes() + waiting.offered_bytes(), 0);
        waiting.push(WebSocketEvent::Disconnect);
        assert_eq!(waiting.offer(usize::MAX).body(), "DISCONNECT\r\n");
    }

    #[test]
    fn events_without_content_count_and_fill_a_request() {
        let mut waiting = Waiting::default();
        let events = 2 * WAITING_BYTES / EVENT_BYTES;
        (0..events).for_each(|_| waiting.push(WebSocketEvent::Text(Bytes::new())));
        assert_eq!(waiting.bytes(), events * EVENT_BYTES);
        let offer = waiting.offer(usize::MAX);
        assert_eq!((offer.events.len(), offer.is_full), (WAITING_BYTES / EVENT_BYTES, true));
        assert_eq!(waiting.bytes(), (events - offer.events.len()) * EVENT_BYTES);
        waiting.take_back(
            offer.accept(Some(0)).unwrap_or_else(|_| panic!("events without content are accepted")),
        );
        assert!(waiting.wants_out());
    }

    fn waiting(texts: &[&'static str]) -> Waiting {
        let mut waiting = Waiting::default();
        texts.iter().for_each(|text| waiting.push(WebSocketEvent::Text(Bytes::from_static(text.as_bytes()))));
        waiting
    }

    /// The next request after an application accepted `accepted` bytes of the one before.
    fn replayed(texts: &[&'static str], accepted: Option<usize>) -> Result<(Bytes, usize, bool), String> {
        let mut waiting = waiting(texts);
        let left = waiting.offer(usize::MAX).accept(accepted)?;
        waiting.take_back(left);
        let wants_out = waiting.wants_out();
        let offer = waiting.offer(usize::MAX);
        Ok((offer.body(), offer.replayed_bytes, wants_out))
    }

    #[test]
    fn what_is_not_accepted_is_offered_again() {
        assert_eq!(replayed(&["ab", "cd"], None), Ok(("".into(), 0, false)));
        assert_eq!(replayed(&["ab", "cd"], Some(4)), Ok(("".into(), 0, false)));
        assert_eq!(replayed(&["ab", "cd"], Some(2)), Ok(("TEXT 2\r\ncd\r\n".into(), 2, true)));
        assert_eq!(replayed(&["ab", "cd"], Some(3)), Ok(("TEXT 1\r\nd\r\n".into(), 1, true)));
        assert_eq!(replayed(&["ab"], Some(0)), Ok(("TEXT 2\r\nab\r\n".into(), 2, false)));
        assert!(replayed(&["ab"], Some(3)).is_err());
    }

    #[test]
    fn a_request_may_have_one_event_only() {
        let mut waiting = waiting(&["", "ab"]);
        assert_eq!((waiting.offer(1).body(), waiting.wants_out()), ("TEXT 0\r\n\r\n".into(), true));
        assert_eq!((waiting.offer(1).body(), waiting.wants_out()), ("TEXT 2\r\nab\r\n".into(), false));
    }

    #[test]
    fn a_request_has_a_bound_and_a_full_one_must_be_accepted_in_part() {
        let long: &'static str = Box::leak("x".repeat(WAITING_BYTES - 1).into_boxed_str());
        let mut waiting = waiting(&[long, "ab", "c"]);
        let offer = waiting.offer(usize::MAX);
        assert_eq!(
            (offer.events.len(), offer.is_full, waiting.wants_out(), waiting.bytes()),
            (1, true, true, 3 + 2 * EVENT_BYTES)
        );
        assert!(offer.accept(Some(0)).is_err());
        assert_eq!((waiting.offer(usize::MAX).events.len(), waiting.wants_out()), (2, false));
    }
}
