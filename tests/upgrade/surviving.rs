//! Upgrades that succeed.

use crate::stage::{PERCENT, Stage, setting};

#[test]
fn nobody_notices_upgrades_in_a_row_nor_a_change_of_cores() {
    let mut stage = Stage::set(setting("GRIPWIRE_UPGRADE_PERCENT", PERCENT));
    for number in 1..=setting("GRIPWIRE_UPGRADES", 5) {
        stage.succession.upgrade();
        stage.round(&format!("after upgrade {number}"));
    }
    for cores in [2, 3] {
        stage.configure(cores, "");
        stage.succession.upgrade();
        stage.round(&format!("on {cores} cores"));
    }
    stage.finish();
}
