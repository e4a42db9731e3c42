//! Tasks and timers of a core.

#[cfg(feature = "simulation")]
use crate::simulation;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A task of this core. Dropping it cancels the task, unless it was detached ([`Task::detach`]).
pub struct Task<T>(TaskKind<T>);

enum TaskKind<T> {
    Glommio(glommio::Task<T>),
    #[cfg(feature = "simulation")]
    Simulated(simulation::Task<T>),
}

/// A future that completes once, after a delay.
pub struct Timer(TimerKind);

enum TimerKind {
    Glommio(glommio::timer::Timer),
    #[cfg(feature = "simulation")]
    Simulated(simulation::Timer),
}

/// Starts a task on this core. The task runs up to its first wait before this returns.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    #[cfg(feature = "simulation")]
    if let Some(world) = simulation::current() {
        return Task(TaskKind::Simulated(world.spawn(future)));
    }
    Task(TaskKind::Glommio(glommio::spawn_local(future)))
}

/// Yields to the other tasks of this core and to its sockets.
pub async fn yield_now() {
    #[cfg(feature = "simulation")]
    if simulation::current().is_some() {
        return futures_lite::future::yield_now().await;
    }
    glommio::executor().yield_now().await;
}

/// Waits for `delay`.
pub async fn sleep(delay: Duration) {
    Timer::new(delay).await;
}

impl<T: 'static> Task<T> {
    /// Lets the task run to its end without an owner.
    pub fn detach(self) {
        match self.0 {
            TaskKind::Glommio(task) => drop(task.detach()),
            #[cfg(feature = "simulation")]
            TaskKind::Simulated(task) => task.detach(),
        }
    }
}

impl<T: 'static> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            TaskKind::Glommio(task) => Pin::new(task).poll(context),
            #[cfg(feature = "simulation")]
            TaskKind::Simulated(task) => Pin::new(task).poll(context),
        }
    }
}

impl Timer {
    /// Completes after `delay`.
    pub fn new(delay: Duration) -> Timer {
        #[cfg(feature = "simulation")]
        if let Some(world) = simulation::current() {
            return Timer(TimerKind::Simulated(world.timer(delay)));
        }
        Timer(TimerKind::Glommio(glommio::timer::Timer::new(delay)))
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            TimerKind::Glommio(timer) => {
                ready!(Pin::new(timer).poll(context));
            }
            #[cfg(feature = "simulation")]
            TimerKind::Simulated(timer) => ready!(Pin::new(timer).poll(context)),
        }
        Poll::Ready(())
    }
}
