//! Any bytes as an application's answer; `checks/http1.rs` says what must hold.

#![no_main]

#[path = "../checks/http1.rs"]
#[allow(dead_code)]
mod http1;

libfuzzer_sys::fuzz_target!(|input: &[u8]| http1::check_answer(input));
