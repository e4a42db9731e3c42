//! Any bytes as what a client says in X-Forwarded-For; `checks/proxy.rs` says what must hold.

#![no_main]

#[path = "../checks/proxy.rs"]
#[allow(dead_code)]
mod proxy;

libfuzzer_sys::fuzz_target!(|input: &[u8]| proxy::check_forwarded_for(input));
