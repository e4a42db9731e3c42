//! Commands to all cores, one step at a time: a step is done when all cores have answered it.

use super::error::UpgradeError;
use crate::core::{CoreCommand, CoreCommands, HandOver, IdleReport};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Time for a step that takes the cores a moment.
pub(super) const MOMENT: Duration = Duration::from_secs(2);
/// Time until all cores have to be idle.
const STILLNESS: Duration = Duration::from_secs(1);

/// The cores of this process.
pub(super) struct Cores<'c>(pub &'c [CoreCommands]);

impl Cores<'_> {
    /// Has all cores carry out the commands that `command` makes for their numbers, and waits until they have. `step`
    /// names it for an error.
    ///
    /// # Errors
    /// A core failed, or `patience` was over.
    pub fn carry_out(
        &self,
        step: &'static str,
        patience: Duration,
        mut command: impl FnMut(usize) -> CoreCommand,
    ) -> Result<(), UpgradeError> {
        let (tell, answers) = channel();
        for (index, core) in self.0.iter().enumerate() {
            let tell = tell.clone();
            // Nobody hears it after the end of `patience`.
            core.send(command(index), move |outcome| drop(tell.send((index, outcome))));
        }
        drop(tell);
        let end = Instant::now() + patience;
        for _ in self.0 {
            match answers.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok((_, Ok(()))) => {}
                Ok((core, Err(reason))) => return Err(UpgradeError::Core { core, step, reason }),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(UpgradeError::Slow(step));
                }
            }
        }
        Ok(())
    }

    /// Waits until no core has anything left to do, and none had anything to do between two looks: what one core sends
    /// to another is seen by one of the looks.
    ///
    /// # Errors
    /// The cores do not become idle.
    pub fn await_stillness(&self) -> Result<(), UpgradeError> {
        const STEP: &str = "become idle";
        let end = Instant::now() + STILLNESS;
        let mut before = None;
        while Instant::now() < end {
            let report = Arc::new(IdleReport::new(self.0.len()));
            let look = |_| CoreCommand::HandOver(HandOver::LookIdle(report.clone()));
            self.carry_out(STEP, MOMENT, look)?;
            let now = report.idle_activity();
            if now.is_some() && now == before {
                return Ok(());
            }
            before = now;
        }
        Err(UpgradeError::Slow(STEP))
    }
}
