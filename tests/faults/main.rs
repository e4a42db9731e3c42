//! Clients and applications that vanish, stall or send garbage: other clients do not notice, nothing leaks, and no incomplete
//! answer looks complete. Each test starts the real server and observes it from outside: its sockets, `/stats`, and its memory
//! and descriptors in /proc.

mod bodies;
mod garbage;
mod origins;
mod pauses;
mod slow;
mod vanishing;
