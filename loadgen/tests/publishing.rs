//! Tests the publish calls that reach a server: their form, their order, and the schedule, which is independent of the
//! server.

use gripwire_loadgen::{Message, PublishError, PublishPlan, Publisher, Target, Transport, Via};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

fn plan(target: Target, address: SocketAddr, messages: u64) -> PublishPlan {
    PublishPlan {
        target,
        address,
        via: Via::Http,
        connections: 1,
        calls_in_flight: None,
        prefix: "c".into(),
        channels: vec![0, 1],
        mix: Transport::Stream.into(),
        size_bytes: 60,
        batch: 1,
        rate_hz: 0.0,
        messages: Some(messages),
        outlives_server: false,
        duration: None,
    }
}

/// Answers each call on each connection with `answer`, and returns the calls.
fn serve(listener: TcpListener, connections: usize, answer: &'static str) -> thread::JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let mut calls = Vec::new();
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().unwrap();
            let mut input = Vec::new();
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut part) {
                input.extend_from_slice(&part[..length]);
                while let Some(length) = call_length(&input) {
                    calls.push(String::from_utf8(input.drain(..length).collect()).unwrap());
                    stream.write_all(answer.as_bytes()).unwrap();
                }
                if answer.contains("close") {
                    break;
                }
            }
        }
        calls
    })
}

fn call_length(input: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(input).unwrap();
    let (head, _) = text.split_once("\r\n\r\n")?;
    let length: usize = head.split("Content-Length: ").nth(1)?.split("\r\n").next()?.parse().unwrap();
    (input.len() >= head.len() + 4 + length).then_some(head.len() + 4 + length)
}

fn messages(calls: &[String]) -> Vec<(u32, u32)> {
    let read = |part: &str| Message::read(part.as_bytes()).map(|message| (message.channel, message.sequence));
    let parts = calls.iter().flat_map(|call| call.split(['"', '\\', '\n']));
    parts.filter_map(read).collect()
}

const KEPT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nPublished\n";
const CLOSED: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nPublished\n";
const REFUSED: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 8\r\n\r\nno such\n";

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn channels_take_turns_and_numbers_go_on_from_run_to_run() {
    let (listener, address) = listener();
    let server = serve(listener, 1, KEPT);
    let mut publisher =
        Publisher::connect(PublishPlan { batch: 2, ..plan(Target::Gripwire, address, 5) }).unwrap();
    let first = publisher.run().unwrap();
    assert_eq!((first.messages, first.calls), (5, 3));
    let second = publisher.run().unwrap();
    assert_eq!((second.channels[&0], second.channels[&1]), (5, 5));
    drop(publisher);
    let calls = server.join().unwrap();
    assert!(calls[0].starts_with("POST /publish/ HTTP/1.1\r\n"));
    let expected: Vec<(u32, u32)> = (0..10).map(|number| (number % 2, number / 2)).collect();
    assert_eq!(messages(&calls), expected);
}

#[test]
fn a_server_that_closes_after_each_answer_gets_a_connection_for_each_call() {
    let (listener, address) = listener();
    let server = serve(listener, 3, CLOSED);
    let mut publisher = Publisher::connect(plan(Target::Pushpin, address, 3)).unwrap();
    assert_eq!(publisher.run().unwrap().messages, 3);
    assert_eq!(messages(&server.join().unwrap()), [(0, 0), (1, 0), (0, 1)]);
}

#[test]
fn nchan_is_posted_the_message_itself() {
    let (listener, address) = listener();
    let server = serve(listener, 1, KEPT);
    let mut publisher = Publisher::connect(plan(Target::Nchan, address, 2)).unwrap();
    publisher.run().unwrap();
    drop(publisher);
    let calls = server.join().unwrap();
    assert!(calls[0].starts_with("POST /pub/c0 HTTP/1.1\r\n") && calls[1].starts_with("POST /pub/c1 "));
    assert_eq!(messages(&calls), [(0, 0), (1, 0)]);
}

#[test]
fn a_refusal_is_an_error_that_says_what_the_server_said() {
    let (listener, address) = listener();
    let server = serve(listener, 1, REFUSED);
    let mut publisher = Publisher::connect(plan(Target::Gripwire, address, 1)).unwrap();
    let Err(PublishError::Refused { status, body }) = publisher.run() else { panic!("a refusal") };
    assert_eq!((status, body.as_str()), (400, "no such"));
    drop(publisher);
    server.join().unwrap();
}

#[test]
fn over_udp_each_datagram_is_a_publish_call() {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let address = server.local_addr().unwrap();
    let mut publisher =
        Publisher::connect(PublishPlan { via: Via::Udp, ..plan(Target::Gripwire, address, 2) }).unwrap();
    publisher.run().unwrap();
    for number in 0..2 {
        let mut datagram = [0; 2048];
        let length = server.recv(&mut datagram).unwrap();
        let call: serde_json::Value = serde_json::from_slice(&datagram[..length]).unwrap();
        assert_eq!(call["items"][0]["channel"], format!("c{number}"));
    }
}

#[test]
fn a_server_that_holds_calls_up_does_not_move_the_times_messages_were_due() {
    let (listener, address) = listener();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut input, mut calls, mut held) = (Vec::new(), Vec::new(), false);
        while calls.len() < 20 {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).unwrap();
            input.extend_from_slice(&part[..length]);
            while let Some(length) = call_length(&input) {
                calls.push(String::from_utf8(input.drain(..length).collect()).unwrap());
                // The first call takes as long as the whole schedule.
                if !std::mem::replace(&mut held, true) {
                    thread::sleep(Duration::from_millis(50));
                }
                stream.write_all(KEPT.as_bytes()).unwrap();
            }
        }
        calls
    });
    let plan =
        PublishPlan { rate_hz: 1000.0, calls_in_flight: Some(1), ..plan(Target::Gripwire, address, 20) };
    let published = Publisher::connect(plan).unwrap().run().unwrap();
    let due = |call: &String| {
        call.split(['"', '\\']).find_map(|part| Message::read(part.as_bytes())).expect("a message").due_ns
    };
    let times: Vec<u64> = server.join().unwrap().iter().map(due).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 1_000_000), "{times:?}");
    assert!(published.latest_ns >= 30_000_000, "it says how far behind it was: {}", published.latest_ns);
}
