//! Properties of the table that `tests/simulation` does not find by itself.

use super::super::roster::SlotLinks;
use super::*;

fn table() -> Subscriptions {
    Subscriptions::new(1, 1)
}

/// Returns the epoch of the request that the subscription causes; 0 if it causes none.
fn subscribe(table: &mut Subscriptions, slot: u32) -> u32 {
    let mut asked = 0;
    table.subscribe(Slot(slot), Transport::Response, &["c", "c"], &mut |_, message| {
        if let ToHome::Subscribe { epoch, .. } = message {
            asked = epoch;
        }
    });
    asked
}

fn acknowledge(table: &mut Subscriptions, epoch: u32) -> Vec<Slot> {
    let mut ready = Vec::new();
    table.handle(ToCore::Subscribed { channel: "c".into(), epoch, last_id: None }, &mut ready);
    ready
}

fn expire(table: &mut Subscriptions, tick: u32) -> usize {
    let mut farewells = 0;
    table.set_now(tick);
    table.expire(usize::MAX, &mut |_, _| farewells += 1);
    farewells
}

#[test]
fn an_acknowledgement_of_a_request_taken_back_opens_nothing() {
    let mut table = table();
    let first = subscribe(&mut table, 1);
    table.unsubscribe(Slot(1));
    assert_eq!(expire(&mut table, 1), 1);
    let second = subscribe(&mut table, 2);
    assert_eq!(acknowledge(&mut table, first), []);
    assert_eq!(acknowledge(&mut table, second), [Slot(2)]);
}

#[test]
fn a_channel_lingers_for_those_who_come_back() {
    let mut table = table();
    let epoch = subscribe(&mut table, 1);
    acknowledge(&mut table, epoch);
    table.unsubscribe(Slot(1));
    assert_eq!(expire(&mut table, 0), 0);
    let mut unheard = Publication::new("c");
    unheard.id = Some("7".into());
    table.handle(ToCore::Deliver(Arc::new(unheard)), &mut Vec::new());
    assert_eq!((table.pending().0, table.last_id("c")), (0, Some("7")));
    assert_eq!(subscribe(&mut table, 1), 0, "the channel is still live");
    assert_eq!((table.subscriptions(), expire(&mut table, 9)), (1, 0));
    table.unsubscribe(Slot(1));
    assert_eq!((table.subscriptions(), expire(&mut table, 10)), (0, 1));
    assert!(table.is_empty());
}

#[test]
fn a_subscription_stays_within_what_it_may_cost() {
    let row = size_of::<Entry>() + size_of::<SlotLinks>();
    assert!(row <= 32, "{row}");
    assert!(size_of::<LocalChannel>() <= 152, "{}", size_of::<LocalChannel>());
}

#[test]
fn many_that_wait_for_one_channel_open_and_leave_in_moments() {
    const ROWS: u32 = 100_000;
    let mut table = table();
    let epoch = subscribe(&mut table, 0);
    for slot in 1..ROWS {
        subscribe(&mut table, slot);
    }
    (0..ROWS).step_by(2).for_each(|slot| table.unsubscribe(Slot(slot)));
    let started = std::time::Instant::now();
    assert_eq!(acknowledge(&mut table, epoch).len(), ROWS as usize / 2);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

#[test]
fn channels_are_given_up_in_portions_and_not_before_the_next_tick() {
    let mut table = Subscriptions::new(1, 0);
    for (slot, channel) in [(1, "a"), (2, "b"), (3, "c")] {
        table.subscribe(Slot(slot), Transport::Response, &[channel], &mut |_, _| {});
        table.unsubscribe(Slot(slot));
    }
    assert_eq!(expire(&mut table, 0), 0);
    table.set_now(1);
    let mut farewells = 0;
    assert!(table.expire(2, &mut |_, _| farewells += 1));
    assert_eq!(farewells, 2);
    assert!(!table.expire(2, &mut |_, _| farewells += 1));
    assert_eq!((farewells, table.channels()), (3, 0));
}
