//! The commands `gripwire check`, `gripwire publish` and `gripwire doctor`, as operators use them: the exact problems with
//! their lines, the exit codes, and the request that a publish makes. The tests run the real binary.

use gripwire_harness::directory::Directory;
use gripwire_harness::origin::Origin;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::JoinHandle;

fn gripwire(directory: &Path, arguments: &[&str]) -> Output {
    gripwire_harness::server::gripwire().current_dir(directory).args(arguments).output().unwrap()
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_good_configuration_is_found_and_its_routes_are_counted() {
    let directory = Directory::new("command-line")
        .with("gripwire.toml", "cores = 2\n[proxy]\nroutes_file = \"routes\"\n")
        .with("routes", "# applications\n* localhost:8000\nchat.example,path_beg=/x localhost:8001\n");
    for arguments in [&["check"][..], &["check", "--config", "gripwire.toml"]] {
        let output = gripwire(directory.path(), arguments);
        assert_eq!(told(&output), (Some(0), "OK: 2 routes\n".into(), String::new()));
    }
    let output = gripwire(directory.path(), &["check", "--route", "* test"]);
    assert_eq!(told(&output), (Some(0), "OK: 1 route\n".into(), String::new()));
}

#[test]
fn every_mistake_of_a_configuration_is_told_with_its_line() {
    let text = "cores = 2\n\n[http]\nlisen = 80\n[control]\nlisten = \"0.0.0.0:5561\"\n[log]\nrequests = 1\n";
    let directory = Directory::new("command-line").with("bad.toml", text);
    let (code, out, err) = told(&gripwire(directory.path(), &["check", "--config", "bad.toml"]));
    assert_eq!((code, err.as_str()), (Some(1), ""));
    assert_eq!(
        out,
        "bad.toml:4: unknown key `http.lisen` (did you mean `http.listen`?)\n\
         bad.toml:6: the control port 0.0.0.0:5561 would let anyone who reaches it publish: set `tokens`, \
         `bearer_token` or `basic_password` in [control], or listen on 127.0.0.1\n\
         bad.toml:8: `log.requests` must be true or false\n"
    );
}

#[test]
fn tokens_come_from_a_file_and_a_bad_line_of_it_is_told() {
    let text = "[control]\nlisten = \"0.0.0.0:5561\"\ntokens_file = \"tokens\"\n[ingest]\nudp = false\n[proxy]\nroutes = [\"* test\"]\n";
    let directory =
        Directory::new("command-line").with("g.toml", text).with("tokens", "# who\ninspect one\nread two\n");
    let check = || told(&gripwire(directory.path(), &["check", "--config", "g.toml"]));
    let problem = "tokens:3: unknown scope `read`: write `publish`, `publish:PREFIX`, `inspect` or `admin`\n";
    assert_eq!(check(), (Some(1), problem.into(), String::new()));
    std::fs::write(directory.file("tokens"), "").unwrap();
    assert_eq!(check(), (Some(1), "tokens:1: the file has no token\n".into(), String::new()));
    std::fs::write(directory.file("tokens"), "publish:a-,inspect one\n").unwrap();
    assert_eq!(check(), (Some(0), "OK: 1 route\n".into(), String::new()));
}

#[test]
fn bad_routes_are_errors_and_properties_without_effect_are_warnings() {
    let directory = Directory::new("command-line")
        .with("g.toml", "proxy.routes_file = \"routes\"\n")
        .with("routes", "* localhost:8000\nh localhost\nq,session localhost:1\n");
    let (code, out, err) = told(&gripwire(directory.path(), &["check", "--config", "g.toml"]));
    assert_eq!(code, Some(1));
    assert!(out.starts_with("routes:2: ") && out.lines().count() == 1, "{out}");
    assert!(err.starts_with("routes:3: ") && err.lines().count() == 1, "{err}");
}

#[test]
fn the_configuration_that_pushpin_ships_is_taken_as_it_is() {
    let directory =
        Directory::new("command-line").with("pushpin.conf", PUSHPIN_CONF).with("routes", "* test\n");
    let (code, out, err) = told(&gripwire(directory.path(), &["check", "--pushpin-conf", "pushpin.conf"]));
    assert_eq!((code, out.as_str()), (Some(0), "OK: 1 route\n"));
    assert_eq!(
        err,
        "pushpin.conf:9: `services` has no effect: Gripwire is one process and starts no other\n"
    );
}

#[test]
fn what_is_missing_is_explained() {
    let directory = Directory::new("command-line");
    let (code, out, _) = told(&gripwire(directory.path(), &["check", "--config", "none.toml"]));
    assert_eq!(code, Some(1));
    assert!(out.starts_with("cannot read the configuration none.toml: No such file"), "{out}");
    let directory = directory.with("empty.toml", "");
    let (code, _, err) = told(&gripwire(directory.path(), &["serve", "--config", "empty.toml"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("--route") && err.contains("--demo"), "{err}");
    let wide = ["serve", "--config", "empty.toml", "--demo", "--control", "0.0.0.0:5561"];
    let (code, _, err) = told(&gripwire(directory.path(), &wide));
    assert_eq!(code, Some(1));
    assert!(err.contains("would let anyone who reaches it publish"), "{err}");
    assert_eq!(gripwire(directory.path(), &["serve", "--cores", "0"]).status.code(), Some(2));
}

#[test]
fn a_message_is_published_to_the_control_port() {
    let (spec, served) = control_port("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nPublished\n");
    let directory = Directory::new("command-line").with("story", "once");
    let arguments = ["publish", "--spec", &spec, "news", "@story", "--id", "2", "-u", "me:secret"];
    let output = gripwire(directory.path(), &arguments);
    assert_eq!(told(&output), (Some(0), "Published\n".into(), String::new()));
    let (head, body) = served.join().unwrap();
    assert!(head.starts_with("POST /base/publish/ HTTP/1.1\r\n"), "{head}");
    assert!(head.lines().any(|line| field(line, "authorization") == Some("Basic bWU6c2VjcmV0")), "{head}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let item = &body["items"][0];
    assert_eq!((&item["channel"], &item["id"]), (&"news".into(), &"2".into()));
    assert_eq!(item["formats"]["http-stream"]["content"], "once\n");
    assert_eq!(item["formats"]["ws-message"]["content"], "once");
}

#[test]
fn a_refusal_tells_what_the_server_said_and_what_to_change() {
    let (spec, served) = control_port("HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\nNo token\n");
    let (code, out, err) = told(&gripwire(Path::new("."), &["publish", "--spec", &spec, "news", "hi"]));
    served.join().unwrap();
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(
        err,
        format!(
            "gripwire: {spec}/publish/ refused the message with 401: No token; give --user or --bearer, or put \
             `iss` and `key` into GRIP_URL\n"
        )
    );
}

#[test]
fn a_server_that_gives_no_receipt_is_named() {
    let (spec, served) = control_port("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nPublished\n");
    let arguments = ["publish", "--spec", &spec, "news", "hi", "--receipt", "--wait-ms", "100"];
    let (code, out, err) = told(&gripwire(Path::new("."), &arguments));
    let (head, _) = served.join().unwrap();
    assert!(head.starts_with("POST /base/publish/?receipt=true&wait_ms=100 HTTP/1.1\r\n"), "{head}");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("accepted the message but gave no receipt"), "{err}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let nobody = Origin::refusing();
    let free = nobody.address();
    let spec = format!("http://{free}");
    let (code, _, err) = told(&gripwire(Path::new("."), &["publish", "--spec", &spec, "news", "hi"]));
    assert_eq!(code, Some(1));
    assert!(err.starts_with(&format!("gripwire: cannot publish to {spec}/publish/")), "{err}");
    assert!(err.contains("refused"), "{err}");
}

#[test]
fn a_limit_that_is_too_low_for_the_connections_is_a_problem() {
    // A limit may be lowered without being root: of this shell, and of the doctor that it starts.
    let shell = |arguments: &str| {
        let script = format!("ulimit -n 2000 && exec {} doctor {arguments}", env!("CARGO_BIN_EXE_gripwire"));
        told(&Command::new("sh").args(["-c", &script]).output().unwrap())
    };
    let (code, out, err) = shell("--connections 50000 --cores 4");
    assert_eq!((code, err.as_str()), (Some(1), ""));
    let first: Vec<&str> = out.lines().take(4).collect();
    assert_eq!(
        first[..2],
        ["problem  RLIMIT_NOFILE: 2,000 files", "         wanted: 14,062 or more"],
        "{out}"
    );
    assert!(first[2].contains("4 cores of 2,000 hold at most 8,000 connections"), "{out}");
    assert!(first[3].contains("LimitNOFILE=1048576"), "{out}");
    assert!(out.contains("\n50,000 connections on 4 cores: "), "{out}");

    let (_, out, _) = shell("--connections 500 --cores 1 --json");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    let files =
        report["findings"].as_array().unwrap().iter().find(|it| it["subject"] == "RLIMIT_NOFILE").unwrap();
    assert_eq!((&files["level"], &files["found"]), (&"ok".into(), &"2,000 files".into()));
}

#[test]
fn settings_that_contradict_each_other_are_named_by_check_and_by_doctor() {
    let directory = Directory::new("command-line");
    let settings =
        "[proxy]\nroutes = [\"* test\"]\n[limits]\nbacklog_bytes = 5000\nbacklog_bytes_per_core = 1000\n";
    std::fs::write(directory.file("gripwire.toml"), settings).unwrap();
    let (code, out, err) = told(&gripwire(directory.path(), &["check"]));
    assert_eq!((code, out.as_str()), (Some(0), "OK: 1 route\n"));
    assert!(
        err.contains("limits.backlog_bytes: 5,000 bytes: limits.backlog_bytes_per_core limits all"),
        "{err}"
    );
    let (_, out, _) = told(&gripwire(directory.path(), &["doctor", "--connections", "1"]));
    assert!(out.contains("\nadvice   limits.backlog_bytes: 5,000 bytes\n"), "{out}");
}

#[test]
fn a_machine_that_is_not_there_is_no_machine() {
    let directory = Directory::new("command-line");
    let (code, out, err) = told(&gripwire(directory.path(), &["doctor", "--root", "."]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("gripwire: . has no proc/sys: give --root "), "{err}");
}

/// Takes one request and answers it; gives its head and its body.
fn control_port(answer: &'static str) -> (String, JoinHandle<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let spec = format!("http://{}/base", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the request ended early");
        }
        let length = head.lines().find_map(|line| field(line, "content-length")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        (head, String::from_utf8(body).unwrap())
    });
    (spec, served)
}

/// The value of a header line, if it has this name.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (given, value) = line.split_once(':')?;
    given.eq_ignore_ascii_case(name).then_some(value.trim())
}

/// One key of each kind, in the words and the layout of the file that Debian ships.
const PUSHPIN_CONF: &str = "\
[global]
include={libdir}/internal.conf

# directory to save runtime files
rundir=/var/run/pushpin

[runner]
# services to start
services=condure,pushpin-proxy,pushpin-handler

# plain HTTP port to listen on for client connections
http_port=7999

# list of HTTPS ports to listen on for client connections (you must have certs set)
#https_ports=443

# maximum number of client connections
client_maxconn=50000

[proxy]
# routes config file (path relative to location of this file)
routesfile=routes
set_x_forwarded_protocol=proto-only
x_forwarded_for=
sig_key=changeme

[handler]
# bind PULL for receiving publish commands
push_in_spec=tcp://127.0.0.1:5560
push_in_http_addr=127.0.0.1
push_in_http_port=5561
connection_subscription_max=20
";

#[test]
fn what_trust_leaves_without_effect_is_told() {
    let directory = Directory::new("command-line").with(
        "gripwire.toml",
        "http.proxy_protocol = true\n[control]\nbearer_token = \"s\"\n[proxy]\nroutes = [\"* test\"]\n",
    );
    let (code, out, warnings) = told(&gripwire(directory.path(), &["check"]));
    assert_eq!((code, out.as_str()), (Some(0), "OK: 1 route\n"));
    let lines: Vec<_> = warnings.lines().collect();
    assert!(
        lines[0].starts_with("UDP on 127.0.0.1:5565 is off") && lines[0].contains("udp_scopes"),
        "{warnings}"
    );
    assert!(lines[1].contains("http.trusted_proxies") && lines.len() == 2, "{warnings}");
}

#[test]
fn certificates_that_are_missing_or_unusable_are_named_with_what_to_do() {
    let directory = Directory::new("command-line")
        .with("gripwire.toml", "http.tls_listen = 8443\nproxy.routes = [\"* test\"]\n")
        .with("pushpin.conf", "[runner]\nhttps_ports=8443\n[proxy]\nroutesfile=routes\n")
        .with("routes", "* test\n");
    let (code, out, _) = told(&gripwire(directory.path(), &["check"]));
    assert_eq!(code, Some(1), "{out}");
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("certs: ") && lines[1].contains("put default_8443.crt"), "{out}");
    let (code, _, error) = told(&gripwire(directory.path(), &["serve", "--udp", "false"]));
    assert!(code == Some(1) && error.contains("put default_8443.crt"), "{error}");
    std::fs::create_dir_all(directory.file("runner/certs")).unwrap();
    let directory = directory.with("runner/certs/a.test.crt", "nothing");
    let (code, out, _) = told(&gripwire(directory.path(), &["check", "--pushpin-conf", "pushpin.conf"]));
    assert!(code == Some(1) && out.starts_with("runner/certs/a.test.crt: "), "{out}");
    let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
    let directory = directory
        .with("runner/certs/a.test.crt", &made.cert.pem())
        .with("runner/certs/a.test.key", &made.signing_key.serialize_pem());
    let checked = told(&gripwire(directory.path(), &["check", "--pushpin-conf", "pushpin.conf"]));
    assert_eq!(checked, (Some(0), "OK: 1 route\n".into(), String::new()));
}
