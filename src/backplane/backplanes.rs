//! All backplanes of one core. The core's interest and items go to the backplanes that want them, and arrivals are taken
//! from each backplane in turn.

use super::arrival::Arrival;
use super::contract::{Backplane, Wants};
use super::operator::{CommandOutcome, OperatorCommand};
use crate::proto::grip::Publication;
use crate::wire::Ringer;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// Most arrivals that are taken from one backplane in one turn.
const ARRIVALS: usize = 256;

/// A core's ends of backplanes.
pub struct Backplanes {
    ends: Vec<Rc<dyn Backplane>>,
    /// The union of what the backplanes want.
    wants: Wants,
    /// The index of the end whose arrivals are taken first in the next turn.
    first: Cell<usize>,
}

/// The caller of a command, who waits for its outcome.
pub struct Caller {
    backplane: Rc<dyn Backplane>,
    ticket: u64,
}

impl Backplanes {
    /// Attaches the core, which wakes when `ringer` rings, to `ends`.
    pub fn new(ends: Vec<Box<dyn Backplane>>, ringer: &Ringer) -> Backplanes {
        ends.iter().for_each(|end| end.attach(ringer.clone()));
        let wants = Wants {
            interest: ends.iter().any(|end| end.wants().interest),
            items: ends.iter().any(|end| end.wants().items),
        };
        Backplanes { ends: ends.into_iter().map(Rc::from).collect(), wants, first: Cell::new(0) }
    }

    /// The union of what the backplanes want.
    pub fn wants(&self) -> Wants {
        self.wants
    }

    /// Reports that interest in a channel began or ended at its home on this core.
    pub fn interest(&self, channel: &Arc<str>, wanted: bool) {
        let ends = self.ends.iter().filter(|end| end.wants().interest);
        ends.for_each(|end| end.interest(channel.clone(), wanted));
    }

    /// Passes on an item that was published on this node and has reached its home on this core.
    pub fn publish(&self, item: &Arc<Publication>) {
        if self.wants.items {
            self.ends.iter().filter(|end| end.wants().items).for_each(|end| end.publish(item));
        }
    }

    /// Takes arrivals while the homes have room, within the budget of a turn. Returns whether there were any. Each turn
    /// begins with another backplane, so one that always uses up the room does not keep out the others.
    pub fn take_arrivals(&self, has_room: impl Fn() -> bool, mut take: impl FnMut(Arrival)) -> bool {
        let mut any = false;
        let (later, earlier) = self.ends.split_at(self.first.get());
        self.first.set((self.first.get() + 1) % self.ends.len().max(1));
        for end in earlier.iter().chain(later) {
            let (mut arrivals, mut bytes) = (0, 0);
            while arrivals < ARRIVALS
                && has_room()
                && let Some(arrival) = end.next_arrival()
            {
                arrivals += 1;
                bytes += arrival.weight();
                take(arrival);
            }
            if arrivals > 0 {
                any = true;
                end.took(arrivals, bytes);
            }
        }
        any
    }

    /// Takes the commands of operators, each with its caller.
    pub fn take_commands(&self) -> Vec<(OperatorCommand, Caller)> {
        let of_end = |backplane: &Rc<dyn Backplane>| {
            let backplane = backplane.clone();
            let commands = backplane.take_commands().into_iter();
            commands.map(move |(ticket, command)| (command, Caller { backplane: backplane.clone(), ticket }))
        };
        self.ends.iter().flat_map(of_end).collect()
    }
}

impl Caller {
    /// Reports the outcome of the command.
    pub fn answer(self, outcome: CommandOutcome) {
        self.backplane.answer(self.ticket, outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::super::arrival::Lost;
    use super::super::ends::ThreadEnd;
    use super::super::outlet::Messages;
    use super::*;
    use crate::ids::CoreId;
    use crate::wire::ThreadBell;
    use std::cell::RefCell;

    /// The threads' ends and the core's ends of two backplanes. Only the second wants interest.
    fn two() -> ([ThreadEnd; 2], Backplanes) {
        let threads = [ThreadEnd::new(1).expect("an eventfd"), ThreadEnd::new(1).expect("an eventfd")];
        let ends = [&threads[0], &threads[1]].into_iter().zip([false, true]);
        let ends = ends.filter_map(|(thread, wants)| thread.core_end(CoreId(0), wants)).collect();
        let backplanes = Backplanes::new(ends, &ThreadBell::new().expect("an eventfd").ringer());
        (threads, backplanes)
    }

    #[test]
    fn interest_is_told_to_those_that_want_to_know() {
        let ([first, second], backplanes) = two();
        assert_eq!(backplanes.wants(), Wants { interest: true, items: false });
        backplanes.interest(&"c".into(), true);
        assert_eq!(first.outlet.take().interest.len(), 0);
        assert_eq!(second.outlet.take().interest.len(), 1);
    }

    #[test]
    fn each_backplane_has_its_turn_while_there_is_room() {
        let ([first, second], backplanes) = two();
        let many = |count| (0..count).map(|_| Arrival::Lost(Lost::All)).collect::<Vec<_>>();
        first.inlets[0].push(&mut many(ARRIVALS + 5));
        second.inlets[0].push(&mut many(3));
        let mut taken = 0;
        assert!(backplanes.take_arrivals(|| true, |_| taken += 1));
        assert_eq!(taken, ARRIVALS + 3);
        assert!(!backplanes.take_arrivals(|| false, |_| panic!("there is no room")));
        assert!(backplanes.take_arrivals(|| true, |_| taken += 1));
        assert_eq!(taken, ARRIVALS + 8);
        assert!(!backplanes.take_arrivals(|| true, |_| taken += 1));
    }

    #[test]
    fn a_backplane_that_uses_up_the_room_does_not_keep_out_another() {
        let ([first, second], backplanes) = two();
        first.inlets[0].push(&mut (0..5).map(|_| Arrival::Lost(Lost::All)).collect());
        second.inlets[0].push(&mut vec![Arrival::Lost(Lost::Channel("c".into()))]);
        let turn = || {
            let taken = RefCell::new(Vec::new());
            backplanes
                .take_arrivals(|| taken.borrow().is_empty(), |arrival| taken.borrow_mut().push(arrival));
            taken.into_inner()
        };
        assert!(matches!(turn()[..], [Arrival::Lost(Lost::All)]));
        assert!(matches!(turn()[..], [Arrival::Lost(Lost::Channel(_))]));
    }

    #[test]
    fn a_command_is_answered_where_it_came_from() {
        let ([first, second], backplanes) = two();
        second.inlets[0].ask(7, OperatorCommand::Recover);
        let [(OperatorCommand::Recover, caller)] = <[_; 1]>::try_from(backplanes.take_commands())
            .unwrap_or_else(|commands| panic!("{} commands", commands.len()))
        else {
            panic!("another command");
        };
        caller.answer(CommandOutcome::Done);
        let Messages { outcomes, .. } = second.outlet.take();
        assert_eq!(outcomes, [(7, CommandOutcome::Done)]);
        assert!(first.outlet.take().outcomes.is_empty());
    }
}
