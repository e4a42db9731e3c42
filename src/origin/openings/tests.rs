use super::*;
use crate::runtime::{block_on, spawn, yield_now};
use futures_lite::future::{or, poll_once};
use std::net::IpAddr;
use std::pin::pin;

fn place(host: &str) -> OriginAddress {
    OriginAddress { host: host.into(), port: 80, tls: None, untrusted: false, named_by_application: false }
}

fn client(number: u8) -> ClientNetwork {
    ClientNetwork::of(Some(IpAddr::from([10, 0, 0, number])))
}

async fn admit(openings: &Openings, host: &str, number: u8) -> Opening {
    openings.admit(&place(host), client(number)).await.expect("there is no timeout")
}

fn is_empty(openings: &Openings) -> bool {
    (openings.open(), openings.waiting()) == (0, 0)
}

#[test]
fn more_are_needed_only_if_answers_take_long() {
    assert_eq!(needed(32, 0, 1000), 32);
    assert_eq!(needed(32, 12, 1000), 32);
    assert_eq!(needed(32, 13, 1000), 0);
    assert_eq!(needed(700, 0, 1000), 300);
    assert_eq!(needed(1000, 0, 1000), 0);
}

#[test]
fn what_waits_is_admitted_while_nothing_ends_and_the_number_shrinks_afterwards() {
    block_on(async {
        let openings = Openings::new(100, 0);
        let mut open = Vec::new();
        // The reserve is 12.
        for _ in 0..88 {
            open.push(admit(&openings, "a", 1).await);
        }
        let limit = openings.0.limit.get();
        assert!(openings.open() == 88 && limit >= 88, "{limit}");
        open.clear();
        assert_eq!((openings.open(), openings.0.limit.get()), (0, FEW));
    });
}

#[test]
fn those_that_have_been_open_for_long_do_not_count_among_the_few() {
    block_on(async {
        let openings = Rc::new(Openings::new(1000, 0));
        let mut hang = Vec::new();
        for _ in 0..FEW - 1 {
            hang.push(admit(&openings, "hangs", 1).await);
        }
        let begun = Rc::new(Cell::new(0));
        // The answers are quick and more than there is room for, so the average answer does not take long.
        for number in 0..FEW as u8 {
            let (openings, begun) = (openings.clone(), begun.clone());
            spawn(async move {
                while openings.open() < 2 * FEW - 1 {
                    let _open = admit(&openings, "quick", number).await;
                    begun.set(begun.get() + 1);
                    yield_now().await;
                }
            })
            .detach();
        }
        while openings.waiting() > 0 || begun.get() < FEW {
            yield_now().await;
        }
        assert!(openings.0.limit.get() >= 2 * FEW - 1);
    });
}

#[test]
fn one_that_gives_up_waiting_takes_no_place() {
    block_on(async {
        let openings = Openings::new(1, 0);
        let first = admit(&openings, "a", 1).await;
        let given_up = or(async { Some(admit(&openings, "a", 1).await) }, async {
            yield_now().await;
            None
        });
        assert!(given_up.await.is_none());
        assert_eq!((openings.open(), openings.waiting()), (1, 0));
        drop(first);
        let _second = admit(&openings, "a", 1).await;
        assert_eq!((openings.open(), openings.waiting()), (1, 0));
    });
}

#[test]
fn one_that_gives_up_when_its_turn_has_come_passes_it_on() {
    block_on(async {
        let openings = Openings::new(1, 0);
        let first = admit(&openings, "a", 1).await;
        let mut next = Box::pin(admit(&openings, "a", 2));
        assert!(poll_once(&mut next).await.is_none());
        let mut after_it = pin!(admit(&openings, "a", 3));
        assert!(poll_once(&mut after_it).await.is_none());
        drop(first);
        assert_eq!((openings.open(), openings.waiting()), (1, 1), "the turn of the next has come");
        drop(next);
        drop(after_it.await);
        assert!(is_empty(&openings));
    });
}

#[test]
fn the_reserve_is_open_to_others_at_once() {
    block_on(async {
        let openings = Openings::new(8, 0);
        let mut hang = Vec::new();
        for _ in 0..7 {
            hang.push(admit(&openings, "hangs", 1).await);
        }
        let mut more = pin!(admit(&openings, "hangs", 1));
        assert!(poll_once(&mut more).await.is_none());
        let other = poll_once(admit(&openings, "serves", 2)).await;
        assert!(other.is_some(), "it waits for nothing");
        assert!(poll_once(&mut more).await.is_none(), "the reserve stays for others");
        drop(other);
        hang.pop();
        more.await;
    });
}

#[test]
fn one_that_waits_for_too_long_is_refused_and_leaves_nothing_behind() {
    block_on(async {
        let openings = Openings::new(1, 30);
        let first = admit(&openings, "a", 1).await;
        let refused = openings.admit(&place("b"), client(2)).await;
        assert!(matches!(refused, Err(Overdue { timeout_ms: 30 })));
        assert_eq!((openings.open(), openings.waiting(), openings.timeouts()), (1, 0, 1));
        openings.set_timeout(0);
        let mut waits = pin!(admit(&openings, "b", 2));
        let still_waits = or(async { Some(waits.as_mut().await) }, async {
            runtime::sleep(10 * LOOK).await;
            None
        });
        assert!(still_waits.await.is_none(), "there is no timeout any more");
        drop(first);
        drop(waits.await);
        assert!(is_empty(&openings));
    });
}

#[test]
fn a_pause_of_the_process_is_no_wait() {
    let mut last = Instant::now();
    let begun = last;
    last -= Duration::from_secs(60);
    assert_eq!(passed_since(&mut last), LATE);
    assert!(last >= begun && passed_since(&mut last) < LATE);
}
