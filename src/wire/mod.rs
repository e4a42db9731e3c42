//! Client sockets on an io_uring of their own. This room knows bytes and slots, never HTTP.
//!
//! - The kernel: `ring` is the queue pair for `operation`s, on the kernel's io_uring (`uring`) or a simulated one
//!   (`simulated`). `token` identifies the operation of a completion, `buffers` lends receive buffers, `doorbell`
//!   wakes the core's executor, `heap` returns free pages, `outer_buffers` limits the kernel's buffers of sockets
//!   outside the ring, and `probe` checks at start that the kernel has all needed features.
//! - Connecting: each `listener` is a socket that clients connect to, and may be `handed` over by a service manager or by
//!   an old process. `listeners` divides the slots among them, `accepting` accepts, and `admission` refuses connections of
//!   addresses that have too many; the `ledger` counts
//!   these for all cores. `proxy_headers` reads the PROXY protocol of load balancers, and `proxied` keeps incomplete
//!   headers. `local` accepts clients on Unix sockets (`local_clients`), which `socket_file` binds. `virtual_slots`
//!   are connections whose client is this server itself; `virtual_traffic` carries their data. `stopping` ends
//!   listening without resetting anybody.
//! - Data: `receiving` decides when bytes are received, `egress` sends, to one slot or to a whole batch of slots, and
//!   `backlog` holds bytes that a slow client has not taken. `progress` knows how many bytes such a client has taken,
//!   from the figures that `measuring` asks the kernel for. `sealing` encrypts and decrypts for clients with TLS,
//!   whose sessions are in `secure`. `kept` adds up the memory of connections. `datagrams` receives datagrams in
//!   batches.
//! - Moving: `quiet` stops the wire, `stillness` says what is stopped, `moving` gives connections to another process and
//!   takes them, with their state as a `packed_socket`. `memory_file` makes files for more data than a message takes.
//! - Other processes: a `packet_socket` carries messages with descriptors.
//!
//! [`Wire`] (`events`) ties them together and turns completions into [`WireEvent`]s. The state for each subject is a
//! value in a file of its own; the code that uses it with [`Wire`] is in another file.
//!
//! Unsafe code lives in this room only. Its one recurring invariant: memory that an operation points to stays in
//! place until the operation's completion was seen, or, for sends that finish inside `io_uring_enter`, until that
//! call returned.

mod accepting;
mod admission;
mod backlog;
mod buffers;
mod datagrams;
mod doorbell;
mod egress;
mod events;
mod handed;
mod heap;
mod kept;
mod ledger;
mod listener;
mod listeners;
mod local;
mod local_clients;
mod measuring;
mod memory_file;
mod moving;
mod operation;
mod outer_buffers;
mod packed_socket;
mod packet_socket;
mod probe;
mod progress;
mod proxied;
mod proxy_headers;
mod quiet;
mod receiving;
mod ring;
mod sealing;
mod secure;
#[cfg(feature = "simulation")]
mod simulated;
mod slots;
mod socket_file;
mod stillness;
mod stopping;
mod token;
mod uring;
mod virtual_slots;
mod virtual_traffic;

pub use admission::{AddressLimits, PortUse, RefusedConnections};
pub use buffers::Received;
pub use datagrams::{
    Batch, DATAGRAM_BYTES, Datagram, DatagramSocket, RECEIVE_BYTES as DATAGRAM_RECEIVE_BYTES, bind_udp,
    bind_unix_datagram,
};
pub use doorbell::{Doorbell, Ringer, ThreadBell};
pub use events::{Wire, WireEvent};
pub use handed::{HandedError, HandedSockets, SocketPlace};
pub use heap::return_free_pages;
pub use ledger::Ledger;
pub use listener::{ACCEPT_QUEUE, BindError, bind, bind_beside, listen};
pub use memory_file::memory_file;
pub use moving::{MoveError, Place};
pub use outer_buffers::{bound_buffers, duplicate};
pub use packed_socket::PackedSocket;
pub use packet_socket::{PACKET_BYTES, PACKET_DESCRIPTORS, Packet, PacketSocket};
pub use probe::{FILES_PER_CORE, MEMLOCK_BYTES, MissingFeature, can_install, check_kernel, raise_file_limit};
pub use progress::Taken;
pub use proxied::Preface;
pub use slots::Overflow;
pub use socket_file::{Access, Credentials, SocketFile, bind_unix};
pub use virtual_slots::VirtualClient;

/// Slots of a core that are reserved for operators and publishers, if the core has at least eight times as many.
pub const RESERVED_SLOTS: u32 = 32;
/// The most direct descriptors that a ring may have (IORING_MAX_FIXED_FILES).
pub const SLOTS: u32 = 1 << 20;

/// Sizes and limits of one core's wire, fixed at start.
#[derive(Clone, Copy, Debug)]
pub struct WireLimits {
    /// Maximum number of connections; the size of the ring's table of direct descriptors.
    pub connections: u32,
    /// Slots among them that are reserved for operators and publishers, if there are listeners for these.
    pub reserved: u32,
    /// Maximum of unsent bytes for one connection.
    pub backlog_bytes: usize,
    /// Maximum of unsent bytes for all connections together.
    pub backlog_bytes_total: usize,
}
