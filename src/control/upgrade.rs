//! The call that replaces the server's process by a new one (`POST /upgrade/`). The main thread does it; this core asks, and
//! answers when it is done. By then, this process is the old one, and ends after the answer.

use super::call::{Call, json};
use super::port::{NewProcess, UpgradeOutcome};
use crate::clients::answer;
use crate::proto::grip::Answer;
use crate::runtime;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Interval at which the outcome is looked for. The main thread cannot wake a task of this core.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Asks for an upgrade, and answers with its outcome.
pub(super) async fn upgrade(call: &Call<'_>) -> Answer {
    if !call.grants.admin {
        return call.forbidden("upgrade the server");
    }
    let _waits = call.port.context.gate.await_hand_over();
    let outcome = Arc::<OnceLock<UpgradeOutcome>>::default();
    let told = outcome.clone();
    // There is one outcome.
    (call.port.ask_to_upgrade)(Box::new(move |outcome| drop(told.set(outcome))));
    loop {
        match outcome.get() {
            Some(Ok(NewProcess { pid, has_clients })) => {
                break json(format!(
                    "{{\"has_clients\":{has_clients},\"message\":\"Upgraded\",\"pid\":{pid}}}\n"
                ));
            }
            Some(Err(why)) => break answer::text(409, format!("{why}\n")),
            None => runtime::sleep(LOOK_EVERY).await,
        }
    }
}
