//! What the answer of a link does to a stream: its body is appended as one part, and its instructions take the place of
//! those that held before. Channels that stay are not left for a moment, so nothing on them is missed.

use super::fetch::{Fetched, LinkError};
use super::{GoneLink, Links, State, resolve};
use crate::channel::{Readiness, Transport};
use crate::core::Core;
use crate::core::again::Reason;
use crate::core::hold::transport_of;
use crate::core::respond;
use crate::core::row::Phase;
use crate::ids::Slot;
use crate::proto::grip::{Channel, Hold, InstructError, Mode};
use crate::wire::Overflow;
use std::rc::Rc;

/// How often a link that cannot be asked is tried again.
const TRIES: u32 = 5;
/// What the client of a route with `debug` gets at the end of its stream.
const FAILED: &str = "\n\nFailed to retrieve next link.\n";
const NO_STREAM: &str = "\n\nNext link returned non-stream hold.\n";

/// What an answer makes of a stream.
enum Step<'a> {
    Hold(&'a Hold, Links),
    /// Nothing is held, but there is another link.
    GoOn(Links),
    End,
    /// It cannot be followed; what a client of a route with `debug` gets.
    Fail(InstructError, &'static str),
}

impl Step<'_> {
    fn of(fetched: &Fetched) -> Step<'_> {
        let instruct = fetched.instruct.as_ref();
        let hold = instruct.and_then(|instruct| instruct.hold.as_ref());
        let next_link = match hold {
            Some(hold) => hold.next_link.as_ref(),
            None => instruct.and_then(|instruct| instruct.next_link.as_ref()),
        };
        let gone_link = hold.and_then(|hold| hold.gone_link.as_ref());
        match (resolve(&fetched.at, next_link, gone_link), hold) {
            (None, _) => Step::Fail(InstructError::Link, FAILED),
            (Some(_), Some(hold)) if hold.mode == Mode::Response => {
                Step::Fail(InstructError::HoldMode, NO_STREAM)
            }
            (Some(links), Some(hold)) => Step::Hold(hold, links),
            (Some(links), None) if links.next.is_some() => Step::GoOn(links),
            (Some(_), None) => Step::End,
        }
    }
}

impl Core {
    /// The link that the stream in `slot` waits for has answered.
    pub(super) fn take_fetched(self: &Rc<Self>, slot: Slot, fetched: &Result<Fetched, LinkError>) {
        match fetched {
            Ok(fetched) => self.append(slot, fetched),
            Err(error) => self.try_again(slot, error),
        }
    }

    fn append(self: &Rc<Self>, slot: Slot, fetched: &Fetched) {
        let asked = {
            let mut rows = self.rows.borrow_mut();
            let Some(Phase::Linked(linked)) = rows.get(slot).map(|row| &mut row.phase) else { return };
            linked.failures = 0;
            linked.stream.asked
        };
        let step = Step::of(fetched);
        if let Step::Hold(hold, _) = &step {
            self.refuse_channels_beyond_limit(slot, hold, fetched.prefix.as_deref());
            self.move_to_channels(slot, transport_of(hold, asked), hold, fetched.prefix.as_deref());
        }
        self.count_for(slot, |tally| tally.client.sent.content_bytes += fetched.body.len() as u64);
        let part = respond::part_of_stream(asked, &fetched.body);
        if !part.is_empty() && self.wire.borrow_mut().send(slot, part).is_err() {
            return self.cut_off(slot);
        }
        self.wake();
        match step {
            Step::Hold(hold, links) => self.hold_again(slot, hold, links, fetched),
            Step::GoOn(links) => self.go_on(slot, links),
            Step::End => self.end_body(slot, asked.version),
            Step::Fail(error, text) => self.give_up(slot, &LinkError::Instruct(error), text),
        }
    }

    /// Nothing is held: the stream goes on with another link when its client has taken what there is.
    fn go_on(self: &Rc<Self>, slot: Slot, links: Links) {
        self.unsubscribe(slot);
        {
            let mut rows = self.rows.borrow_mut();
            let Some(Phase::Linked(linked)) = rows.get(slot).map(|row| &mut row.phase) else { return };
            linked.next = links.next;
            linked.stream.keep_alive = None;
            linked.state = State::GoesOn;
        }
        self.linked_is_open(slot);
    }

    /// The stream is held as `hold` says.
    fn hold_again(self: &Rc<Self>, slot: Slot, hold: &Hold, links: Links, fetched: &Fetched) {
        let (asked, origin) = {
            let mut rows = self.rows.borrow_mut();
            let Some(Phase::Linked(linked)) = rows.get(slot).map(|row| &row.phase) else { return };
            (linked.stream.asked, linked.origin.clone())
        };
        let keep_alive = hold.keep_alive.as_ref().map(|setting| self.keep_alive(setting, asked));
        let gone = links.gone.map(|target| self.gone_link(target, &origin));
        {
            let mut rows = self.rows.borrow_mut();
            let Some(Phase::Linked(linked)) = rows.get(slot).map(|row| &mut row.phase) else { return };
            linked.stream.keep_alive = keep_alive;
            linked.next = links.next;
            if gone.is_some() {
                std::mem::replace(&mut linked.gone, gone).into_iter().for_each(GoneLink::disarm);
            }
            linked.state = State::Held;
        }
        let channels = self.channels_of_link(hold, fetched.prefix.as_deref());
        let names = channels.iter().map(|(name, channel)| (name.as_str(), *channel));
        self.set_filters(slot, names, &hold.meta, &origin, &fetched.at);
        self.linked_is_open(slot);
        self.make_up(slot);
    }

    /// Subscribes the stream in `slot` to the channels of `hold` and to no others. What is sent to it from now on waits
    /// until they are in force: a client that has what the link has misses nothing that is published after it.
    fn move_to_channels(&self, slot: Slot, transport: Transport, hold: &Hold, prefix: Option<&str>) {
        let wanted = self.channels_of_link(hold, prefix);
        let mut asks = Vec::new();
        {
            let mut subscriptions = self.subscriptions.borrow_mut();
            for name in subscriptions.channels_of(slot) {
                if !wanted.iter().any(|(wanted, _)| **wanted == *name) {
                    subscriptions.leave(slot, &name);
                }
            }
            for (name, channel) in &wanted {
                let readiness = subscriptions.join(slot, transport, name, &mut |core, message| {
                    asks.push((core, message));
                });
                if readiness == Readiness::Waiting {
                    self.wire.borrow_mut().cork(slot);
                }
                if let Some(prev_id) = &channel.prev_id {
                    subscriptions.follow(slot, name, prev_id);
                }
            }
        }
        asks.into_iter().for_each(|(core, message)| self.send_home(core, message));
    }

    /// The channels of a link's answer by their names with the route's prefix, as many as a client may have.
    fn channels_of_link<'a>(&self, hold: &'a Hold, prefix: Option<&str>) -> Vec<(String, &'a Channel)> {
        let prefix = prefix.unwrap_or_default();
        let named = hold.channels.iter().map(|channel| (format!("{prefix}{}", channel.name), channel));
        named.take(self.subscription_limit()).collect()
    }

    fn refuse_channels_beyond_limit(&self, slot: Slot, hold: &Hold, prefix: Option<&str>) {
        let origin = {
            let mut rows = self.rows.borrow_mut();
            let Some(Phase::Linked(linked)) = rows.get(slot).map(|row| &mut row.phase) else { return };
            linked.origin.clone()
        };
        let prefix = prefix.unwrap_or_default();
        let beyond = hold.channels.iter().skip(self.subscription_limit());
        let beyond: Vec<String> = beyond.map(|channel| format!("{prefix}{}", channel.name)).collect();
        self.refuse_subscriptions(origin.route(), beyond.iter().map(String::as_str));
    }

    /// Sends the stream in `slot` what has waited for its channels, if all that it has are in force.
    pub(in crate::core) fn release_stream(self: &Rc<Self>, slot: Slot) {
        if self.subscriptions.borrow().is_joining(slot) {
            return;
        }
        let sent = self.wire.borrow_mut().uncork(slot);
        match sent {
            Ok(()) => self.wake(),
            Err(Overflow) => self.cut_off(slot),
        }
    }

    /// The link could not be asked: once more after a while, or the stream is over.
    fn try_again(self: &Rc<Self>, slot: Slot, error: &LinkError) {
        let (failures, heard) = {
            let mut rows = self.rows.borrow_mut();
            let Some(Phase::Linked(linked)) = rows.get(slot).map(|row| &mut row.phase) else { return };
            let State::Fetching { heard, .. } = &mut linked.state else { return };
            linked.failures += 1;
            (linked.failures, std::mem::take(heard))
        };
        match error.is_passing() && failures <= TRIES {
            true => self.fetch(slot, heard, Reason::Failed(failures)),
            false => self.give_up(slot, error, FAILED),
        }
    }

    /// The stream cannot go on: cut, so that its client sees that it is not whole.
    fn give_up(self: &Rc<Self>, slot: Slot, error: &LinkError, text: &str) {
        tracing::warn!(%error, "a stream ends because its next link failed");
        let (asked, debug) = {
            let mut rows = self.rows.borrow_mut();
            let Some(Phase::Linked(linked)) = rows.get(slot).map(|row| &mut row.phase) else { return };
            (linked.stream.asked, self.settings().proxy.debug || linked.origin.route.debug)
        };
        self.unsubscribe(slot);
        self.release_stream(slot);
        if debug {
            let mut wire = self.wire.borrow_mut();
            let _ = wire.send(slot, respond::part_of_stream(asked, text.as_bytes()));
            wire.flush();
        }
        self.leave(slot, true);
    }
}
