//! Which operations the wire arms at the moment, and what it keeps back while it arms none. `quiet` changes this, for a
//! hand-over of the clients to another process.

use std::os::fd::RawFd;

/// What is quiet.
#[derive(Default)]
pub(super) struct Stillness {
    /// No receive, waiting send or measurement is armed.
    pub clients: bool,
    /// No accept is armed, and no listener or datagram socket is watched.
    pub listeners: bool,
    /// Datagram sockets that are to be watched when the wire goes on, with their numbers.
    pub unwatched: Vec<(u32, RawFd)>,
    /// The numbers of datagram sockets that became readable meanwhile.
    pub readable: Vec<u32>,
}
