//! Clients that a new process does not take over: the old one, which it replaces, drains them as at its own end.

use crate::stage::{Stage, WAYS};
use gripwire_harness::server::{Server, gripwire};

#[test]
fn a_websocket_over_http_that_stays_is_closed_and_its_application_hears_what_was_said_and_the_end() {
    let program = gripwire().get_program().display().to_string();
    // The new process claims another format of the clients' state, so those by plain TCP stay, too.
    let words = ["env", "GRIPWIRE_UPGRADE_FORMAT=4294967295", &program];
    for way in WAYS {
        let mut stage = Stage::launched(|launch| launch.program(&words).options(&["--log", "info"]));
        let mut client = stage.websocket(way);
        stage.server.signal(libc::SIGUSR2);
        let _new = NewProcess::of(&stage.server);
        client.expect_close(1001, "");
        client.text("last words");
        client.close(1001, "");
        client.expect_end();
        let told = stage.await_told("last words");
        let end = if told.contains("DISCONNECT") { told } else { stage.await_told("DISCONNECT") };
        assert!(!end.contains("CLOSE"), "the client has not closed by its own will: {end}");
        stage.expect_end();
    }
}

/// The process that replaces a server, which is ended when this is dropped.
struct NewProcess(i32);

impl NewProcess {
    /// Waits until it serves.
    fn of(server: &Server) -> NewProcess {
        let line = server.log().await_next("a new process serves");
        let (_, pid) = line.rsplit_once("pid=").expect("its id");
        let pid = pid.split_whitespace().next().and_then(|pid| pid.parse().ok());
        NewProcess(pid.expect("a number"))
    }
}

impl Drop for NewProcess {
    fn drop(&mut self) {
        // SAFETY: a bare system call, without memory of this process.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}
