//! Gripwire.
