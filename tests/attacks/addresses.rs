//! Clients of one address that take more connections than it may have: idle ones, many at once, handshakes of TLS, and
//! connections by a proxy.

use crate::DEADLINE;
use gripwire_harness::client::Client;
use gripwire_harness::deadline::await_some;
use gripwire_harness::innocent::Innocent;
use gripwire_harness::request::{Request, get};
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::socket::patient;
use gripwire_harness::tls::{self, EXACT};
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// More than there are slots.
const FLOOD: usize = 600;

/// What all these servers have: channels of innocents are soon forgotten.
const SETTINGS: &str = "[channels]\nlinger_ms = 100\n[http]\nhead_timeout_ms = 60000";

fn launch(settings: &str) -> Launch {
    Launch::route(Innocent::ROUTE).settings(SETTINGS).settings(settings)
}

/// A request that an innocent's route answers at once.
fn question() -> Request {
    get("/").host("innocent.test")
}

fn connect_from(host: u8, address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    patient(socket.into())
}

/// Whether the server has ended the connection, now.
fn is_over(mut client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    let outcome = client.read(&mut [0]);
    client.set_nonblocking(false).unwrap();
    !outcome.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Whether a client from there is answered, with the connection that it asked on.
fn answered(client: TcpStream) -> Option<Client> {
    let mut asking = &client;
    asking.write_all(&question().bytes()).ok()?;
    let mut first = [0];
    client.peek(&mut first).ok().filter(|count| *count == 1)?;
    let mut client = Client::over(client);
    assert_eq!(client.response().code, 200);
    Some(client)
}

/// Waits until a client from there is answered.
fn await_answer(host: u8, server: &Server) -> Client {
    await_some("the address may connect again", || answered(connect_from(host, server.clients)))
}

#[test]
fn idle_connections_of_one_address_leave_half_of_the_slots_to_others() {
    let server = launch("[limits]\nconnections_per_core = 500\nexempt = []")
        .cores(1)
        .options(&["--log", "warn"])
        .start();
    let innocent = Innocent::beside(&server);
    let flood: Vec<TcpStream> = (0..FLOOD).map(|_| connect_from(2, server.clients)).collect();
    let refused = (FLOOD - 250) as u64;
    server.await_stats(|stats| stats["refused_connections_total"] >= refused);
    await_some("those beyond the limit are over", || {
        (flood.iter().filter(|client| is_over(client)).count() as u64 >= refused).then_some(())
    });
    assert_eq!(server.stats()["refused_connections_total"], refused, "and no other");
    assert!(flood.iter().filter(|client| !is_over(client)).count() == 250);
    let end = connect_from(2, server.clients).read(&mut [0]).unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
    server.log().await_next("limits.connections_per_address");
    innocent.expect_unharmed(DEADLINE);
    drop(flood);
    drop(await_answer(2, &server));
    server.await_empty();
}

#[test]
fn clients_that_have_all_their_slots_leave_some_to_operators_and_the_other_way_round() {
    let server = launch("[limits]\nconnections_per_core = 100").cores(1).start();
    let flood: Vec<TcpStream> = (0..FLOOD).map(|_| connect_from(2, server.clients)).collect();
    let taken = server.await_stats(|stats| stats["connections"] > 100);
    assert!(taken["connections"] <= 100 + 32, "{taken:?}");
    assert_eq!(taken["refused_connections_total"], 0, "loopback is exempt");
    for _ in 0..100 {
        server.publish("nobody", "hello");
    }
    drop(flood);
    let publishers: Vec<TcpStream> = (0..FLOOD).map(|_| connect_from(3, server.control)).collect();
    let mut client = await_answer(2, &server);
    for _ in 0..20 {
        assert_eq!(client.send(question().bytes()).response().code, 200);
        assert_eq!(Client::connect(server.clients).send(question().bytes()).response().code, 200);
    }
    drop((publishers, client));
    server.await_empty();
}

#[test]
fn a_burst_of_connections_beyond_the_rate_of_an_address_is_reset_and_the_next_second_is_new() {
    let settings = "[limits]\nnew_connections_per_address_per_s = 20\nexempt = [\"127.0.0.1\"]";
    let server = launch(settings).start();
    let innocent = Innocent::beside(&server);
    let began = Instant::now();
    let burst: Vec<TcpStream> = (0..400).map(|_| connect_from(2, server.clients)).collect();
    let answers = burst.into_iter().filter_map(answered).count();
    // Both the first and the last second may have begun before.
    let seconds = began.elapsed().as_secs() as usize + 2;
    assert!((20..=20 * seconds).contains(&answers), "{answers} in {seconds} s");
    server.await_stats(|stats| stats["refused_new_connections_total"] >= (400 - answers) as u64);
    drop(await_answer(2, &server));
    innocent.expect_unharmed(DEADLINE);
    server.await_empty();
}

#[test]
fn handshakes_of_one_address_beyond_its_rate_are_not_begun() {
    let settings = "[limits]\nhandshakes_per_address_per_s = 5\nexempt = [\"127.0.0.1\"]";
    let server = launch(settings).tls().start();
    let innocent = Innocent::beside(&server);
    let shake = || tls::handshake_over(connect_from(2, server.tls.unwrap()), EXACT, tls::config());
    let began = Instant::now();
    let flood: Vec<_> = (0..100).map(|_| shake()).collect();
    let done = flood.iter().filter(|outcome| outcome.is_ok()).count();
    let seconds = began.elapsed().as_secs() as usize + 2;
    assert!((5..=5 * seconds).contains(&done), "{done} in {seconds} s");
    let stats = server.await_stats(|stats| stats["refused_handshakes_total"] >= 100 - done as u64);
    assert_eq!(stats["tls_failures_total"], 0, "no session was made for those that were refused");
    // Others, and the same address without TLS, are not concerned.
    tls::handshake(server.tls.unwrap(), EXACT).expect("a handshake of another address");
    assert!(answered(connect_from(2, server.clients)).is_some());
    await_some("the address may begin handshakes again", || shake().ok());
    innocent.expect_unharmed(DEADLINE);
    drop(flood);
    server.await_empty();
}

/// A connection from `proxy`, which says that it relays one of `client`.
fn relayed(proxy: u8, client: &str, server: &Server) -> TcpStream {
    let mut socket = connect_from(proxy, server.tls.unwrap());
    // A proxy that is not believed may have been closed already.
    let _ = socket.write_all(format!("PROXY TCP4 {client} 192.0.2.99 4711 443\r\n").as_bytes());
    socket
}

#[test]
fn clients_by_a_proxy_are_counted_by_their_own_addresses() {
    let settings = "proxy_protocol = [\"TLS\"]\ntrusted_proxies = [\"127.0.0.9\"]\n\
                    [limits]\nconnections_per_address = 10\nexempt = [\"127.0.0.1\", \"trusted_proxies\"]";
    let server = launch(settings).tls().start();
    let innocent = Innocent::beside(&server);
    let shake =
        |proxy, client: &str| tls::handshake_over(relayed(proxy, client, &server), EXACT, tls::config());
    // Whoever is not believed uses up nothing of those it names.
    let forged: Vec<TcpStream> = (0..50).map(|_| relayed(8, "192.0.2.1", &server)).collect();
    server.await_stats(|stats| stats["untrusted_proxies_total"] + stats["refused_connections_total"] >= 50);
    let before = server.stats()["refused_connections_total"];
    let greedy: Vec<_> = (0..40).map(|_| shake(9, "192.0.2.1")).collect();
    assert_eq!(greedy.iter().filter(|outcome| outcome.is_ok()).count(), 10);
    server.await_stats(|stats| stats["refused_connections_total"] >= before + 30);
    let others: Vec<_> = (2..30).map(|client| shake(9, &format!("192.0.2.{client}"))).collect();
    assert!(others.iter().all(Result::is_ok), "one proxy has many clients");
    innocent.expect_unharmed(DEADLINE);
    drop((forged, greedy, others));
    server.await_empty();
    let again: Vec<_> = (0..10).map(|_| shake(9, "192.0.2.1")).collect();
    assert!(again.iter().all(Result::is_ok), "the address may connect again");
}

#[test]
fn limits_that_change_while_the_server_runs_concern_whoever_connects_from_then_on() {
    let text = |connections: usize| {
        format!(
            "cores = 2\nhttp.listen = \"CLIENTS\"\ncontrol.listen = \"CONTROL\"\nproxy.routes = [\"* demo\"]\n\
             [limits]\nexempt = [\"127.0.0.1\"]\nconnections_per_address = {connections}\n"
        )
    };
    let server = Launch::configured("--config", "gripwire.toml").file("gripwire.toml", &text(5)).start();
    let connect = || connect_from(2, server.clients);
    let mut held: Vec<Client> = (0..5).map(|_| answered(connect()).expect("within the limit")).collect();
    assert!(answered(connect()).is_none());
    server.rewrite("gripwire.toml", &text(8));
    (0..3).for_each(|_| held.push(await_answer(2, &server)));
    assert!(answered(connect()).is_none(), "those from before are still counted");
    server.rewrite("gripwire.toml", &text(0));
    (0..20).for_each(|_| held.push(await_answer(2, &server)));
    for client in &mut held {
        assert_eq!(client.send(question().bytes()).response().code, 200, "nobody was closed");
    }
    drop(held);
    server.await_empty();
}
