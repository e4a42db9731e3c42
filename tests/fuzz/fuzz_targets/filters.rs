//! Any bytes as variables of a subscriber and content; `checks/grip.rs` says what must hold.

#![no_main]

#[path = "../checks/grip.rs"]
#[allow(dead_code)]
mod grip;

libfuzzer_sys::fuzz_target!(|input: &[u8]| grip::check_filters(input));
