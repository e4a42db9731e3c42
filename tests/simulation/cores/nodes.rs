//! Two nodes in one simulation, each a whole server with cores of its own, and a backplane between them: what is published
//! on one reaches those who listen on the other, and what is lost on the way is asked for.

use super::cluster::{Cluster, Node};
use super::deliveries::Deliveries;
use super::http::{Connection, dice, elapsed};
use super::memory::Hub;
use super::{application, publisher, with_seed};
use gripwire::config::Config;
use gripwire::runtime;
use gripwire::simulation::{self, Simulation};
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

const NODES: [Node; 2] = [Node(0), Node(1)];
const CHANNELS: usize = 3;
/// Messages that are published on each node.
const MESSAGES: usize = 150;
/// In which time a node has heard of whatever happens on the other, or asked for it.
const SOON: Duration = Duration::from_secs(3);
/// When everything has been said.
const END: Duration = Duration::from_secs(90);

/// What is done to an item that is published on the first node.
#[derive(Clone, Copy, Debug)]
enum Harm {
    IsLost,
    FindsTheOtherNodeCutOff,
}

/// Starts all nodes, and what is between them.
fn start(simulation: &Simulation, cores: usize, routes: &str) -> (Hub, Vec<Cluster>) {
    let hub = Hub::default();
    let nodes = NODES.map(|node| {
        // Not all nodes are alike.
        let cores = cores + usize::from(node.0);
        let mut ends = hub.join(cores).into_iter();
        Cluster::start_node(simulation, node, cores, Config::default(), routes, || {
            ends.next().into_iter().collect()
        })
    });
    (hub, nodes.into())
}

#[test]
fn what_is_published_on_one_node_reaches_the_others_once_and_in_order() {
    for seed in 0..10 {
        with_seed(seed, || {
            let simulation = Simulation::new(seed);
            let (hub, clusters) = start(&simulation, 1 + seed as usize % 3, application::ROUTES);
            let happened = simulation.run(async move {
                application::start();
                let opened = Rc::<Cell<usize>>::default();
                let places = NODES.iter().flat_map(|node| (0..CHANNELS).map(move |channel| (*node, channel)));
                let listen = |(node, channel)| {
                    let heard = runtime::spawn(listen(node, channel, opened.clone()));
                    (channel, heard)
                };
                let listeners: Vec<_> = places.map(listen).collect();
                while opened.get() < listeners.len() {
                    runtime::sleep(SOON).await;
                }
                let publish = |node: &Node| runtime::spawn(publish(*node));
                let publishers: Vec<_> = NODES.iter().map(publish).collect();
                let mut published = Vec::new();
                for publisher in publishers {
                    published.push(publisher.await);
                }
                for (channel, listener) in listeners {
                    let heard = listener.await;
                    for (node, published) in published.iter().enumerate() {
                        let of_node = |text: &&String| text.starts_with(&format!("{node}."));
                        let heard: Vec<&String> = heard.iter().filter(of_node).collect();
                        let expected: Vec<&String> = published[channel].iter().collect();
                        assert_eq!(heard, expected, "what node {node} published on channel {channel}");
                    }
                }
                for cluster in &clusters {
                    cluster.emptied().await;
                }
                assert_eq!(hub.leftovers(), [] as [String; 0]);
            });
            happened.expect("everyone comes to an end");
        });
    }
}

#[test]
fn what_was_lost_between_nodes_is_asked_for() {
    for harm in [Harm::IsLost, Harm::FindsTheOtherNodeCutOff] {
        let simulation = Simulation::new(7);
        let (hub, _clusters) = start(&simulation, 2, "* 127.0.0.1:8000\n");
        let happened = simulation.run(async move {
            let asked = Rc::<Cell<usize>>::default();
            start_knowing(asked.clone());
            let answer = runtime::spawn(async {
                let mut client = Connection::open(NODES[1].clients()).await.expect("a connection");
                client.send(b"GET /poll/0 HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("a request");
                let head = client.head().await.expect("an answer");
                client.body(&head).await.expect("all of it")
            });
            runtime::sleep(SOON).await;
            assert_eq!(asked.get(), 1, "the poll is held");
            match harm {
                Harm::IsLost => hub.lose_next(),
                Harm::FindsTheOtherNodeCutOff => hub.cut_off(1),
            }
            let mut connection = Connection::open(NODES[0].control()).await.expect("a connection");
            let item = [(0, "lost;".to_owned())];
            let status = publisher::call(&Deliveries::default(), &mut connection, &item).await;
            assert_eq!(status.expect("an answer"), 200);
            if let Harm::FindsTheOtherNodeCutOff = harm {
                runtime::sleep(SOON).await;
                assert_eq!(asked.get(), 1, "nothing has arrived");
                hub.let_in(1);
            }
            let since = elapsed();
            assert_eq!(String::from_utf8_lossy(&answer.await), "caught up;", "{harm:?}");
            assert!(elapsed() - since < SOON, "{harm:?}");
            assert_eq!(asked.get(), 2, "{harm:?}");
        });
        happened.expect("everyone comes to an end");
    }
}

/// Listens to a channel on `node` until nothing more has come for a while: what was heard.
async fn listen(node: Node, channel: usize, opened: Rc<Cell<usize>>) -> Vec<String> {
    let mut connection = Connection::open(node.clients()).await.expect("a connection");
    let request = format!("GET /stream/{channel}?steady HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.send(request.as_bytes()).await.expect("a request");
    let head = connection.head().await.expect("the head of a stream");
    assert_eq!(head.status, 200);
    let mut heard = String::new();
    while !heard.starts_with("welcome;") {
        heard += &String::from_utf8_lossy(&connection.chunk().await.expect("the beginning"));
    }
    opened.set(opened.get() + 1);
    loop {
        let next = async { Some(connection.chunk().await.expect("more")) };
        let silence = async {
            runtime::sleep(4 * SOON).await;
            None
        };
        assert!(elapsed() < END, "what is said does not end");
        match futures_lite::future::or(next, silence).await {
            Some(chunk) => heard += &String::from_utf8_lossy(&chunk),
            None => break,
        }
    }
    heard.split_inclusive(';').skip(1).map(str::to_owned).collect()
}

/// Publishes on `node`, one message after the other: what was published, by channel.
async fn publish(node: Node) -> Vec<Vec<String>> {
    let mut published = vec![Vec::new(); CHANNELS];
    let mut connection = Connection::open(node.control()).await.expect("a connection");
    for number in 0..MESSAGES {
        let (channel, text) = (dice(|dice| dice.below(CHANNELS)), format!("{}.{number};", node.0));
        let item = [(channel, text.clone())];
        let status = publisher::call(&Deliveries::default(), &mut connection, &item).await;
        assert_eq!(status.expect("an answer"), 200);
        published[channel].push(text);
        if dice(|dice| dice.chance(20)) {
            runtime::sleep(Duration::from_micros(dice(|dice| dice.within(1..300_000)))).await;
        }
    }
    published
}

/// Starts an application that has long polls held at first, and knows what they have missed when it is asked again.
fn start_knowing(asked: Rc<Cell<usize>>) {
    let listener = simulation::listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000));
    runtime::spawn(async move {
        loop {
            let connection = Connection::new(listener.accept().await);
            let asked = asked.clone();
            runtime::spawn(async move {
                // The server may close the connection whenever it likes.
                let _ = answer_all(connection, asked).await;
            })
            .detach();
        }
    })
    .detach();
}

async fn answer_all(mut connection: Connection, asked: Rc<Cell<usize>>) -> io::Result<()> {
    loop {
        let head = connection.head().await?;
        connection.body(&head).await?;
        asked.set(asked.get() + 1);
        let (hold, body) = match asked.get() {
            1 => ("Grip-Hold: response\r\nGrip-Channel: 0\r\nGrip-Timeout: 60\r\n", "timeout;"),
            _ => ("", "caught up;"),
        };
        let answer = format!("HTTP/1.1 200 OK\r\n{hold}Content-Length: {}\r\n\r\n{body}", body.len());
        connection.send(answer.as_bytes()).await?;
    }
}
