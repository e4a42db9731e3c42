//! Any bytes as a publish call; `checks/grip.rs` says what must hold.

#![no_main]

#[path = "../checks/grip.rs"]
#[allow(dead_code)]
mod grip;

libfuzzer_sys::fuzz_target!(|input: &[u8]| grip::check_publish(input));
