//! Any bytes as a request for a script and the answer to it; `checks/browser.rs` says what must hold.

#![no_main]

#[path = "../checks/browser.rs"]
#[allow(dead_code)]
mod browser;

libfuzzer_sys::fuzz_target!(|input: &[u8]| browser::check_jsonp(input));
