//! Sockets of ZeroMQ: nothing that a server has received is lost, however fast it comes, and two servers do not take
//! each other's sockets.

use gripwire_harness::deadline::patience;
use gripwire_harness::directory::Directory;
use gripwire_harness::parting::Parting;
use gripwire_harness::port::Port;
use gripwire_harness::process::Process;
use gripwire_harness::server::{Server, gripwire};
use gripwire_harness::subscriber::Subscriber;
use gripwire_harness::zeromq;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use zmq::{Context, SNDMORE, Socket, SocketType};

fn server(settings: &str) -> Server {
    let settings = format!("[zeromq]\npull = \"ipc://pull\"\nsub = [\"ipc://sub\"]\n{settings}");
    Server::start("* demo,over_http", &settings)
}

fn connect(server: &Server, kind: SocketType, name: &str) -> Socket {
    zeromq::connect(&format!("ipc://{}", server.file(name).display()), kind)
}

fn item(channel: &str, content: &str) -> Vec<u8> {
    format!("J{}", json!({"channel": channel, "http-stream": {"content": content}})).into_bytes()
}

#[test]
fn a_flood_of_pushed_items_waits_for_the_server_and_none_is_lost() {
    // A home that has no room takes nothing, and a mesh this narrow fills at once.
    let server = server("[limits]\nmesh_messages = 64\n");
    let mut streams: Vec<Subscriber> =
        (0..4).map(|number| Subscriber::stream(&server, &format!("c{number}"))).collect();
    let numbers: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    let push = connect(&server, SocketType::PUSH, "pull");
    for (place, number) in numbers.iter().enumerate() {
        push.send(item(&format!("c{}", place % 4), &format!("{number}\n")), 0).unwrap();
    }
    for (place, stream) in streams.iter_mut().enumerate() {
        let wanted: Vec<&String> = numbers.iter().skip(place).step_by(4).collect();
        let came = stream.lines_until(wanted[wanted.len() - 1]).join("\n");
        assert_eq!(came.lines().collect::<Vec<_>>(), wanted);
    }
    let stats = server.await_stats(|stats| stats["zeromq_messages_total"] == 20_000);
    assert_eq!((stats["bad_zeromq_messages_total"], stats["publications_total"]), (0, 20_000));
}

#[test]
fn messages_that_cannot_be_published_are_counted() {
    let server = server("[control]\nbody_bytes = 1000\n");
    let mut stream = Subscriber::stream(&server, "c");
    let push = connect(&server, SocketType::PUSH, "pull");
    push.send("garbage", 0).unwrap();
    push.send("", 0).unwrap();
    (0..100).for_each(|_| push.send("part", SNDMORE).unwrap());
    push.send(item("c", "one of many parts"), 0).unwrap();
    push.send(item("c", "good"), 0).unwrap();
    stream.expect_chunk("good");
    let stats = server.await_stats(|stats| stats["bad_zeromq_messages_total"] == 3);
    assert_eq!(stats["zeromq_messages_total"], 1);
    // One that is too long ends its connection, and libzmq makes another.
    push.send(item("c", &"x".repeat(1000)), 0).unwrap();
    let other = connect(&server, SocketType::PUSH, "pull");
    other.send(item("c", "after"), 0).unwrap();
    stream.expect_chunk("after");
}

#[test]
fn publishers_hear_of_channels_as_they_come_and_go() {
    let server = server("[channels]\nlinger_ms = 100\n");
    let publisher = connect(&server, SocketType::XPUB, "sub");
    let told = || publisher.recv_bytes(0).unwrap();
    let streams: Vec<Subscriber> = (0..2).map(|_| Subscriber::stream(&server, "c")).collect();
    assert_eq!(told(), b"\x01c");
    drop(streams);
    assert_eq!(told(), b"\x00c");
    let _again = Subscriber::stream(&server, "c");
    assert_eq!(told(), b"\x01c");
    // One that comes later hears of what is there already.
    let late = connect(&server, SocketType::XPUB, "sub");
    assert_eq!(late.recv_bytes(0).unwrap(), b"\x01c");
}

#[test]
fn the_server_connects_to_publishers_if_it_is_told_to() {
    let context = Context::new();
    let publishers: Vec<(Socket, String)> = (0..2)
        .map(|_| {
            let socket = context.socket(SocketType::XPUB).unwrap();
            socket.set_rcvtimeo(patience().as_millis() as i32).unwrap();
            socket.bind("tcp://127.0.0.1:*").unwrap();
            let endpoint = socket.get_last_endpoint().unwrap().unwrap();
            (socket, endpoint)
        })
        .collect();
    let endpoints: Vec<&String> = publishers.iter().map(|(_, endpoint)| endpoint).collect();
    let settings = format!("[zeromq]\nsub = {endpoints:?}\nsub_connect = true\n");
    let server = Server::start("* demo,over_http", &settings);
    let mut stream = Subscriber::stream(&server, "c");
    for (socket, endpoint) in &publishers {
        assert_eq!(socket.recv_bytes(0).unwrap(), b"\x01c");
        socket.send("c", SNDMORE).unwrap();
        socket.send(item("ignored", endpoint), 0).unwrap();
        stream.expect_chunk(endpoint);
    }
}

#[test]
fn a_message_is_published_from_the_command_line() {
    let server = server("");
    let mut stream = Subscriber::stream(&server, "news");
    let spec = format!("ipc://{}", server.file("pull").display());
    let publish = |spec: &str| gripwire().args(["publish", "--spec", spec, "news", "hi"]).output().unwrap();
    let output = publish(&spec);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"Sent\n"[..]), "{output:?}");
    stream.expect_chunk("hi\n");
    let output = publish("ipc:///nowhere/pull");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("gripwire: cannot publish to ipc:///nowhere/pull; check that"), "{said}");
}

#[test]
fn a_socket_that_another_server_has_ends_the_start_with_what_to_change() {
    let first = server("ipc_mode = 0o600\n");
    let file = first.file("pull");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let config = first.file("second.toml");
    let settings =
        format!("control.listen = false\ningest.udp = false\nzeromq.pull = \"ipc://{}\"\n", file.display());
    let port = Port::claim();
    std::fs::write(&config, format!("http.listen = \"{}\"\n{settings}", port.address())).unwrap();
    let output = gripwire().args(["serve", "--demo", "--config"]).arg(&config).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("another process serves this Unix socket") && said.contains("`zeromq.pull`"),
        "{said}"
    );
    // The first one still has it.
    let mut stream = Subscriber::stream(&first, "c");
    connect(&first, SocketType::PUSH, "pull").send(item("c", "x"), 0).unwrap();
    stream.expect_chunk("x");
}

#[test]
fn files_of_sockets_go_with_the_server() {
    let mut server = server("");
    let file = server.file("pull");
    assert!(file.exists());
    assert!(server.end_by(libc::SIGTERM).success());
    assert!(!file.exists());
}

#[test]
fn a_connection_that_the_stats_socket_tells_of_is_known_to_the_command_socket() {
    let command = "command = \"ipc://command\"\n[stats]\nsocket = \"ipc://stats\"\nformat = \"json\"\n";
    let server = server(&format!("{command}connection_ttl_s = 1\n"));
    let stats = connect(&server, SocketType::SUB, "stats");
    stats.set_subscribe(b"conn ").unwrap();
    let stream = Subscriber::stream(&server, "c");
    // What was said before the socket had heard of this listener is said again before it expires.
    let next = || {
        let message = stats.recv_string(0).unwrap().unwrap();
        let said: serde_json::Value = serde_json::from_str(message.strip_prefix("conn J").unwrap()).unwrap();
        assert!(said["from"].as_str().unwrap().starts_with("gripwire_"), "{said}");
        said
    };
    let conn = next();
    let expected = json!({"from": conn["from"], "id": conn["id"], "type": "http", "peer-address": "127.0.0.1", "ttl": 1});
    assert_eq!(conn, expected);
    let id = conn["id"].as_str().unwrap().to_owned();
    let asking = connect(&server, SocketType::REQ, "command");
    let is_known = || {
        let list = format!("{}:{id},", id.len());
        let ids = format!("3:ids,{}:{list}]", list.len());
        let call = format!("6:method,9:conncheck,4:args,{}:{ids}}}", ids.len());
        asking.send(&format!("{}:{call}}}", call.len()), 0).unwrap();
        let answer = asking.recv_string(0).unwrap().unwrap();
        assert!(answer.contains("7:success,4:true!"), "{answer}");
        answer.contains(&id)
    };
    assert!(is_known());
    drop(stream);
    while next() != json!({"from": conn["from"], "id": id, "unavailable": true}) {}
    assert!(!is_known());
}

#[test]
fn pushpins_configuration_opens_the_sockets_that_it_names() {
    let (directory, port) = (Directory::new("pushpin"), Port::claim());
    let file = |name: &str| directory.file(name);
    let text = format!(
        "[global]\nrundir={}\nipc_prefix=p-\n[runner]\nhttp_port={}\n[proxy]\nroutesfile=routes\n[handler]\n\
         push_in_spec=ipc://{{rundir}}/{{ipc_prefix}}pull\ncommand_spec=ipc://{{rundir}}/{{ipc_prefix}}command\n\
         stats_spec=ipc://{{rundir}}/{{ipc_prefix}}stats\nipc_file_mode=600\n",
        file("run").display(),
        port.address()
    );
    directory.write("pushpin.conf", &text);
    directory.write("routes", "* test\n");
    let mut command = gripwire();
    command.args(["serve", "--pushpin-conf"]).arg(file("pushpin.conf"));
    let _server = Process::start(&command, Parting::Kill, &file("log")).unwrap();
    // It is tried until somebody is there.
    let asking = zeromq::connect(&format!("ipc://{}", file("run/p-command").display()), SocketType::REQ);
    asking.send("25:6:method,12:get-zmq-uris,}", 0).unwrap();
    let answer = asking.recv_string(0).unwrap().unwrap();
    let stats_file = std::fs::metadata(file("run/p-stats"));
    assert!(answer.contains(&format!("ipc://{}", file("run/p-pull").display())), "{answer}");
    assert_eq!(stats_file.unwrap().permissions().mode() & 0o777, 0o600);
}
