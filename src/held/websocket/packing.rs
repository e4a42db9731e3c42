//! Packs WebSockets for the hand-over to another process. A WebSocket whose application is being asked does not move, nor
//! one that passes through to an application by TLS, nor a SockJS conversation.

use super::clock::Clock;
use super::incoming::Incoming;
use super::open_socket::OpenSocket;
use super::over_http::{PackedOverHttp, Waiting};
use super::socket::{Application, Busy, Closing, Rare, Socket};
use super::through::PackedThrough;
use super::variables::Variables;
use crate::channel::Transport;
use crate::held::Holds;
use crate::held::on_route::OnRoute;
use crate::held::packed::{Adoptable, HoldKind};
use crate::ids::Slot;
use crate::proto::grip::LinkTarget;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::rc::Rc;

/// A WebSocket as a value.
#[derive(Serialize, Deserialize)]
pub(in crate::held) struct PackedWebSocket {
    route: String,
    application: PackedApplication,
    busy: Option<PackedBusy>,
    rare: Option<PackedRare>,
    closing: Closing,
    detached: bool,
    activity: u32,
}

#[derive(Serialize, Deserialize)]
enum PackedApplication {
    OverHttp(PackedOverHttp),
    Through(Box<PackedThrough>),
}

/// What is under way.
#[derive(Serialize, Deserialize)]
struct PackedBusy {
    incoming: Option<Incoming>,
    waiting: Waiting,
    paused: bool,
    ask_again: bool,
}

#[derive(Serialize, Deserialize)]
struct PackedRare {
    clock: Clock,
    variables: Vec<(String, String)>,
    prefix: Option<Box<str>>,
}

impl Socket {
    /// The client in `slot` as bytes; `None` if it cannot move now. The connection to its application is added to those
    /// that move.
    pub(super) fn packed(&self, slot: Slot) -> Option<Bytes> {
        // A field that is added is to be named here, and packed if another process needs it.
        let Socket { on, application, busy, rare, closing, detached, gone: _, activity } = self;
        let OnRoute { room, route } = &**on;
        let busy = match busy.borrow().as_deref() {
            None => None,
            Some(busy) => Some(PackedBusy::of(busy)?),
        };
        let application = match application {
            Application::OverHttp(over_http) => PackedApplication::OverHttp(over_http.pack()),
            Application::Through(through) => {
                let (packed, connection) = through.pack()?;
                room.connections.borrow_mut().extend(connection);
                PackedApplication::Through(packed.into())
            }
            Application::SockJs(_) => return None,
        };
        let packed = PackedWebSocket {
            route: route.id.clone(),
            application,
            busy,
            rare: rare.borrow().as_deref().map(PackedRare::of),
            closing: closing.get(),
            detached: detached.get(),
            activity: activity.tick(),
        };
        room.pack(slot, HoldKind::WebSocket, &packed)
    }
}

impl PackedBusy {
    fn of(busy: &Busy) -> Option<PackedBusy> {
        let Busy {
            incoming,
            waiting,
            booking: _,
            offered: _,
            paused,
            has_task: _,
            acts,
            ask_again,
            changed: _,
        } = busy;
        let (incoming, waiting) = (incoming.clone(), waiting.clone());
        (!acts).then_some(PackedBusy { incoming, waiting, paused: *paused, ask_again: *ask_again })
    }
}

impl PackedRare {
    fn of(rare: &Rare) -> PackedRare {
        let Rare { clock, variables, prefix } = rare;
        let variables = variables.iter().flat_map(|variables| variables.by_name());
        PackedRare {
            clock: clock.clone(),
            variables: variables.map(|(name, value)| (name.clone(), value.clone())).collect(),
            prefix: prefix.clone(),
        }
    }
}

impl Holds {
    /// The WebSocket of the client in `slot` that was packed in another process.
    ///
    /// # Errors
    /// When the connection to its application cannot be used.
    pub(in crate::held) fn socket_again(
        self: &Rc<Self>,
        slot: Slot,
        packed: PackedWebSocket,
    ) -> Result<Rc<dyn Adoptable>, postcard::Error> {
        let PackedWebSocket { route, application, busy, rare, closing, detached, activity } = packed;
        let asked_for = application.asked_for();
        let route = self.requests.route_again(&route, &asked_for, true);
        let application = match application {
            PackedApplication::OverHttp(packed) => Application::OverHttp(packed.unpack()),
            PackedApplication::Through(packed) => {
                let connection = || self.connections.borrow_mut().pop().ok_or(ErrorKind::NotFound.into());
                let through = packed.unpack(self.requests.pool(), connection, self.clients.owner(slot));
                Application::Through(through.map_err(|_| postcard::Error::DeserializeBadOption)?.into())
            }
        };
        let socket = Socket::new(self, route, application);
        socket.closing.set(closing);
        socket.detached.set(detached);
        socket.activity.was_counted(activity);
        if let Some(PackedBusy { incoming, waiting, paused, ask_again }) = busy {
            *socket.busy() = Busy { incoming, waiting, paused, ask_again, ..Busy::default() };
        }
        if let Some(PackedRare { clock, variables, prefix }) = rare {
            let variables = (!variables.is_empty()).then(|| {
                let mut kept = Box::<Variables>::default();
                kept.set(variables, self.clients.owner(slot));
                kept
            });
            *socket.rare() = Rare { clock, variables, prefix };
        }
        Ok(Rc::new(socket))
    }
}

impl PackedApplication {
    fn asked_for(&self) -> LinkTarget {
        match self {
            PackedApplication::OverHttp(packed) => packed.asked_for(),
            PackedApplication::Through(packed) => packed.asked_for.clone(),
        }
    }
}

impl Adoptable for Socket {
    fn transport(&self) -> Transport {
        Socket::transport(self)
    }

    /// Goes on where the other process has stopped: with the events that wait for the application, or with the frames
    /// that pass through.
    fn adopted(self: Rc<Self>, slot: Slot) {
        let holds = self.holds().clone();
        holds.count_kept(slot, &self);
        match &self.application {
            Application::OverHttp(_) => holds.talk_again(slot, &self),
            Application::Through(_) => {
                holds.start_relay(OpenSocket { slot, socket: self.clone() }, false, Vec::new());
            }
            Application::SockJs(_) => {}
        }
        holds.wind(slot, &self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::pinned::pinned;
    use serde_json::json;

    #[test]
    fn the_form_of_the_first_version_is_pinned() {
        let decoder = json!({
            "message_bytes": 1000, "compression": false,
            "frame": { "fin": true, "mask": [1, 2, 3, 4], "done": 5, "left": 6 },
            "message": { "kind": "Text", "bytes": 7, "is_compressed": false,
                         "text": { "begun": [0, 0, 0, 0], "length": 0 } },
        });
        let incoming = json!({
            "decoder": decoder, "message_bytes": 1000, "begun": 8, "carry": [1], "message": [2],
        });
        let waiting = json!({
            "events": [{ "Text": [97] }, { "Close": { "code": 1000, "reason": "" } }, "Disconnect"],
            "bytes": 9, "offered": 0, "replayed_bytes": 1, "wants_out": true,
        });
        let busy = json!({ "incoming": incoming, "waiting": waiting, "paused": true, "ask_again": false });
        let clock = json!({
            "ask": 1, "give_up": null, "delayed": [2, [3]],
            "keep_alive": { "due": 4, "every": 5, "frame": [6], "mode": "Interval" },
        });
        let rare = json!({ "clock": clock, "variables": [["user", "u"]], "prefix": "n:" });
        let over_http = json!({
            "handshake": [47], "id": "00000000-0000-0000-0000-000000000001", "interval_s": 10,
            "grip": true, "one_event": false, "compression": { "window_bits": 15, "has_window": true },
            "heard": 11, "asked": false,
        });
        let frames = json!({
            "begun": [129], "left": 3, "in_message": true, "is_last": false, "is_control": false,
        });
        let relay = json!({
            "prefix": "m:", "frames": frames, "frame": { "is_control": false, "fin": true, "left": 0 },
            "message": { "Begun": { "opcode": "Text", "start": [109], "frames": 1 } }, "has_closed": false,
        });
        let through = json!({
            "asked_for": { "https": false, "authority": "a", "path_and_query": "/" }, "client": 7,
            "outgoing": { "bytes": [1], "frames": frames, "has_close": false, "paused": true },
            "application": { "target": 0, "early": [2] }, "relay": relay, "rest": [3], "sending": [4],
            "has_closed": false, "extensions": true,
        });
        for (application, hex) in [
            (
                json!({ "OverHttp": over_http }),
                "017200012f10000000000000000000000000000000010a0100010f010b000101e807000101010203040506010007000000000000e8070801010102030101610501e80700060900010101000101010001020103010405010601010475736572017501026e3a00000c",
            ),
            (
                json!({ "Through": through }),
                "017201000161012f07010101810301000000010100010201026d3a0181030100000001000101016d01000103010400010101e807000101010203040506010007000000000000e8070801010102030101610501e80700060900010101000101010001020103010405010601010475736572017501026e3a00000c",
            ),
        ] {
            let packed = json!({
                "route": "r", "application": application, "busy": busy, "rare": rare, "closing": "No",
                "detached": false, "activity": 12,
            });
            pinned::<PackedWebSocket>(packed, hex);
        }
    }
}
