//! Sockets of this machine, and who may publish by them.

use crate::udp::{call, compacted, counted};
use gripwire_harness::deadline::patience;
use gripwire_harness::directory::Directory;
use gripwire_harness::server::Server;
use gripwire_harness::subscriber::Subscriber;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::Command;

/// A user that is nobody's and may not publish unless it is named.
const STRANGER: u32 = 65_533;

fn server(settings: &str) -> Server {
    // A path of a socket is short, and the directory of the tests may be deep.
    let settings = format!("[ingest]\nunix_stream = \"s\"\nunix_datagram = \"d\"\n{settings}");
    Server::start("* demo,over_http", &settings)
}

fn connect(path: &Path) -> UnixStream {
    let socket = UnixStream::connect(path).unwrap();
    socket.set_read_timeout(Some(patience())).unwrap();
    socket
}

fn post(body: &[u8], connection: &str) -> Vec<u8> {
    let head = format!(
        "POST /publish/ HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn ask(path: &Path, request: &[u8]) -> String {
    let mut socket = connect(path);
    // Whoever is refused may be told before all is written.
    let _ = socket.write_all(request);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// Does `work` in a thread that is another user's; `None` if this process may not.
fn as_stranger<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    let become_stranger = || {
        let (user, group) = (STRANGER, STRANGER);
        // SAFETY: these calls take numbers only; made directly, they change the one thread that makes them.
        unsafe {
            libc::syscall(libc::SYS_setresgid, group, group, group) == 0
                && libc::syscall(libc::SYS_setresuid, user, user, user) == 0
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| become_stranger().then(work)).join().expect("the stranger does its work")
    })
}

#[test]
fn a_stream_socket_speaks_as_the_control_port_does() {
    let server = server("[control]\nbearer_token = \"secret\"\n");
    let path = server.file("s");
    // It asks for no secret: the system says who connects. The control port does ask.
    let (first, last) = (post(&call("c", "one"), "keep-alive"), post(&call("c", "two"), "close"));
    let mut stream = Subscriber::stream(&server, "c");
    let answers = ask(&path, &[first, last].concat());
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    assert_eq!(answers.matches("Published\n").count(), 2, "{answers}");
    stream.expect_chunk("one");
    stream.expect_chunk("two");
    let garbage = ask(&path, b"what is this\r\n\r\n");
    assert!(garbage.starts_with("HTTP/1.1 400 "), "{garbage}");
    let stats = ask(&path, b"GET /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(stats.contains("\"publications_total\":2,"), "{stats}");
}

#[test]
fn many_connections_to_a_stream_socket_come_and_go() {
    let server = server("");
    let path = server.file("s");
    for _ in 0..20 {
        let open: Vec<UnixStream> = (0..50).map(|_| connect(&path)).collect();
        for mut socket in open {
            socket.write_all(&post(&call("c", "x"), "keep-alive")).unwrap();
            let mut answer = [0; 15];
            socket.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
        }
    }
    let stats = server.await_empty();
    assert_eq!(stats["publications_total"], 1000);
}

#[test]
fn who_connects_while_the_server_may_open_nothing_more_is_served_when_it_may() {
    let server = server("");
    let mut stream = Subscriber::stream(&server, "c");
    let before = server.limit_files(0);
    let mut waiting = connect(&server.file("s"));
    waiting.write_all(&post(&call("c", "late"), "close")).unwrap();
    // Who is connected goes on, and so does who comes by the network.
    server.publish("c", "meanwhile");
    stream.expect_chunk("meanwhile");
    server.limit_files(before);
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("Published\n"), "{answer}");
    stream.expect_chunk("late");
}

#[test]
fn metrics_may_be_served_by_a_file() {
    let server = server("[stats]\nprometheus = \"ipc://m?mode=600\"\nprometheus_prefix = \"some_\"\n");
    let mode = std::fs::metadata(server.file("m")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let answer = ask(&server.file("m"), b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.contains("# TYPE some_message_received counter\n"), "{answer}");
}

#[test]
fn curl_publishes_by_a_stream_socket() {
    let server = server("");
    let mut stream = Subscriber::stream(&server, "c");
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--unix-socket"]).arg(server.file("s")).arg("-d");
    curl.arg(String::from_utf8(call("c", "hi")).unwrap()).arg("http://localhost/publish/");
    match curl.output() {
        Err(_) => return eprintln!("skipped: curl is missing"),
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout), "Published\n", "{output:?}"),
    }
    stream.expect_chunk("hi");
}

#[test]
fn datagrams_by_a_file_are_those_of_udp_and_none_is_lost() {
    let server = server("");
    let mut stream = Subscriber::stream(&server, "c");
    let publisher = UnixDatagram::unbound().unwrap();
    publisher.connect(server.file("d")).unwrap();
    publisher.send(&call("c", "json")).unwrap();
    stream.expect_chunk("json");
    publisher.send(b"bad").unwrap();
    publisher.send(&vec![b' '; 70_000]).unwrap();
    // Senders wait when they are too fast.
    let numbers: Vec<String> = (0..2_000).map(|number| number.to_string()).collect();
    for number in &numbers {
        publisher.send(&compacted(&call("c", &format!("{number}\n")))).unwrap();
    }
    let came: Vec<String> = stream.lines_until("1999").join("\n").lines().map(str::to_owned).collect();
    assert_eq!(came, numbers);
    let stats = server.await_stats(|stats| counted(stats) == 2_003);
    assert_eq!((stats["datagrams_total"], stats["bad_datagrams_total"]), (2_001, 2));
}

#[test]
fn a_user_that_is_not_named_is_refused() {
    let server = server("");
    let (stream, datagram) = (server.file("s"), server.file("d"));
    let refused = as_stranger(|| {
        let socket = UnixDatagram::unbound().unwrap();
        socket.send_to(&call("c", "x"), &datagram).unwrap();
        ask(&stream, &post(&call("c", "x"), "close"))
    });
    let Some(answer) = refused else { return eprintln!("skipped: only root can be another user") };
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.ends_with("User 65533 may not publish here.\n"), "{answer}");
    let stats = server.await_stats(|stats| counted(stats) == 1);
    assert_eq!((stats["bad_datagrams_total"], stats["publications_total"]), (1, 0));
}

#[test]
fn a_user_that_is_named_may_publish() {
    let server = server(&format!("unix_users = [{STRANGER}]\n"));
    let mut subscriber = Subscriber::stream(&server, "c");
    let (stream, datagram) = (server.file("s"), server.file("d"));
    let taken = as_stranger(|| ask(&stream, &post(&call("c", "one"), "close")));
    let Some(answer) = taken else { return eprintln!("skipped: only root can be another user") };
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    subscriber.expect_chunk("one");
    as_stranger(|| UnixDatagram::unbound().unwrap().send_to(&call("c", "two"), &datagram).unwrap());
    subscriber.expect_chunk("two");
}

#[test]
fn the_mode_of_a_file_keeps_others_from_connecting() {
    let server = server("unix_mode = 0o600\n");
    let path = server.file("s");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let connected = as_stranger(|| UnixStream::connect(&path).map(drop));
    let Some(connected) = connected else { return eprintln!("skipped: only root can be another user") };
    assert_eq!(connected.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
}

#[test]
fn files_go_with_the_server_and_those_left_behind_are_replaced() {
    let mut server = server("");
    let directory = Directory::new("ingest");
    let (stream, datagram) = (directory.file("s"), directory.file("d"));
    let settings =
        format!("[ingest]\nunix_stream = {:?}\nunix_datagram = {:?}\n", stream.display(), datagram.display());
    let mut killed = Server::start("* demo,over_http", &settings);
    killed.end_by(libc::SIGKILL);
    assert!(stream.exists() && datagram.exists());
    let mut after = Server::start("* demo,over_http", &settings);
    assert!(ask(&stream, &post(&call("c", "x"), "close")).starts_with("HTTP/1.1 200 "));
    assert!(after.end_by(libc::SIGTERM).success());
    assert!(!stream.exists() && !datagram.exists());
    server.end_by(libc::SIGTERM);
    assert!(!server.file("s").exists());
}
