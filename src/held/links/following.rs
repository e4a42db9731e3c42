//! Follows the answer of a link: its body is appended to the stream as one part, and its instruct replaces the one
//! before. The stream does not leave channels that stay, so it misses nothing on them.

use super::gone::GoneLink;
use super::linked::Linked;
use super::request::{AwaitsLink, Fetched, LinkError};
use super::state::Doing;
use super::target::{Links, resolve};
use crate::channel::Readiness;
use crate::clients::Reason;
use crate::ids::Slot;
use crate::proto::grip::{Channel, Hold, InstructError, Mode};
use std::rc::Rc;

/// How many times a link that failed is requested again.
const TRIES: u32 = 5;
/// The last part of a stream whose link failed, on routes with `debug`.
const FAILED: &str = "\n\nFailed to retrieve next link.\n";
const NO_STREAM: &str = "\n\nNext link returned non-stream hold.\n";

/// What a stream does after an answer.
enum Step<'a> {
    Hold(&'a Hold, Links),
    /// The answer does not hold the stream, but has another link.
    GoOn(Links),
    End,
    /// The answer cannot be followed. The text is for clients of routes with `debug`.
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

impl AwaitsLink for Linked {
    fn waits_for(&self, number: u64) -> bool {
        self.state.borrow().waits_for(number)
    }

    fn take_fetched(self: Rc<Self>, slot: Slot, fetched: &Result<Fetched, LinkError>) {
        match fetched {
            Ok(fetched) => self.append(slot, fetched),
            Err(error) => self.try_again(slot, error),
        }
    }
}

impl Linked {
    fn append(self: &Rc<Self>, slot: Slot, fetched: &Fetched) {
        self.state.borrow_mut().failures = 0;
        let step = Step::of(fetched);
        if let Step::Hold(hold, _) = &step {
            self.refuse_channels_beyond_limit(hold, fetched.prefix.as_deref());
            self.move_to_channels(slot, hold, fetched.prefix.as_deref());
        }
        let clients = &self.holds.clients;
        clients.count_for(slot, |route_stats| {
            route_stats.client.sent.content_bytes += fetched.body.len() as u64
        });
        let part = self.asked.body_writer().part(&fetched.body);
        if !part.is_empty() && clients.send(slot, part).is_err() {
            return clients.reset_overflowed(slot);
        }
        self.holds.context.wake();
        match step {
            Step::Hold(hold, links) => self.hold_again(slot, hold, links, fetched),
            Step::GoOn(links) => self.go_on(slot, links),
            Step::End => self.clone().end_body(slot),
            Step::Fail(error, text) => self.give_up(slot, &LinkError::Instruct(error), text),
        }
    }

    /// The answer does not hold the stream: requests its next link when the client has taken everything that was sent.
    fn go_on(self: &Rc<Self>, slot: Slot, links: Links) {
        self.holds.delivery.unsubscribe(slot);
        {
            let mut state = self.state.borrow_mut();
            state.next = links.next;
            state.keep_alive = None;
            state.doing = Doing::GoesOn;
        }
        self.is_open(slot);
    }

    /// Holds the stream again, as `hold` says.
    fn hold_again(self: &Rc<Self>, slot: Slot, hold: &Hold, links: Links, fetched: &Fetched) {
        let holds = &self.holds;
        let keep_alive = hold.keep_alive.as_ref().map(|setting| holds.keep_alive(setting, self.asked));
        let gone = links.gone.map(|target| holds.gone_link(target, &self.origin));
        {
            let mut state = self.state.borrow_mut();
            state.keep_alive = keep_alive;
            state.next = links.next;
            if gone.is_some() {
                std::mem::replace(&mut state.gone, gone).into_iter().for_each(GoneLink::disarm);
            }
            state.doing = Doing::Held;
        }
        let channels = self.channels_of_link(hold, fetched.prefix.as_deref());
        let names = channels.iter().map(|(name, channel)| (name.as_str(), *channel));
        holds.filters.set_filters(slot, names, &hold.meta, &self.origin, &fetched.at);
        self.is_open(slot);
        self.make_up(slot);
    }

    /// Subscribes the stream to the channels of `hold` and to no others. Bytes that are sent to the stream from now on
    /// wait until the channels are in force. So a client that has seen the link's answer misses no item that is
    /// published afterwards.
    fn move_to_channels(&self, slot: Slot, hold: &Hold, prefix: Option<&str>) {
        let wanted = self.channels_of_link(hold, prefix);
        let (delivery, mut asks) = (&self.holds.delivery, Vec::new());
        for name in delivery.channels_of(slot) {
            if !wanted.iter().any(|(wanted, _)| **wanted == *name) {
                delivery.leave(slot, &name);
            }
        }
        let transport = self.asked.body_writer().transport();
        for (name, channel) in &wanted {
            if delivery.join(slot, transport, name, &mut asks) == Readiness::Waiting {
                self.holds.clients.cork(slot);
            }
            if let Some(prev_id) = &channel.prev_id {
                delivery.follow(slot, name, prev_id);
            }
        }
        self.holds.publishing.send_home_all(asks);
    }

    /// The channels of a link's answer, by their names with the route's prefix, at most as many as a client may have.
    fn channels_of_link<'a>(&self, hold: &'a Hold, prefix: Option<&str>) -> Vec<(String, &'a Channel)> {
        let prefix = prefix.unwrap_or_default();
        let named = hold.channels.iter().map(|channel| (format!("{prefix}{}", channel.name), channel));
        named.take(self.holds.delivery.subscription_limit()).collect()
    }

    fn refuse_channels_beyond_limit(&self, hold: &Hold, prefix: Option<&str>) {
        let (delivery, prefix) = (&self.holds.delivery, prefix.unwrap_or_default());
        let beyond = hold.channels.iter().skip(delivery.subscription_limit());
        let beyond: Vec<String> = beyond.map(|channel| format!("{prefix}{}", channel.name)).collect();
        delivery.refuse_subscriptions(self.origin.route(), beyond.iter().map(String::as_str));
    }

    /// The link failed: requests it again after a while, or ends the stream.
    fn try_again(self: &Rc<Self>, slot: Slot, error: &LinkError) {
        let (failures, heard) = {
            let mut state = self.state.borrow_mut();
            state.failures += 1;
            let failures = state.failures;
            let Doing::Fetching { heard, .. } = &mut state.doing else { return };
            (failures, std::mem::take(heard))
        };
        match error.is_passing() && failures <= TRIES {
            true => self.fetch(slot, heard, Reason::Failed(failures)),
            false => self.give_up(slot, error, FAILED),
        }
    }

    /// Ends a stream that cannot go on, without the end of its body, so that its client can tell that it is incomplete.
    fn give_up(self: &Rc<Self>, slot: Slot, error: &LinkError, text: &str) {
        tracing::warn!(%error, "a stream was closed: its next link failed");
        let holds = &self.holds;
        holds.delivery.unsubscribe(slot);
        holds.release_stream(slot);
        if holds.context.settings().proxy.debug || self.origin.route().debug {
            let _ = holds.clients.send(slot, self.asked.body_writer().part(text.as_bytes()));
            holds.clients.flush();
        }
        holds.clients.close(slot, true);
    }
}
