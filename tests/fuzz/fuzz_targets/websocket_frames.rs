//! Any bytes as the frames of a client; `checks/websocket.rs` says what must hold.

#![no_main]

#[path = "../checks/websocket.rs"]
#[allow(dead_code)]
mod websocket;

libfuzzer_sys::fuzz_target!(|input: &[u8]| websocket::check_frames(input));
