//! Any bytes as a header of the PROXY protocol; `checks/proxy.rs` says what must hold.

#![no_main]

#[path = "../checks/proxy.rs"]
#[allow(dead_code)]
mod proxy;

libfuzzer_sys::fuzz_target!(|input: &[u8]| proxy::check_proxy_header(input));
