//! The new process's side of a hand-over: a core that takes over clients of an old process reads its channels before it
//! serves anyone, reports when it has everything, and begins to serve these clients at [`Go`](super::CoreCommand::Go).

use super::Core;
use super::channel::{Channel, HandOverError};
use super::commands::Done;
use super::handing_over::LOOK_AGAIN;
use super::packed::{Beginning, Part};
use crate::channel::{ChannelActivity, PackedHomes};
use crate::clients::PackedClient;
use crate::context::Life;
use crate::ids::Slot;
use crate::patience::within;
use crate::runtime;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// What a core takes over from an old process.
pub struct TakeOver {
    /// Called when the core waits for the channels, so that nothing of its start is left for the time in which nobody is
    /// served.
    pub waits: Box<dyn FnOnce() + Send>,
    /// Brings the channels to the cores of the old process.
    pub channels: Receiver<Vec<OwnedFd>>,
    /// Called when the core has taken over everything, or with the reason why it cannot.
    pub ready: Box<dyn FnOnce(Result<(), String>) + Send>,
}

/// What a core has read of the old process's state.
#[derive(Default)]
struct Read {
    homes: Vec<PackedHomes>,
    activity: Vec<ChannelActivity>,
    clients: Vec<Together>,
}

/// Clients that came together.
struct Together {
    /// The clients, with their slots.
    clients: Vec<(Slot, PackedClient)>,
    /// The connections to their applications.
    connections: Vec<OwnedFd>,
}

impl Core {
    /// Waits for the channels of `take_over`, takes over the state that comes by them, and calls `ready` when the homes of
    /// all channels know of the clients here. Nothing is served meanwhile.
    pub(super) fn take_over(self: &Rc<Self>, take_over: TakeOver) {
        let TakeOver { waits, channels, ready } = take_over;
        self.context.gate.set(Life::Quiet);
        self.clients.quiesce();
        waits();
        // Without channels this process is about to end.
        let Ok(channels) = channels.recv() else { return };
        let read = match self.read(channels) {
            Ok(read) => read,
            Err(error) => return ready(Err(error.to_string())),
        };
        let core = self.clone();
        runtime::spawn(async move { ready(core.adopt(read).await) }).detach();
    }

    /// Reads everything, and puts the sockets of clients into the ring.
    fn read(&self, channels: Vec<OwnedFd>) -> Result<Read, HandOverError> {
        let mut read = Read::default();
        for channel in channels {
            let channel = Channel::new(channel)?;
            loop {
                let (part, descriptors) = channel.receive()?;
                let is_last = matches!(part, Part::End);
                self.read_part(part, descriptors, &mut read)?;
                channel.acknowledge()?;
                if is_last {
                    break;
                }
            }
        }
        Ok(read)
    }

    fn read_part(
        &self,
        part: Part,
        mut descriptors: Vec<OwnedFd>,
        read: &mut Read,
    ) -> Result<(), HandOverError> {
        match part {
            Part::Begin(Beginning { tick, homes, activity }) => {
                self.go_on_from(tick, read.homes.is_empty());
                read.homes.push(homes);
                read.activity.extend(activity);
            }
            Part::Clients(clients) => {
                if descriptors.len() < clients.len() {
                    return Err(HandOverError::Unexpected);
                }
                let connections = descriptors.split_off(clients.len());
                let slots = self.clients.adopt(descriptors, &clients)?;
                let clients = slots.into_iter().zip(clients).collect();
                read.clients.push(Together { clients, connections });
            }
            Part::End => {}
        }
        Ok(())
    }

    /// The clock goes on from the tick of an old core: the first one, and later ones that are further.
    fn go_on_from(&self, tick: u32, is_first: bool) {
        let now = runtime::now();
        if is_first || (tick.wrapping_sub(self.context.clock.at(now)) as i32) > 0 {
            self.context.clock.go_on_from(tick, now);
            self.clients.clock_went_on(tick);
            self.delivery.set_now(tick);
            self.publishing.set_now(tick);
        }
    }

    /// Enters what was read into all tables, and waits until the subscriptions of all clients are in force.
    async fn adopt(self: &Rc<Self>, read: Read) -> Result<(), String> {
        let Read { homes, activity, clients } = read;
        homes.into_iter().for_each(|homes| self.publishing.take_over(homes));
        for Together { clients, connections } in clients {
            self.holds.give_connections(connections);
            for (slot, client) in clients {
                if let Some(hold) = self.clients.take_over(slot, client) {
                    self.holds.take_over(slot, &hold).map_err(|error| error.to_string())?;
                }
            }
        }
        let subscribed = async {
            while self.holds.adopting() > 0 {
                self.context.wake();
                runtime::sleep(LOOK_AGAIN).await;
            }
        };
        within(SUBSCRIBING, subscribed).await.ok_or("the homes of channels did not answer in time")?;
        self.delivery.take_over_activity(activity);
        Ok(())
    }

    /// Begins to serve the clients that were taken over.
    pub(super) fn serve_taken_over(self: &Rc<Self>, done: Done) {
        self.publishing.forget_unwanted();
        self.context.gate.set(Life::Serving);
        self.clients.resume_all();
        self.clients.read_put_off();
        done(Ok(()));
    }
}

/// How long the homes may take to acknowledge all subscriptions.
const SUBSCRIBING: Duration = Duration::from_secs(2);
