//! The timed actions of a WebSocket: ask its application, send keep-alives and delayed messages, and give up on a
//! client that does not answer a close. This is a value without a clock of its own: times are ticks of the core, which
//! may wrap.

use crate::context::ticks;
use crate::proto::grip::{Delayed, KeepAliveMode, SocketKeepAlive};
use crate::proto::websocket::frame;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// All timed actions.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Clock {
    ask: Option<u32>,
    give_up: Option<u32>,
    delayed: Option<(u32, Bytes)>,
    keep_alive: Option<KeepAlive>,
}

#[derive(Clone, Serialize, Deserialize)]
struct KeepAlive {
    due: u32,
    every: u32,
    frame: Bytes,
    mode: KeepAliveMode,
}

/// An action that is due.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// Ask the application whether it has events.
    Ask,
    /// Give up on the client, which does not answer the close.
    GiveUp,
    /// Send this to the client.
    Send(Bytes),
}

impl Clock {
    /// Sets when the application is asked: `delay_ms` from now; `None` is never.
    pub fn ask_in(&mut self, now: u32, delay_ms: Option<u64>) {
        self.ask = delay_ms.map(|delay_ms| now.wrapping_add(ticks(delay_ms)));
    }

    /// Gives the client `delay_ms` to answer a close. All other actions are cancelled.
    pub fn give_up_in(&mut self, now: u32, delay_ms: u64) {
        *self = Clock { give_up: Some(now.wrapping_add(ticks(delay_ms))), ..Clock::default() };
    }

    /// Sets the keep-alive, or stops it.
    pub fn keep_alive(&mut self, now: u32, setting: Option<SocketKeepAlive>) {
        self.keep_alive = setting.map(|SocketKeepAlive { message, mode }| {
            let every = ticks(message.timeout_s.saturating_mul(1000));
            let frame = frame(message.opcode, &message.content);
            KeepAlive { due: now.wrapping_add(every), every, frame, mode }
        });
    }

    /// Delays a message. Returns the frame of the message that was delayed before; it must be sent now.
    pub fn delay(&mut self, now: u32, message: &Delayed) -> Option<Bytes> {
        let due = now.wrapping_add(ticks(message.timeout_s.saturating_mul(1000)));
        let before = self.delayed.replace((due, frame(message.opcode, &message.content)));
        before.map(|(_, frame)| frame)
    }

    /// Takes out the frame of the delayed message, which must be sent now.
    pub fn flush(&mut self) -> Option<Bytes> {
        self.delayed.take().map(|(_, frame)| frame)
    }

    /// Notes that the client was sent something at `tick`: idle keep-alives count from there.
    pub fn sent(&mut self, tick: u32) {
        if let Some(keep_alive) = self.keep_alive.as_mut().filter(|it| it.mode == KeepAliveMode::Idle) {
            let due = tick.wrapping_add(keep_alive.every);
            if is_before(keep_alive.due, due) {
                keep_alive.due = due;
            }
        }
    }

    /// The tick at which the next action is due.
    pub fn next(&self) -> Option<u32> {
        let keep_alive = self.keep_alive.as_ref().map(|keep_alive| keep_alive.due);
        let delayed = self.delayed.as_ref().map(|(due, _)| *due);
        let all = [self.ask, self.give_up, delayed, keep_alive];
        all.into_iter().flatten().reduce(|first, other| if is_before(other, first) { other } else { first })
    }

    /// Takes out the actions that are due at `now`.
    pub fn take_due(&mut self, now: u32) -> Vec<Due> {
        let is_due = |due: &u32| !is_before(now, *due);
        let mut all = Vec::new();
        if self.give_up.take_if(|due| is_due(due)).is_some() {
            all.push(Due::GiveUp);
        }
        if let Some((_, frame)) = self.delayed.take_if(|(due, _)| is_due(due)) {
            all.push(Due::Send(frame));
        }
        if let Some(keep_alive) = self.keep_alive.as_mut().filter(|keep_alive| is_due(&keep_alive.due)) {
            keep_alive.due = now.wrapping_add(keep_alive.every);
            all.push(Due::Send(keep_alive.frame.clone()));
        }
        if self.ask.take_if(|due| is_due(due)).is_some() {
            all.push(Due::Ask);
        }
        all
    }
}

fn is_before(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::websocket::Opcode;

    fn message(content: &'static str, timeout_s: u64) -> Delayed {
        Delayed { opcode: Opcode::Text, content: content.into(), timeout_s }
    }

    fn sends(due: Vec<Due>) -> usize {
        due.iter().filter(|due| matches!(due, Due::Send(_))).count()
    }

    #[test]
    fn an_idle_keep_alive_counts_from_what_was_sent_and_an_interval_does_not() {
        for (mode, expected) in [(KeepAliveMode::Idle, [0, 1]), (KeepAliveMode::Interval, [1, 0])] {
            let now = u32::MAX - 3;
            let mut clock = Clock::default();
            clock.keep_alive(now, Some(SocketKeepAlive { message: message("x", 1), mode }));
            clock.sent(now.wrapping_add(5));
            let counts = [10, 15].map(|later| sends(clock.take_due(now.wrapping_add(later))));
            assert_eq!(counts, expected, "{mode:?}");
        }
    }

    #[test]
    fn a_delayed_message_comes_once_and_another_sends_the_one_before() {
        let mut clock = Clock::default();
        assert_eq!(clock.delay(0, &message("a", 1)), None);
        assert_eq!(clock.delay(5, &message("b", 1)).as_deref(), Some(&b"\x81\x01a"[..]));
        assert_eq!((clock.next(), sends(clock.take_due(14)), sends(clock.take_due(15))), (Some(15), 0, 1));
        assert_eq!((clock.next(), clock.flush()), (None, None));
        clock.delay(20, &message("c", 1));
        assert_eq!(clock.flush().as_deref(), Some(&b"\x81\x01c"[..]));
    }

    #[test]
    fn whoever_waits_for_a_close_waits_for_nothing_else() {
        let mut clock = Clock::default();
        clock.ask_in(0, Some(500));
        clock.give_up_in(0, 1000);
        assert_eq!((clock.next(), clock.take_due(5)), (Some(10), Vec::new()));
        assert_eq!((clock.take_due(10), clock.next()), (vec![Due::GiveUp], None));
    }
}
