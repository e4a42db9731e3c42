//! An upgrade to a version that cannot take the clients over: they are drained, and come again.

use crate::stage::{FEW, PERCENT, Stage, setting};

#[test]
fn clients_of_an_incompatible_version_are_drained_and_come_again() {
    let mut stage = Stage::set(setting("GRIPWIRE_UPGRADE_PERCENT", PERCENT) * FEW / 100);
    stage.allow_ends(true);
    stage.succession.replace_program("GRIPWIRE_UPGRADE_FORMAT=4294967295 exec GENUINE \"$@\"");
    stage.succession.upgrade();
    stage.round("after the drain");
    stage.allow_ends(false);
    stage.round("with the new process alone");
    stage.finish();
}
