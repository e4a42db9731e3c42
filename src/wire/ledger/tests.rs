//! The counts of the ledger, from one thread and from many threads at once.

use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;

const UNBOUND: Bounds = Bounds { connections: 0, new_per_s: 0, handshakes_per_s: 0 };

fn ledger() -> Ledger {
    Ledger::new(Instant::now())
}

fn v4(number: u32) -> Option<IpAddr> {
    Some(Ipv4Addr::from_bits(0x7f00_0000 + number).into())
}

fn v6(high: u64, low: u64) -> Option<IpAddr> {
    Some(Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).into())
}

/// Counts a connection of `address` in second 7.
fn begin(ledger: &Ledger, address: Option<IpAddr>, bounds: &Bounds) -> Result<EntryId, Excess> {
    ledger.begin(address, bounds, true, 7).map(|entry_id| entry_id.expect("there is room"))
}

impl Ledger {
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.segments.iter().filter_map(OnceLock::get).flatten()
    }

    /// Memory of all segments.
    fn bytes(&self) -> usize {
        size_of::<Entry>() * self.entries().count()
    }

    /// Entries with open connections.
    fn used(&self) -> usize {
        self.entries().filter(|entry| entry.word.load(Relaxed) & COUNT_MASK > 0).count()
    }
}

#[test]
fn an_entry_has_16_bytes_and_an_account_leaves_two_bits_free() {
    assert_eq!(size_of::<Entry>(), 16);
    let last = found(SEGMENTS - 1, (SEGMENT << (GROWTH * (SEGMENTS - 1))) - 1);
    let Found::EntryId(last) = last else { panic!("no entry was found") };
    assert!(last.0.get() < 1 << 30);
    const { assert!(SEGMENT << (GROWTH * (SEGMENTS - 1)) <= 1 << PLACE_BITS) };
}

#[test]
fn an_address_has_as_many_as_its_bound_and_others_are_not_concerned() {
    let (ledger, bounds) = (ledger(), Bounds { connections: 3, ..UNBOUND });
    let mut accounts: Vec<_> = (0..3).map(|_| begin(&ledger, v4(1), &bounds).unwrap()).collect();
    assert_eq!(begin(&ledger, v4(1), &bounds), Err(Excess::Connections));
    accounts.push(begin(&ledger, v4(2), &bounds).unwrap());
    accounts.push(begin(&ledger, None, &bounds).unwrap());
    assert_eq!((ledger.connections(), ledger.used()), (5, 3));
    ledger.end(accounts.remove(0));
    accounts.push(begin(&ledger, v4(1), &bounds).unwrap());
    assert_eq!(begin(&ledger, v4(1), &bounds), Err(Excess::Connections));
    // The limit was lowered meanwhile.
    assert_eq!(begin(&ledger, v4(1), &Bounds { connections: 1, ..UNBOUND }), Err(Excess::Connections));
    accounts.into_iter().for_each(|entry_id| ledger.end(entry_id));
    assert_eq!(ledger.connections(), 0);
}

#[test]
fn a_network_of_ipv6_is_one_client_and_ipv4_has_one_spelling() {
    let (ledger, bounds) = (ledger(), Bounds { connections: 2, ..UNBOUND });
    begin(&ledger, v6(0x2001_0db8_0000_0001, 1), &bounds).unwrap();
    begin(&ledger, v6(0x2001_0db8_0000_0001, u64::MAX), &bounds).unwrap();
    assert!(begin(&ledger, v6(0x2001_0db8_0000_0001, 5), &bounds).is_err());
    begin(&ledger, v6(0x2001_0db8_0000_0002, 1), &bounds).unwrap();
    let mapped = Some(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().into());
    begin(&ledger, mapped, &bounds).unwrap();
    begin(&ledger, Some(Ipv4Addr::new(10, 0, 0, 1).into()), &bounds).unwrap();
    assert!(begin(&ledger, mapped, &bounds).is_err());
}

#[test]
fn rates_are_of_one_second_and_outlive_the_connections() {
    let (ledger, bounds) = (ledger(), Bounds { new_per_s: 3, handshakes_per_s: 2, ..UNBOUND });
    let try_at = |second, is_handshake| {
        let entry_id = ledger.begin(v4(1), &bounds, is_handshake, second)?.unwrap();
        ledger.end(entry_id);
        Ok(())
    };
    for second in [0, 1, u16::MAX] {
        assert_eq!(try_at(second, true), Ok(()));
        assert_eq!(try_at(second, true), Ok(()));
        assert_eq!(try_at(second, true), Err(Excess::Handshakes), "which is a new connection too");
        for _ in 0..3 {
            assert_eq!(try_at(second, false), Err(Excess::NewConnections));
        }
        assert_eq!(ledger.connections(), 0);
        // From another core, whose clock is behind.
        assert_eq!(try_at(second.wrapping_sub(1), false), Err(Excess::NewConnections));
        let other = ledger.begin(v4(2), &bounds, true, second).unwrap();
        ledger.end(other.unwrap());
        assert_eq!(try_at(second.wrapping_add(5), true), Ok(()), "five seconds later");
    }
}

#[test]
fn entries_are_used_again_so_that_addresses_that_come_and_go_take_no_more_memory() {
    let ledger = ledger();
    for number in 0..200_000 {
        ledger.end(begin(&ledger, v4(number), &UNBOUND).unwrap());
    }
    assert_eq!(ledger.bytes(), SEGMENT * size_of::<Entry>());
    // With a rate limit, entries are kept for their second.
    let bounds = Bounds { new_per_s: 1, ..UNBOUND };
    for second in 0..50 {
        for number in 0..1_000 {
            let entry_id = ledger.begin(v4(number + 1_000 * second), &bounds, false, second as u16);
            ledger.end(entry_id.unwrap().unwrap());
        }
    }
    // Two segments, unless by chance a bucket is full in both.
    assert!(ledger.bytes() <= 21 * SEGMENT * size_of::<Entry>(), "{} bytes", ledger.bytes());
}

#[test]
fn many_addresses_have_an_account_each_and_all_of_them_are_counted_down() {
    let (ledger, bounds) = (ledger(), Bounds { connections: 1, ..UNBOUND });
    let accounts: Vec<_> = (0..50_000).map(|number| begin(&ledger, v4(number), &bounds).unwrap()).collect();
    assert_eq!((ledger.connections(), ledger.used()), (50_000, 50_000));
    assert!(
        (0..50_000).all(|number| begin(&ledger, v4(number), &bounds).is_err()),
        "every address is found again"
    );
    assert!(ledger.bytes() < 50_000 * 128, "{} bytes", ledger.bytes());
    accounts.into_iter().for_each(|entry_id| ledger.end(entry_id));
    assert_eq!(ledger.connections(), 0);
}

/// Runs `work` on eight threads at once.
fn hammer(work: impl Fn(&Ledger, u32) + Send + Sync + 'static) -> Arc<Ledger> {
    let (ledger, work) = (Arc::new(ledger()), Arc::new(work));
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let (ledger, work) = (ledger.clone(), work.clone());
            thread::spawn(move || work(&ledger, number))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("a thread"));
    ledger
}

#[test]
fn one_address_never_has_more_than_its_bound_from_all_threads_together() {
    let held = AtomicUsize::new(0);
    let bounds = Bounds { connections: 5, ..UNBOUND };
    let ledger = hammer(move |ledger, _| {
        for _ in 0..20_000 {
            if let Ok(entry_id) = begin(ledger, v4(1), &bounds) {
                assert!(held.fetch_add(1, Relaxed) < 5);
                held.fetch_sub(1, Relaxed);
                ledger.end(entry_id);
            }
        }
    });
    assert_eq!((ledger.connections(), ledger.bytes()), (0, SEGMENT * size_of::<Entry>()));
}

#[test]
fn counts_return_to_zero_however_threads_come_and_go() {
    let bounds = Bounds { connections: 40, new_per_s: 1_000, ..UNBOUND };
    let ledger = hammer(move |ledger, thread| {
        let (mut held, mut state) = (Vec::new(), u64::from(thread) + 1);
        for round in 0..60_000_u32 {
            // xorshift
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let address = match state % 4 {
                0 => v4((state >> 8) as u32 % 3),
                1 => v4((state >> 8) as u32 % 5_000),
                _ => v6(state >> 8 & 0xffff, state),
            };
            if let Ok(Some(entry_id)) = ledger.begin(address, &bounds, false, (round / 20_000) as u16) {
                held.push(entry_id);
            }
            while held.len() > (state >> 40) as usize % 500 {
                let index = (state >> 20) as usize % held.len();
                ledger.end(held.swap_remove(index));
            }
        }
        held.into_iter().for_each(|entry_id| ledger.end(entry_id));
    });
    assert_eq!((ledger.connections(), ledger.used()), (0, 0));
}

/// Prints the memory for 100,000 addresses, and the time to count a connection up and down. Run with
/// `cargo test --release --lib what_addresses_cost -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn what_addresses_cost() {
    const ADDRESSES: u32 = 100_000;
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    let (ledger, bounds) = (ledger(), Bounds { connections: 1_000, new_per_s: 1_000, ..UNBOUND });
    let one = |ledger: &Ledger, number| ledger.begin(v4(number), &bounds, false, 7).unwrap().unwrap();
    let time = |what: &str, addresses: u32| {
        let began = Instant::now();
        for number in 0..1_000_000_u32 {
            let entry_id = ledger.begin(v4(number.wrapping_mul(7919) % addresses), &UNBOUND, false, 7);
            ledger.end(entry_id.unwrap().unwrap());
        }
        println!("{what}: {} ns for each connection", began.elapsed().as_nanos() / 1_000_000);
    };
    time("one address", 1);
    time("addresses that come and go", ADDRESSES);
    let mut accounts = Vec::with_capacity(ADDRESSES as usize);
    let before = resident();
    accounts.extend((0..ADDRESSES).map(|number| one(&ledger, number)));
    let grown = resident().saturating_sub(before + ADDRESSES as usize * size_of::<EntryId>());
    println!("{ADDRESSES} addresses: {} bytes of entries, {grown} resident", ledger.bytes());
    println!("{} bytes for each address", ledger.bytes() / ADDRESSES as usize);
    time("addresses that have connections", ADDRESSES);
    accounts.into_iter().for_each(|entry_id| ledger.end(entry_id));
    assert_eq!(ledger.connections(), 0);
}
