//! The worker's end of its pipes: orders in, reports out. A report is one write. The parent reads on a separate thread, so a
//! write does not block the worker for long.

use crate::orders::{Order, Progress, Report};
use crate::sys;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub(super) struct Parent {
    input: File,
    output: File,
    /// The start of an order whose line has not ended.
    partial: Vec<u8>,
    /// Whether every change of the counts is reported at once.
    pub watched: bool,
    reported_ns: u64,
    reported_bytes: u64,
}

impl Parent {
    pub fn new(input: OwnedFd, output: OwnedFd) -> Parent {
        Parent {
            input: input.into(),
            output: output.into(),
            partial: Vec::new(),
            watched: false,
            reported_ns: sys::now_ns(),
            reported_bytes: 0,
        }
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// Waits for the first order; `None` if the parent has ended. The parent sends no other order until the first is executed.
    pub fn first_order(&mut self) -> io::Result<Option<Order>> {
        loop {
            match self.orders()? {
                Some(mut orders) if orders.is_empty() => orders.clear(),
                Some(mut orders) => return Ok(orders.pop()),
                None => return Ok(None),
            }
        }
    }

    /// Reads the waiting orders; `None` if the parent has ended.
    pub fn orders(&mut self) -> io::Result<Option<Vec<Order>>> {
        let mut part = vec![0; 64 << 10];
        let length = self.input.read(&mut part)?;
        if length == 0 {
            return Ok(None);
        }
        self.partial.extend_from_slice(&part[..length]);
        let whole = memchr::memrchr(b'\n', &self.partial).map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.partial.drain(..whole).collect();
        let orders = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        Ok(Some(orders.map(serde_json::from_slice).collect::<Result<_, _>>()?))
    }

    /// The time at which the next report of progress is due.
    pub fn next_progress_ns(&self, progress: &Progress) -> u64 {
        let changed = progress.bytes != self.reported_bytes;
        let interval_ns = if self.watched && changed { WATCHED_NS } else { PROGRESS.as_nanos() as u64 };
        self.reported_ns + interval_ns
    }

    pub fn progress(&mut self, progress: &mut Progress) -> io::Result<()> {
        (self.reported_ns, self.reported_bytes) = (sys::now_ns(), progress.bytes);
        let report = Report::Progress(Box::new(progress.clone()));
        if let Some(recent) = &mut progress.recent {
            recent.clear();
        }
        self.report(&report)
    }

    pub fn report(&mut self, report: &Report) -> io::Result<()> {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        self.output.write_all(&line)
    }
}

/// Least time between two reports of a watched worker, and so the largest delay of a count.
const WATCHED_NS: u64 = 500_000;
/// Interval of progress reports.
const PROGRESS: Duration = Duration::from_millis(250);
