//! Towards the applications: routes, connections, requests and answers.

#![forbid(unsafe_code)]

mod route;

pub use route::{Destination, Route, Signing, Target};
