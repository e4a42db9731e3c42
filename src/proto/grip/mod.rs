//! The GRIP protocol.
