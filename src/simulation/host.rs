//! The hosts of a simulation: one for each core, and one for everything else.

/// The host that a task belongs to: all tasks of one host can be paused together. A new task belongs to the host of
/// the task that started it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Host(pub u16);

impl Host {
    /// Clients, applications, and the test itself.
    pub const OUTSIDE: Host = Host(u16::MAX);

    /// A core of a server; several servers may be in one world.
    pub fn of(server: u8, core: u8) -> Host {
        Host(u16::from(server) << 8 | u16::from(core))
    }

    /// The number of the core in its server.
    pub fn core(self) -> usize {
        usize::from(self.0 & 0xff)
    }
}
