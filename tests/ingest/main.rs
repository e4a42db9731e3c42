//! Publishing by other ways than HTTP over TCP: datagrams reach subscribers in order, every lost datagram is counted, Unix
//! sockets refuse users that the operator did not name, and ZeroMQ sockets make publishers wait while the server is busy. Each
//! test starts the real server and talks to it through real sockets.

mod commands;
mod local;
mod udp;
mod zeromq;
