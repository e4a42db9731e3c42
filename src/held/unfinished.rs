//! Counts the tasks that may still have something to tell an application: that a client is gone, or what a client has said
//! last. A drain waits for them.

use std::cell::Cell;
use std::rc::Rc;

/// The number of these tasks.
#[derive(Clone, Default)]
pub(super) struct Unfinished(Rc<Cell<usize>>);

/// One of these tasks, which has finished when this value is dropped.
pub(super) struct UnfinishedTask(Unfinished);

impl Unfinished {
    /// A task begins.
    pub fn begin(&self) -> UnfinishedTask {
        self.0.set(self.0.get() + 1);
        UnfinishedTask(self.clone())
    }

    /// How many tasks have not finished.
    pub fn count(&self) -> usize {
        self.0.get()
    }
}

impl Drop for UnfinishedTask {
    fn drop(&mut self) {
        self.0.0.set(self.0.count() - 1);
    }
}
