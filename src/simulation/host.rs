//! The machines of a simulation: one for each core, and one for all others.

/// Whose tasks these are: those of one core are paused together. Tasks belong to the host of the task that started
/// them.
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
