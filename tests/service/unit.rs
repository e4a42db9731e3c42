//! The units in `tuning`, which `systemd-analyze` reads as systemd would.

use gripwire_harness::directory::Directory;
use gripwire_harness::program;
use gripwire_harness::server::gripwire;
use std::path::Path;
use std::process::Command;

const SERVICE: &str = include_str!("../../tuning/gripwire.service");
const SOCKET: &str = include_str!("../../tuning/gripwire.socket");
const USERS: &str = include_str!("../../tuning/gripwire.sysusers");

/// The value of `key`, which the unit must have once.
fn value<'u>(unit: &'u str, key: &str) -> &'u str {
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("no {key}"));
    assert_eq!(values.next(), None, "{key}");
    value
}

#[test]
fn systemd_finds_no_mistake_in_the_units() {
    let remedy = "install the package systemd";
    let Some(analyze) = program::find("systemd-analyze", remedy) else { return };
    // The program is not installed where the unit expects it.
    let program = gripwire();
    let service = SERVICE.replace("/usr/local/bin/gripwire", program.get_program().to_str().unwrap());
    let directory =
        Directory::new("units").with("gripwire.service", &service).with("gripwire.socket", SOCKET);
    let units = ["gripwire.service", "gripwire.socket"].map(|name| directory.file(name));
    let checked = Command::new(analyze).arg("verify").arg("--man=no").args(units).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    // Units of the machine itself may have mistakes.
    let of_gripwire: Vec<&str> = said.lines().filter(|line| line.contains("gripwire")).collect();
    assert!(checked.status.success() && of_gripwire.is_empty(), "{said}");
}

#[test]
fn the_unit_uses_what_the_server_tells() {
    assert_eq!((value(SERVICE, "Type"), value(SERVICE, "NotifyAccess")), ("notify", "main"));
    let seconds = |key| value(SERVICE, key).strip_suffix('s').and_then(|text| text.parse().ok()).unwrap_or(0);
    // Cores are looked at once a second.
    assert!(seconds("WatchdogSec") >= 10);
    assert!(seconds("TimeoutStopSec") >= 30);
    assert!(value(SERVICE, "ExecReload").ends_with("kill -HUP $MAINPID"));
    let user = value(SERVICE, "User");
    assert!(USERS.lines().any(|line| line.starts_with(&format!("u {user} "))));
    let directory = Path::new("/run").join(value(SERVICE, "RuntimeDirectory"));
    assert_eq!(directory, Path::new("/run/gripwire"));
    // Filters of system calls must not exclude the calls that everything here is built on.
    assert!(SERVICE.contains("SystemCallFilter=io_uring_setup io_uring_enter io_uring_register\n"));
}

#[test]
fn the_socket_unit_opens_the_default_port() {
    assert_eq!(value(SOCKET, "ListenStream"), "0.0.0.0:7999");
}
