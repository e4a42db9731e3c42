//! Upgrades that fail: the old process goes on, nobody notices, and the log says why.

use crate::stage::{FEW, PERCENT, Stage, setting};
use std::net::TcpListener;

#[test]
fn nobody_notices_that_the_new_process_is_killed_at_any_step() {
    let mut stage = Stage::set(setting("GRIPWIRE_UPGRADE_PERCENT", PERCENT) * FEW / 100);
    for step in STEPS {
        stage.succession.replace_program(&format!("GRIPWIRE_UPGRADE_DIE={step} exec GENUINE \"$@\""));
        // It depends on the step which of the two processes notices what.
        stage.succession.fail("");
        stage.round(&format!("without the one that died at the step {step}"));
    }
    stage.succession.restore_program();
    stage.succession.upgrade();
    stage.round("after an upgrade");
    stage.finish();
}

#[test]
fn nobody_notices_that_the_new_process_cannot_run() {
    let mut stage = Stage::set(setting("GRIPWIRE_UPGRADE_PERCENT", PERCENT) * FEW / 100);
    for script in ["exit 3", "exec sleep 0.1", "exec GENUINE --no-such-option"] {
        stage.succession.replace_program(script);
        stage.succession.fail("the other process ended");
    }
    stage.succession.restore_program();
    stage.round("without programs that are none");
    stage.configure(4, "backlog = \"a mistake\"\n");
    stage.succession.fail("backlog");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    stage.configure(4, &format!("[stats]\nprometheus = \"{address}\"\n"));
    stage.succession.fail(&address);
    stage.configure(4, "");
    stage.round("without processes that could not use their configurations");
    stage.succession.upgrade();
    stage.round("after an upgrade");
    stage.finish();
}

/// The steps at which a new process can die, until it serves.
const STEPS: [&str; 5] = ["hello", "prepared", "channels", "ready", "token"];
