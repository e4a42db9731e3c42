//! Items on their way to a subscriber with filters: decided on, at once or by the task that works off its queue, and
//! then written as its transport wants them. Content that no filter changed goes out in the form that all share.

use super::Admission;
use super::asking::{Answered, AskError};
use crate::channel::{Format, Publication, ResponseFormat, SocketFormat, StreamFormat, Then};
use crate::core::Core;
use crate::core::again::Reason;
use crate::core::respond;
use crate::core::row::Phase;
use crate::ids::Slot;
use crate::proto::grip::{Chain, Context, Filter, FilterError, Step};
use crate::proto::http1::{self, Version};
use crate::runtime;
use bytes::Bytes;
use std::rc::Rc;
use std::sync::Arc;

/// Why an item was not delivered. The text ends the sessions of routes with `debug`.
#[derive(Debug, thiserror::Error)]
pub(in crate::core) enum Undelivered {
    #[error("filter error: {0}")]
    Filter(#[from] FilterError),
    #[error("filter error: {}: {error}", filter.name())]
    Asked { filter: Filter, error: AskError },
    #[error("content filter mismatch: subscription={subscription} message={message}")]
    Mismatch { subscription: String, message: String },
    #[error("filter error: the content has become what its kind of message cannot hold")]
    Unsendable,
    #[error("filter error: too many messages wait")]
    Full,
}

/// What the filters decided.
enum Verdict {
    /// The item goes out, with other content if there is any.
    Deliver(Option<Bytes>),
    /// It does not, or it has nothing for this subscriber.
    Pass,
}

/// What an item has for a subscriber.
struct Offer {
    format: Format,
    /// `None` if it is no message but says what to do.
    content: Option<Bytes>,
}

impl Core {
    /// `items` of one channel have come for the subscriber in `slot`.
    pub(in crate::core) fn deliver_filtered(self: &Rc<Self>, slot: Slot, items: &[Arc<Publication>]) {
        let Some(number) = self.filtering.borrow().number_of(slot) else { return };
        for item in items {
            let admission = self.filtering.borrow_mut().admit(slot, number, item);
            match admission {
                Admission::Gone => return,
                Admission::Now(filters) => {
                    let verdict = self.decide(slot, number, item, &filters);
                    self.conclude(slot, number, item, verdict);
                }
                Admission::Waits => {}
                Admission::Begins => {
                    let core = self.clone();
                    runtime::spawn(async move { core.work_off(slot, number).await }).detach();
                }
                // Who follows ids gets it from the application.
                Admission::Full { follows: true } => return self.lost_track(slot),
                Admission::Full { follows: false } => self.conclude_failed(slot, &Undelivered::Full),
            }
        }
    }

    /// `slots` have no filters, and what `item` has for them in `format` is for who has some.
    pub(in crate::core) fn refuse_unfit(self: &Rc<Self>, slots: &[Slot], item: &Publication, format: Format) {
        let message = item.expected_filters(format).unwrap_or_default().join(",");
        let mismatch = Undelivered::Mismatch { subscription: String::new(), message };
        slots.iter().for_each(|slot| self.conclude_failed(*slot, &mismatch));
    }

    /// Decides on what waits for a subscriber, one item after the other.
    async fn work_off(self: &Rc<Self>, slot: Slot, number: u64) {
        loop {
            let first = self.filtering.borrow_mut().first(slot, number);
            let Some((item, turn, filters)) = first else { return };
            let verdict = self.decide_asking(slot, number, &item, &filters).await;
            let was_due = self.filtering.borrow_mut().take_turn(slot, number, turn);
            if was_due {
                self.conclude(slot, number, &item, verdict);
            }
        }
    }

    /// What `filters`, none of which asks an application, decide.
    fn decide(
        &self,
        slot: Slot,
        number: u64,
        item: &Publication,
        filters: &[Filter],
    ) -> Result<Verdict, Undelivered> {
        let Some(mut chain) = self.begin(slot, item, filters)? else { return Ok(Verdict::Pass) };
        Ok(match self.run(slot, number, item, filters, &mut chain)? {
            Step::Deliver => Verdict::Deliver(chain.changed()),
            Step::Drop | Step::Ask(_) => Verdict::Pass,
        })
    }

    /// What `filters` decide, and the applications that they ask.
    async fn decide_asking(
        self: &Rc<Self>,
        slot: Slot,
        number: u64,
        item: &Publication,
        filters: &[Filter],
    ) -> Result<Verdict, Undelivered> {
        let Some(mut chain) = self.begin(slot, item, filters)? else { return Ok(Verdict::Pass) };
        loop {
            match self.run(slot, number, item, filters, &mut chain)? {
                Step::Deliver => return Ok(Verdict::Deliver(chain.changed())),
                Step::Drop => return Ok(Verdict::Pass),
                Step::Ask(filter) => {
                    let asked = self.ask_about(filter, slot, number, item, chain.content()).await;
                    match asked.map_err(|error| Undelivered::Asked { filter, error })? {
                        Some(Answered::Pass(content)) => chain.goes_on(content),
                        Some(Answered::Drop) | None => return Ok(Verdict::Pass),
                    }
                }
            }
        }
    }

    /// The run of `filters` over what `item` has for the subscriber; `None` if that is nothing.
    fn begin<'f>(
        &self,
        slot: Slot,
        item: &Publication,
        filters: &'f [Filter],
    ) -> Result<Option<Chain<'f>>, Undelivered> {
        let Some(Offer { format, content }) = self.offer(slot, item) else { return Ok(None) };
        let own = || filters.iter().filter(|filter| filter.changes_content()).map(|filter| filter.name());
        match item.expected_filters(format) {
            Some(expected) if !own().eq(expected.iter().map(|name| &**name)) => Err(Undelivered::Mismatch {
                subscription: own().collect::<Vec<_>>().join(","),
                message: expected.join(","),
            }),
            _ => Ok(Some(Chain::new(filters, content))),
        }
    }

    /// Runs `chain` until something is decided or an application must be asked.
    fn run(
        &self,
        slot: Slot,
        number: u64,
        item: &Publication,
        filters: &[Filter],
        chain: &mut Chain,
    ) -> Result<Step, FilterError> {
        let meta = match self.filtering.borrow_mut().get(slot, number) {
            Some(subscriber) => subscriber.meta.clone(),
            None => return Ok(Step::Drop),
        };
        let channels = match filters.iter().any(|filter| filter.looks_at_channels()) {
            true => self.channels_for_filters(slot, number, item),
            false => Vec::new(),
        };
        chain.run(&Context { subscriber: &meta, item: &item.meta, channels: &channels })
    }

    /// The subscriber's channels by the names its application gave them, each with the id that the subscriber has
    /// there, once it has `item`.
    fn channels_for_filters(
        &self,
        slot: Slot,
        number: u64,
        item: &Publication,
    ) -> Vec<(String, Option<Box<str>>)> {
        let heard = self.heard_by(slot);
        let mut names = self.subscriptions.borrow().channels_of(slot);
        let mut filtering = self.filtering.borrow_mut();
        let Some(subscriber) = filtering.get(slot, number) else { return Vec::new() };
        // A stream is out of the channels that it follows while its application is asked.
        names.extend(subscriber.channels().map(Arc::from));
        names.sort_unstable();
        names.dedup();
        let prefix = subscriber.origin.route().prefix.as_deref().unwrap_or_default();
        let id_on = |name: &str| match subscriber.got_on(name) {
            Some(_) if *name == *item.channel && !item.no_seq => item.id.clone(),
            _ => heard.iter().find(|(channel, _)| **channel == *name).map(|(_, id)| id.clone()),
        };
        let named = |name: &Arc<str>| (name.strip_prefix(prefix).unwrap_or(name).to_owned(), id_on(name));
        names.iter().map(named).collect()
    }

    /// What `item` has for what is held in `slot`.
    fn offer(&self, slot: Slot, item: &Publication) -> Option<Offer> {
        let mut rows = self.rows.borrow_mut();
        let (format, content) = match &rows.get(slot)?.phase {
            Phase::Poll(poll) => match item.response.as_ref()? {
                ResponseFormat::Send(message) => (Format::Response, message.body_over(&poll.timeout_answer)),
                ResponseFormat::Hint => (Format::Response, None),
            },
            Phase::Stream(_) | Phase::Linked(_) => match item.stream.as_ref()? {
                StreamFormat::Content(content) => (Format::Stream, Some(content.clone())),
                StreamFormat::Hint | StreamFormat::Close => (Format::Stream, None),
            },
            Phase::Socket(_) => match item.socket.as_ref()? {
                SocketFormat::Message { content, .. } => (Format::Socket, Some(content.clone())),
                SocketFormat::Close(_) | SocketFormat::Refresh => (Format::Socket, None),
            },
            _ => return None,
        };
        Some(Offer { format, content })
    }

    /// Does with `item` what was decided.
    fn conclude(
        self: &Rc<Self>,
        slot: Slot,
        number: u64,
        item: &Arc<Publication>,
        verdict: Result<Verdict, Undelivered>,
    ) {
        let delivers = matches!(verdict, Ok(Verdict::Deliver(_)));
        if let Some(subscriber) = self.filtering.borrow_mut().get(slot, number) {
            // A hint is nothing that anyone has got.
            if !(is_hint(item) && delivers) {
                subscriber.got(item);
            }
            if delivers {
                subscriber.sent_at = Some(self.now());
            }
        }
        match verdict {
            Ok(Verdict::Deliver(content)) => self.hand_over(slot, item, content),
            Ok(Verdict::Pass) => {}
            Err(error) => self.conclude_failed(slot, &error),
        }
    }

    /// Writes `item`, with other content if filters made any, to what is held in `slot`.
    fn hand_over(self: &Rc<Self>, slot: Slot, item: &Arc<Publication>, content: Option<Bytes>) {
        enum Held {
            Poll,
            Stream(Version),
            Socket(Rc<crate::core::socket::Socket>),
        }
        let held = match self.rows.borrow_mut().get(slot).map(|row| &row.phase) {
            Some(Phase::Poll(_)) => Held::Poll,
            Some(Phase::Stream(stream)) => Held::Stream(stream.asked.version),
            Some(Phase::Linked(linked)) => Held::Stream(linked.stream.asked.version),
            Some(Phase::Socket(socket)) => Held::Socket(socket.clone()),
            _ => return,
        };
        match held {
            Held::Poll => {
                self.deliver_response(slot, item, content);
            }
            Held::Stream(version) => self.hand_to_stream(slot, version, item, content),
            Held::Socket(socket) => match socket.published_frame(item, content) {
                Some(frame) => self.hand_to_socket(slot, &socket, frame, item.then_socket()),
                None => self.conclude_failed(slot, &Undelivered::Unsendable),
            },
        }
        self.wake();
    }

    fn hand_to_stream(
        self: &Rc<Self>,
        slot: Slot,
        version: Version,
        item: &Publication,
        content: Option<Bytes>,
    ) {
        let part = match (content, version) {
            (None, Version::Http11) => item.stream_chunk().cloned(),
            (None, Version::Http10) => item.stream_content().cloned(),
            (Some(content), _) if content.is_empty() => None,
            (Some(content), Version::Http11) => Some(http1::chunk(&content)),
            (Some(content), Version::Http10) => Some(content),
        };
        if part.is_some_and(|part| self.wire.borrow_mut().send(slot, part).is_err()) {
            return self.overflowed(slot);
        }
        match item.then_stream() {
            Then::End => self.end_body(slot, version),
            Then::Refetch => self.refetch(slot, Reason::Hint),
            Then::Stay | Then::Refresh => {}
        }
    }

    /// The subscriber in `slot` does not get an item. With `debug`, its developer is told.
    fn conclude_failed(self: &Rc<Self>, slot: Slot, error: &Undelivered) {
        self.gauges.filter_failures_total.add(1);
        tracing::debug!(%error, "a message is not delivered");
        if self.settings().proxy.debug || self.route_debugs(slot) {
            self.end_with_error(slot, &error.to_string());
        }
    }

    /// Whether the route of what is held in `slot` says to tell developers what fails.
    fn route_debugs(&self, slot: Slot) -> bool {
        match self.rows.borrow_mut().get(slot).map(|row| &row.phase) {
            Some(Phase::Stream(stream)) => stream.debug,
            Some(Phase::Linked(linked)) => linked.stream.debug,
            Some(Phase::Poll(poll)) => poll.debug,
            Some(Phase::Socket(socket)) => socket.debugs(),
            _ => false,
        }
    }

    fn end_with_error(self: &Rc<Self>, slot: Slot, error: &str) {
        let asked = match self.rows.borrow_mut().get(slot).map(|row| &row.phase) {
            Some(Phase::Stream(stream)) => Some(stream.asked),
            Some(Phase::Linked(linked)) => Some(linked.stream.asked),
            _ => None,
        };
        match asked {
            Some(asked) => {
                let part = respond::part_of_stream(asked, format!("\n\n{error}\n").as_bytes());
                if self.wire.borrow_mut().send(slot, part).is_err() {
                    return self.cut_off(slot);
                }
                self.end_body(slot, asked.version);
            }
            None => {
                self.answer_poll(slot, |_| respond::text(502, format!("{error}\n")));
                self.fail_filtered_socket(slot, error);
            }
        }
        self.wake();
    }
}

/// Whether an item says to ask the application.
fn is_hint(item: &Publication) -> bool {
    matches!(item.stream, Some(StreamFormat::Hint)) || matches!(item.response, Some(ResponseFormat::Hint))
}
