//! WebSockets. `open` answers the upgrade. `over_http` serves WebSockets that their application sees as HTTP requests,
//! and `through` passes frames to and from applications that speak WebSocket themselves. Both kinds use channels in the
//! same way: `socket` is a WebSocket of either kind, and `held` implements its hold. `life` has the events of its life,
//! and `open_socket` carries out what the application says, such as joining a channel. `receiving` and `incoming`
//! decode what the client sends, `kept` bounds the bytes kept of it, and `sending` writes to the client. `sockjs` is a
//! WebSocket by which a client speaks SockJS. `clock` has the timed actions, `activity` and `counting` count for the
//! route.

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
mod packing;
mod receiving;
mod sending;
mod socket;
mod sockjs;
mod through;
mod variables;

pub(super) use open::refusal;
