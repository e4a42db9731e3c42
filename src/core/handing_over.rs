//! The old process's side of a hand-over: the steps by which a core passes its clients on to a new process. The main thread
//! sends the steps in the order of [`HandOver`], each when all cores have answered the step before. Until `LetGo`, `Resume`
//! undoes all steps, and the clients stay with this process.

use super::Core;
use super::channel::{Channel, DESCRIPTORS, HandOverError};
use super::commands::Done;
use super::hand_over::HandOver;
use super::packed::{Beginning, Part};
use crate::channel::PackedHomes;
use crate::clients::PackedClient;
use crate::context::Life;
use crate::ids::Slot;
use crate::patience::within;
use crate::runtime;
use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

/// The clients that a core has sent to the new process.
#[derive(Default)]
pub(super) struct Sent(RefCell<Vec<Slot>>);

impl Core {
    /// Begins `step`; `done` is called with its outcome.
    pub(super) fn hand_over(self: &Rc<Self>, step: HandOver, done: Done) {
        match step {
            HandOver::Settle => self.settle(done),
            HandOver::Quiet => self.quiet(done),
            HandOver::LookIdle(report) => {
                let is_idle = self.publishing.is_idle() && !self.delivery.is_pending();
                report.set(self.context.id.index(), is_idle, self.delivery.taken());
                done(Ok(()));
            }
            HandOver::Export { exports_clients: false, .. } => done(Ok(())),
            HandOver::Export { channels, .. } => {
                let core = self.clone();
                let export = async move {
                    // Answers of requests that stay here may just have been sent.
                    done(match core.stillness().await {
                        true => core.export(channels).map_err(|error| error.to_string()),
                        false => Err(given_up()),
                    });
                };
                runtime::spawn(export).detach();
            }
            HandOver::Resume => {
                self.sent.0.take();
                self.context.gate.set(Life::Serving);
                self.clients.resume_all();
                self.clients.each_held(|slot, held| held.go_on(slot));
                self.clients.read_put_off();
                done(Ok(()));
            }
            HandOver::LetGo => {
                self.sent.0.take().into_iter().for_each(|slot| self.clients.let_go_of(slot));
                self.context.gate.set(Life::HandedOver);
                self.clients.leave_listeners();
                self.publishing.leave_datagrams();
                self.clients.each_held(|slot, held| held.go_on(slot));
                self.clients.read_put_off();
                done(Ok(()));
            }
        }
    }

    /// Begins no new requests, and waits for those under way, for a while.
    fn settle(self: &Rc<Self>, done: Done) {
        self.context.gate.set(Life::Settling);
        let core = self.clone();
        runtime::spawn(async move {
            let settled = async {
                while core.context.gate.passes() + core.clients.exchanges().0 > 0 {
                    runtime::sleep(COUNT_AGAIN).await;
                }
            };
            within(SETTLING, settled).await;
            done(Ok(()));
        })
        .detach();
    }

    /// Finishes the requests of publishers, stops reading and sending, and waits until all that was read has been dealt
    /// with.
    fn quiet(self: &Rc<Self>, done: Done) {
        self.context.gate.set(Life::Finishing);
        let core = self.clone();
        runtime::spawn(async move {
            let finished = async {
                while core.clients.exchanges().1 > core.context.gate.waiting() {
                    runtime::sleep(COUNT_AGAIN).await;
                }
            };
            within(FINISHING, finished).await;
            // A core that was stuck finds both this step and the end of the hand-over among its commands.
            if core.context.gate.life() != Life::Finishing {
                return done(Err(given_up()));
            }
            core.context.gate.set(Life::Quiet);
            core.clients.each_held(|slot, held| held.stop(slot));
            core.clients.quiesce();
            let quiet = async {
                if !core.stillness().await {
                    return Err(given_up());
                }
                core.publishing.is_published().await.map_err(|error| error.to_string())
            };
            let outcome = within(QUIETING, quiet).await;
            done(
                outcome.unwrap_or_else(|| Err("the operations in the kernel did not end in time".to_owned())),
            );
        })
        .detach();
    }

    /// Waits until the wire is quiet. Returns false if the hand-over is given up before.
    async fn stillness(&self) -> bool {
        while self.context.gate.life() == Life::Quiet {
            if self.clients.is_quiet() {
                return true;
            }
            self.context.wake();
            runtime::sleep(LOOK_AGAIN).await;
        }
        false
    }

    /// Sends everything to the new process.
    fn export(&self, channels: Vec<OwnedFd>) -> Result<(), HandOverError> {
        let channels: Vec<Channel> = channels.into_iter().map(Channel::new).collect::<Result<_, _>>()?;
        for (number, channel) in channels.iter().enumerate() {
            let homes = if number == 0 { self.publishing.pack_homes() } else { PackedHomes::default() };
            let (tick, activity) = (self.context.now(), self.delivery.pack_activity());
            channel.send(&Part::Begin(Beginning { tick, homes, activity }), &[])?;
        }
        let all = self.clients.that_may_move();
        let share = all.len().div_ceil(channels.len().max(1)).max(1);
        for (channel, slots) in channels.iter().zip(all.chunks(share)) {
            self.export_clients(channel, slots)?;
        }
        channels.iter().try_for_each(|channel| channel.send(&Part::End, &[]))
    }

    /// Sends the clients in `slots`, except those that cannot move now.
    fn export_clients(&self, channel: &Channel, slots: &[Slot]) -> Result<(), HandOverError> {
        // A client may need two descriptors: one for its own connection, and one for that to its application.
        for slots in slots.chunks(DESCRIPTORS / 2) {
            let (moving, packed): (Vec<Slot>, Vec<PackedClient>) =
                slots.iter().filter_map(|slot| Some((*slot, self.clients.pack(*slot)?))).unzip();
            // Taken out in any case, or a later hand-over would send them with other clients.
            let connections = self.holds.take_connections();
            let mut descriptors = self.clients.install(&moving)?;
            descriptors.extend(connections);
            channel.send(&Part::Clients(packed), &descriptors)?;
            self.sent.0.borrow_mut().extend(moving);
        }
        Ok(())
    }
}

/// Why a core does not carry out a step.
fn given_up() -> String {
    "the hand-over was given up".to_owned()
}

/// How long requests under way are waited for.
const SETTLING: Duration = Duration::from_millis(500);
/// How long requests of publishers and operators are waited for. Others that publish wait meanwhile.
const FINISHING: Duration = Duration::from_millis(300);
/// How often requests under way are counted, which takes a walk over all rows.
const COUNT_AGAIN: Duration = Duration::from_millis(2);
/// How often is looked whether something is done. A task that only yields would keep the executor from hearing of other
/// cores for up to 0.1 s.
pub(super) const LOOK_AGAIN: Duration = Duration::from_micros(200);
/// How long the kernel may take to end what was cancelled.
const QUIETING: Duration = Duration::from_secs(2);
