//! The link to one worker, which is a process or a thread: orders go through one pipe, reports come through another and are
//! read by a separate thread. Dropping the link closes the pipe of orders, which ends the worker, and waits until a worker
//! process has ended.

use super::error::FleetError;
use super::plan::Workers;
use crate::orders::{Order, Report};
use crate::worker;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

pub(super) struct Link {
    orders: Option<Box<dyn Write + Send>>,
    child: Option<Child>,
}

/// A message from a worker.
pub(super) enum Heard {
    Report(Report),
    /// A line that is not a report.
    Garbage(String),
    /// The end of the worker.
    End,
}

impl Link {
    /// Starts worker `index`, whose reports go to `reports`.
    pub fn start(
        workers: &Workers,
        index: usize,
        reports: Sender<(usize, Heard)>,
    ) -> Result<Link, FleetError> {
        let program = match workers {
            Workers::Processes(program) => program.clone(),
            Workers::Threads => "a thread".into(),
        };
        let spawn = |error| FleetError::Spawn { program, error };
        match workers {
            Workers::Threads => Link::thread(index, reports).map_err(spawn),
            Workers::Processes(program) => {
                let mut command = Command::new(program);
                command.arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped());
                let mut child = command.spawn().map_err(spawn)?;
                if let Some(output) = child.stdout.take() {
                    listen(index, output, reports).map_err(|error| FleetError::Broken(error.to_string()))?;
                }
                let orders = child.stdin.take().map(|input| Box::new(input) as Box<dyn Write + Send>);
                Ok(Link { orders, child: Some(child) })
            }
        }
    }

    fn thread(index: usize, reports: Sender<(usize, Heard)>) -> std::io::Result<Link> {
        let (orders_in, orders_out) = std::io::pipe()?;
        let (reports_in, reports_out) = std::io::pipe()?;
        thread::Builder::new().name(format!("subscribers {index}")).spawn(move || {
            // An error ends the pipe of reports, which the fleet notices.
            let _ = worker::obey_until_the_end(orders_in.into(), reports_out.into());
        })?;
        listen(index, reports_in, reports)?;
        Ok(Link { orders: Some(Box::new(orders_out)), child: None })
    }

    pub fn order(&mut self, order: &Order) -> Result<(), FleetError> {
        let mut line = serde_json::to_vec(order).map_err(|error| FleetError::Broken(error.to_string()))?;
        line.push(b'\n');
        let orders = self.orders.as_mut().ok_or(FleetError::Gone)?;
        orders.write_all(&line).map_err(|_| FleetError::Gone)
    }

    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        }
    }
}

fn listen(
    index: usize,
    output: impl Read + Send + 'static,
    reports: Sender<(usize, Heard)>,
) -> std::io::Result<()> {
    let listener = move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let heard = serde_json::from_str(&line).map_or(Heard::Garbage(line), Heard::Report);
            if reports.send((index, heard)).is_err() {
                return;
            }
        }
        let _ = reports.send((index, Heard::End));
    };
    thread::Builder::new().name(format!("reports {index}")).stack_size(128 << 10).spawn(listener).map(drop)
}
