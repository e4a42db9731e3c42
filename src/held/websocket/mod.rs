//! WebSockets. `open` answers the upgrade, `over_http` serves those that their application sees as HTTP requests, and
//! `through` passes on those whose application speaks WebSocket itself. For their channels both kinds are the same:
//! `socket` is one of either, `held` is how it is held: what happens to it from outside. `kept` bounds what is kept of
//! what clients send; `open_socket` does what the application says from within (joining channels, for one), `life` carries it
//! to its end; `sending` writes to it; `sockjs` is a client's that speaks SockJS by it; `receiving` takes what a
//! client sends and `incoming` decodes it; `clock` tells what is to be done when, `activity` what counts as such, and
//! `counting` counts for the route.

mod activity;
mod clock;
mod counting;
mod held;
mod incoming;
mod kept;
mod life;
mod open;
mod open_socket;
mod over_http;
mod receiving;
mod sending;
mod socket;
mod sockjs;
mod through;

pub(super) use open::refusal;
