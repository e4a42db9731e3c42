//! Client sockets on an io_uring of their own. This room knows bytes and slots, never HTTP.
//!
//! - The kernel: `ring` is the queue pair for `operation`s, on its io_uring (`uring`) or a simulated one (`simulated`).
//!   `token` packs what a completion is about, `buffers` lends receive buffers, `doorbell` wakes the core's executor, `heap`
//!   returns free pages, `outer_buffers` bounds what it keeps for sockets outside the ring, `probe` says at start what it
//!   lacks.
//! - Who comes: each `listener` is a socket that clients connect to, `listeners` shares the slots between them, `accepting`
//!   accepts, and `admission` refuses connections of addresses that have too many, which the `ledger` knows for all cores.
//!   `proxy_headers` reads what load balancers say of a connection, of which `proxied` keeps what has come. `local` accepts
//!   clients by Unix sockets (`local_clients`), which `socket_file` binds. `virtual_slots` are connections whose client is
//!   this server itself; `virtual_traffic` carries what goes through them.
//! - What is moved: `receiving` says when bytes are taken, `egress` sends, alone or to a whole batch of slots, `backlog` holds
//!   what a slow client has not taken, `progress` tells how far it comes with that, by what `measuring` asks the kernel, and
//!   `sealing` stands between them and clients that speak TLS, whose sessions are in `secure`. `kept` adds up the memory of
//!   connections. `datagrams` receives datagrams in batches.
//!
//! [`Wire`] (`events`) ties them together and turns completions into [`WireEvent`]s. What it knows of each subject is a value in
//! a file of its own; what it does with it is in another file, which knows [`Wire`].
//!
//! Unsafe code lives in this room only. Its one recurring invariant: memory that an operation points to stays
//! where it is until the operation's completion was seen, or, for sends that finish inside `io_uring_enter`, until
//! that call returned.

mod accepting;
mod admission;
mod backlog;
mod buffers;
mod datagrams;
mod doorbell;
mod egress;
mod events;
mod heap;
mod kept;
mod ledger;
mod listener;
mod listeners;
mod local;
mod local_clients;
mod measuring;
mod operation;
mod outer_buffers;
mod probe;
mod progress;
mod proxied;
mod proxy_headers;
mod receiving;
mod ring;
mod sealing;
mod secure;
#[cfg(feature = "simulation")]
mod simulated;
mod slots;
mod socket_file;
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
pub use heap::return_free_pages;
pub use ledger::Ledger;
pub use listener::{ACCEPT_QUEUE, BindError, bind};
pub use outer_buffers::bound_buffers;
pub use probe::{FILES_PER_CORE, MEMLOCK_BYTES, MissingFeature, check_kernel, raise_file_limit};
pub use progress::Taken;
pub use proxied::Preface;
pub use slots::Overflow;
pub use socket_file::{Access, Credentials, SocketFile, bind_unix};
pub use virtual_slots::VirtualClient;

/// Slots of a core that are reserved for operators and publishers, if it has eight times as many.
pub const RESERVED_SLOTS: u32 = 32;
/// Most direct descriptors that a ring may have (IORING_MAX_FIXED_FILES).
pub const SLOTS: u32 = 1 << 20;

/// Sizes and bounds of one core's wire, fixed at start.
#[derive(Clone, Copy, Debug)]
pub struct WireLimits {
    /// Most connections; the size of the ring's direct descriptor table.
    pub connections: u32,
    /// The last of them, which are for operators and publishers, if there are listeners for these.
    pub reserved: u32,
    /// Unsent bytes one connection may have waiting.
    pub backlog_bytes: usize,
    /// Unsent bytes all connections together may have waiting.
    pub backlog_bytes_total: usize,
}
