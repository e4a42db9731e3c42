//! What operators rely on when clients and applications vanish, stall, or send garbage: nobody else notices, nothing
//! leaks, and no answer that was cut looks whole. Each test starts the real server and looks at it from outside: its
//! sockets, `/stats`, and what /proc says of its memory and descriptors.

mod bodies;
mod garbage;
mod origins;
mod pauses;
mod slow;
mod vanishing;
