//! The properties of a simulated world that cores rely on.

use super::*;
use crate::runtime::{self, now, sleep, spawn};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 80);

#[test]
fn an_hour_is_over_at_once_and_the_clock_has_gone_on_by_it() {
    let simulation = Simulation::new(1);
    let begun = now();
    simulation.run(sleep(Duration::from_secs(3600))).expect("the timer fires");
    assert_eq!(now().duration_since(begun).as_secs(), 3600);
}

#[test]
fn a_task_begins_when_it_is_started_and_ends_when_it_is_dropped() {
    let simulation = Simulation::new(1);
    let steps = Rc::new(Cell::new(0));
    let counted = steps.clone();
    let ran = simulation.run(async move {
        let task = spawn(async move {
            counted.set(1);
            runtime::yield_now().await;
            counted.set(2);
        });
        assert_eq!(steps.get(), 1);
        drop(task);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(steps.get(), 1);
        assert_eq!(spawn(async { 7 }).await, 7);
    });
    ran.expect("the test runs to its end");
}

#[test]
fn a_paused_host_does_nothing_while_others_go_on() {
    let simulation = Simulation::new(1);
    let done_at = Rc::new(Cell::new(Duration::ZERO));
    let (done, world) = (done_at.clone(), simulation.world().clone());
    let work = async move {
        sleep(Duration::from_millis(10)).await;
        done.set(world.elapsed());
    };
    simulation.world().spawn_on(Host(0), work).detach();
    simulation.pause(Host(0), Duration::from_secs(2));
    simulation.run(sleep(Duration::from_secs(1))).expect("other hosts go on");
    assert_eq!(done_at.get(), Duration::ZERO);
    simulation.run(sleep(Duration::from_secs(2))).expect("other hosts go on");
    assert!(done_at.get() >= Duration::from_secs(2));
}

#[test]
fn a_world_in_which_nothing_can_happen_is_stuck() {
    let simulation = Simulation::new(1);
    assert!(simulation.run(std::future::pending::<()>()).is_err());
}

#[test]
fn bytes_arrive_in_order_then_the_end_and_a_reset_breaks_both_ways() {
    for seed in 0..50 {
        let simulation = Simulation::new(seed);
        let ran = simulation.run(async {
            let listener = listen(ADDRESS);
            let sent: Vec<u8> = (0..3000u32).map(|number| number as u8).collect();
            let (mut client, mut server) = (connect(ADDRESS).await.expect("a port"), listener.accept().await);
            let expected = sent.clone();
            let writes = spawn(async move {
                client.write_all(&sent).await.expect("somebody reads");
                client
            });
            let mut received = vec![0; expected.len()];
            server.read_exact(&mut received).await.expect("everything");
            assert_eq!(received, expected);
            let client = writes.await;
            client.shut_down();
            assert_eq!(server.read(&mut received).await.expect("the end"), 0);
            client.reset();
            while server.write(b"x").await.is_ok() {}
            assert!(connect("127.0.0.1:81".parse().expect("an address")).await.is_err());
        });
        ran.expect("the test runs to its end");
    }
}

#[test]
fn what_is_closed_unread_is_reset_and_who_vanishes_is_missed_late() {
    let simulation = Simulation::new(3);
    let ran = simulation.run(async {
        let listener = listen(ADDRESS);
        let mut client = connect(ADDRESS).await.expect("a port");
        client.write_all(b"hello").await.expect("room");
        sleep(Duration::from_secs(1)).await;
        drop(listener.accept().await);
        let error = client.read(&mut [0; 8]).await.expect_err("a reset");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

        let (client, begun) = (connect(ADDRESS).await.expect("a port"), now());
        let mut server = listener.accept().await;
        client.vanish();
        let error = server.read(&mut [0; 8]).await.expect_err("silence");
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert!(now().duration_since(begun) >= Duration::from_secs(100));
    });
    ran.expect("the test runs to its end");
}
