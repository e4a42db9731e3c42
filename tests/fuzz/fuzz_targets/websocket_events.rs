//! Any bytes as a list of WebSocket events; `checks/websocket.rs` says what must hold.

#![no_main]

#[path = "../checks/websocket.rs"]
#[allow(dead_code)]
mod websocket;

libfuzzer_sys::fuzz_target!(|input: &[u8]| websocket::check_events(input));
