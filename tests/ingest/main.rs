//! What publishers rely on who do not publish by HTTP over TCP: datagrams reach subscribers in their order, what is
//! lost is counted to the last one, sockets of this machine take nothing from whom the operator did not name, and those
//! of ZeroMQ make publishers wait. Each test starts the real server and speaks to it by real sockets.

mod commands;
mod local;
mod udp;
mod zeromq;
