//! A worker: one thread that holds up to about 18,000 subscribers with epoll, and follows the orders of its parent.
//!
//! `subscribers.rs` has the table of connections and handles their input, `opening.rs` decides when the next connection is
//! opened, `returning.rs` those that connect again, and `parent.rs` reads orders and writes reports. Only the loop here waits.

mod opening;
mod parent;
mod returning;
mod subscribers;

use crate::orders::{Assignment, Order, Report};
use crate::sys::{self, Epoll, Interest};
use opening::Opening;
use parent::Parent;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use subscribers::Subscribers;

/// Runs a worker on standard input and output until the parent closes the standard input.
///
/// # Errors
///
/// If it cannot read orders or wait for events. Failed connections are reported to the parent and are not errors.
pub fn run() -> io::Result<()> {
    obey_until_the_end(io::stdin().as_fd().try_clone_to_owned()?, io::stdout().as_fd().try_clone_to_owned()?)
}

/// Runs a worker that takes orders from `input` and reports to `output`.
pub(crate) fn obey_until_the_end(input: OwnedFd, output: OwnedFd) -> io::Result<()> {
    let mut parent = Parent::new(input, output);
    let Some(Order::Open(assignment)) = parent.first_order()? else {
        return Err(io::Error::other(
            "the first order must be to open: gripwire-loadgen starts workers itself",
        ));
    };
    match serve(&mut parent, *assignment) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            parent.report(&Report::Broken(error.to_string()))
        }
        _ => Ok(()),
    }
}

fn serve(parent: &mut Parent, assignment: Assignment) -> io::Result<()> {
    prepare(&assignment)?;
    let epoll = Epoll::new()?;
    epoll.add(parent.descriptor(), PARENT, Interest::Read)?;
    let mut opening = Opening::new(&assignment);
    let mut subscribers = Subscribers::new(assignment, epoll);
    let mut events = Vec::new();
    loop {
        let until_ns = opening.advance(&mut subscribers, sys::now_ns());
        if let Some(seconds) = opening.finished() {
            subscribers.progress.open = subscribers.open();
            parent.progress(&mut subscribers.progress)?;
            parent.report(&Report::Opened { seconds })?;
        }
        let until_ns = until_ns.min(subscribers.return_some(sys::now_ns()));
        let until_ns = until_ns.min(parent.next_progress_ns(&subscribers.progress));
        subscribers.wait(until_ns.saturating_sub(sys::now_ns()).div_ceil(1_000_000), &mut events)?;
        for event in events.drain(..) {
            if event.token != PARENT {
                subscribers.advance(event.token as usize, event.writable);
            } else if !obey(parent, &mut subscribers)? {
                return Ok(());
            }
        }
        if sys::now_ns() >= parent.next_progress_ns(&subscribers.progress) {
            parent.progress(&mut subscribers.progress)?;
        }
    }
}

/// Follows the orders of the parent. Returns whether to continue.
fn obey(parent: &mut Parent, subscribers: &mut Subscribers) -> io::Result<bool> {
    let Some(orders) = parent.orders()? else { return Ok(false) };
    for order in orders {
        match order {
            Order::Open(_) => return Err(io::Error::other("an order to open came twice")),
            Order::Watch(on) => {
                parent.watched = on;
                parent.progress(&mut subscribers.progress)?;
            }
            Order::Collect(published) => {
                let deliveries = subscribers.collect(&published.into_iter().collect());
                parent.report(&Report::Collected(Box::new(deliveries)))?;
            }
        }
    }
    Ok(true)
}

fn prepare(assignment: &Assignment) -> io::Result<()> {
    let limit = sys::raise_descriptor_limit()?;
    let needed = assignment.subscribers as usize + SPARE_DESCRIPTORS;
    if needed > limit {
        let problem = format!(
            "{} subscribers in a worker need {needed} open files and this process may have {limit}: \
             use more workers, or raise the limit with `ulimit -n {needed}`",
            assignment.subscribers
        );
        return Err(io::Error::other(problem));
    }
    match assignment.cpu {
        Some(cpu) => {
            sys::pin(cpu).map_err(|error| io::Error::other(format!("cannot run on CPU {cpu}: {error}")))
        }
        None => Ok(()),
    }
}

/// The parent's token. All other tokens are subscribers' indices.
const PARENT: u64 = u64::MAX;
/// Descriptors for standard streams, the epoll, and a few of the runtime.
const SPARE_DESCRIPTORS: usize = 16;
