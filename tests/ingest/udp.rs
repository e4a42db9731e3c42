//! Datagrams by UDP.

use gripwire::proto::grip::{compact, publish};
use gripwire_harness::server::{Launch, Server, Stats};
use gripwire_harness::subscriber::Subscriber;
use serde_json::{Value, json};
use std::net::{SocketAddr, UdpSocket};

pub struct Publisher {
    socket: UdpSocket,
}

impl Publisher {
    pub fn to(address: SocketAddr) -> Publisher {
        let socket = UdpSocket::bind("127.0.0.3:0").unwrap();
        socket.connect(address).unwrap();
        Publisher { socket }
    }

    pub fn send(&self, datagram: &[u8]) {
        assert_eq!(self.socket.send(datagram).unwrap(), datagram.len());
    }
}

/// A server that receives datagrams, and where.
pub fn server(settings: &str) -> (Server, SocketAddr) {
    let server = Launch::demo().settings(settings).udp().start();
    let udp = server.udp.unwrap();
    (server, udp)
}

/// A publish call with one item for streams and WebSockets.
pub fn call(channel: &str, content: &str) -> Vec<u8> {
    let formats = json!({"http-stream": {"content": content}, "ws-message": {"content": content}});
    json!({"items": [{"channel": channel, "formats": formats}]}).to_string().into_bytes()
}

/// The same in the compact form.
pub fn compacted(call: &[u8]) -> Vec<u8> {
    compact::encode(&publish::parse(call).unwrap())
}

/// All datagrams that the server knows of.
pub fn counted(stats: &Stats) -> u64 {
    let counters = [
        "datagrams_total",
        "bad_datagrams_total",
        "dropped_datagrams_total",
        "kernel_dropped_datagrams_total",
    ];
    counters.iter().map(|counter| stats[*counter]).sum()
}

#[test]
fn both_forms_reach_streams_and_websockets() {
    let (server, udp) = server("");
    let mut stream = Subscriber::stream(&server, "c");
    let mut websocket = Subscriber::websocket(&server, "c");
    let publisher = Publisher::to(udp);
    publisher.send(&call("c", "one"));
    stream.expect_chunk("one");
    websocket.expect(b"\x81\x03one");
    publisher.send(&compacted(&call("c", "two")));
    stream.expect_chunk("two");
    websocket.expect(b"\x81\x03two");
    let stats = server.await_stats(|stats| counted(stats) == 2);
    assert_eq!((stats["datagrams_total"], stats["publications_total"]), (2, 2));
}

#[test]
fn a_datagram_with_several_items_is_taken_whole_or_not_at_all() {
    let (server, udp) = server("");
    let mut a = Subscriber::stream(&server, "a");
    let mut b = Subscriber::stream(&server, "b");
    let publisher = Publisher::to(udp);
    let item =
        |channel: &str, content: &str| json!({"channel": channel, "http-stream": {"content": content}});
    let items = |items: Value| json!({ "items": items }).to_string().into_bytes();
    publisher.send(&items(json!([item("a", "lost"), {"channel": "b"}])));
    publisher.send(&items(json!([item("a", "1"), item("b", "2")])));
    publisher.send(&compacted(&items(json!([item("b", "3"), item("a", "4")]))));
    a.expect_chunk("1");
    a.expect_chunk("4");
    b.expect_chunk("2");
    b.expect_chunk("3");
    let stats = server.await_stats(|stats| counted(stats) == 3);
    assert_eq!((stats["datagrams_total"], stats["bad_datagrams_total"]), (2, 1));
}

#[test]
fn what_one_socket_sends_stays_in_order() {
    let (server, udp) = server("");
    let mut stream = Subscriber::stream(&server, "c");
    let publisher = Publisher::to(udp);
    // No more than the smallest buffer of a socket takes, so that none is lost.
    let numbers: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    for number in &numbers {
        publisher.send(&compacted(&call("c", &format!("{number}\n"))));
    }
    assert_eq!(stream.lines_until("199"), numbers);
}

#[test]
fn bad_datagrams_are_counted_and_harm_nobody() {
    let (server, udp) = server("");
    let mut stream = Subscriber::stream(&server, "c");
    let publisher = Publisher::to(udp);
    let whole = compacted(&call("c", "whole"));
    let bad: [&[u8]; 8] =
        [b"", b"{", b"[]", b"{}", b"\xc7", b"\xc7\x02", b"\xff\xff", &whole[..whole.len() - 1]];
    bad.iter().for_each(|datagram| publisher.send(datagram));
    // As long as UDP allows, and no call.
    publisher.send(&[b'['; 65_507]);
    publisher.send(&whole);
    stream.expect_chunk("whole");
    let stats = server.await_stats(|stats| counted(stats) == 10);
    assert_eq!((stats["datagrams_total"], stats["bad_datagrams_total"]), (1, 9));
}

#[test]
fn the_longest_datagram_is_taken() {
    let (server, udp) = server("");
    let mut stream = Subscriber::stream(&server, "c");
    let content = "x".repeat(65_507 - compacted(&stream_call("c", &"x".repeat(65_000))).len() + 65_000);
    let datagram = compacted(&stream_call("c", &content));
    assert_eq!(datagram.len(), 65_507);
    Publisher::to(udp).send(&datagram);
    stream.expect_chunk(&content);
}

fn stream_call(channel: &str, content: &str) -> Vec<u8> {
    json!({"items": [{"channel": channel, "http-stream": {"content": content}}]}).to_string().into_bytes()
}

#[test]
fn every_datagram_of_a_flood_is_published_or_counted_as_lost() {
    const SENDERS: u64 = 3;
    const DATAGRAMS: u64 = 40_000;
    let (server, udp) = server("[limits]\nmesh_messages = 8\n");
    let mut stream = Subscriber::stream(&server, "end");
    let datagram = compacted(&call("flood", &"x".repeat(500)));
    let unseen = unseen_drops();
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let publisher = Publisher::to(udp);
                for number in 0..DATAGRAMS {
                    publisher.send(if number % 100 == 0 { b"bad" } else { &datagram });
                }
            });
        }
    });
    // What the machine drops before it comes to a socket, as a rule none, no socket can count.
    let settled = |stats: &Stats, sent: u64| counted(stats) + unseen_drops() - unseen >= sent;
    let stats = server.await_stats(|stats| settled(stats, SENDERS * DATAGRAMS));
    assert!(counted(&stats) <= SENDERS * DATAGRAMS, "{stats:?}");
    assert_eq!(stats["publications_total"], stats["datagrams_total"]);
    // Afterwards it is as good as new.
    Publisher::to(udp).send(&compacted(&call("end", "over")));
    stream.expect_chunk("over");
    let stats = server.await_stats(|stats| settled(stats, SENDERS * DATAGRAMS + 1));
    assert!(counted(&stats) <= SENDERS * DATAGRAMS + 1, "{stats:?}");
}

/// Packets that this machine has dropped because a CPU had too many waiting (net.core.netdev_max_backlog).
fn unseen_drops() -> u64 {
    let text = std::fs::read_to_string("/proc/net/softnet_stat").unwrap();
    let drops = text.lines().map(|line| line.split_whitespace().nth(1).unwrap());
    drops.map(|drops| u64::from_str_radix(drops, 16).unwrap()).sum()
}

#[test]
fn datagrams_publish_beside_tokens_only_what_their_scopes_say() {
    let (server, udp) =
        server("[control]\nbearer_token = \"secret\"\n[ingest]\nudp_scopes = [\"publish:news-\"]\n");
    let mut news = Subscriber::stream(&server, "news-1");
    let publisher = Publisher::to(udp);
    let other = |channel: &str| json!({"channel": channel, "http-stream": {"content": "lost"}});
    let both = json!({"items": [other("news-1"), other("other")]}).to_string().into_bytes();
    publisher.send(&call("other", "lost"));
    publisher.send(&compacted(&call("other", "lost")));
    publisher.send(&both);
    publisher.send(&compacted(&call("news-1", "told")));
    news.expect_chunk("told");
    let stats = server.await_stats(|stats| counted(stats) == 4);
    assert_eq!((stats["datagrams_total"], stats["bad_datagrams_total"]), (1, 3));
}

#[test]
fn datagrams_are_not_received_beside_tokens_without_scopes() {
    let (server, udp) = server("[control]\nbearer_token = \"secret\"\n");
    let publisher = Publisher::to(udp);
    publisher.send(&call("c", "lost"));
    let refused = publisher.socket.recv(&mut [0]).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "nobody listens there");
    assert_eq!(counted(&server.await_stats(|_| true)), 0);
}
