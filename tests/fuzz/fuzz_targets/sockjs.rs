//! Any bytes as a path or messages of a SockJS client; `checks/browser.rs` says what must hold.

#![no_main]

#[path = "../checks/browser.rs"]
#[allow(dead_code)]
mod browser;

libfuzzer_sys::fuzz_target!(|input: &[u8]| browser::check_sockjs(input));
