//! Measures messages between cores by `mesh`: two cores with the server's mesh, each an executor on its own thread. With only
//! one CPU, or with a busy second CPU, the result is mostly the scheduler's cost.

mod brief;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gripwire::channel::{ToCore, ToHome};
use gripwire::ids::CoreId;
use gripwire::mesh::{Mesh, MeshPlan, RingEnds};
use gripwire::proto::grip::Publication;
use gripwire::runtime;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const NEAR: CoreId = CoreId(0);
const FAR: CoreId = CoreId(1);
/// Messages of a ring, the default of `mesh_messages`.
const RING: usize = 1024;
/// The ticket of the last message.
const LAST: u64 = u64::MAX;
/// Interval at which a sleeping core wakes by itself, as in the server.
const TICK: Duration = Duration::from_millis(100);

/// The exchange of the near core with the far core.
#[derive(Clone, Copy)]
enum Exchange {
    /// Publishes without waiting, and waits for one confirmation at the end.
    Publish,
    /// Waits for the confirmation of each message.
    Ask,
}

fn mesh(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mesh");
    group.throughput(Throughput::Elements(1));
    for (name, exchange) in [("one_way", Exchange::Publish), ("round_trip", Exchange::Ask)] {
        group.bench_function(name, |bencher| bencher.iter_custom(|times| timed(exchange, times)));
    }
}

/// Time of the near core for `exchange`, `times` times. Joining the mesh is not included.
fn timed(exchange: Exchange, times: u64) -> Duration {
    let plan = MeshPlan::new(2, RING);
    let far_plan = plan.clone();
    let ((near_ends, near_ended), (far_ends, far_ended)) = (channel(), channel());
    // The mesh numbers cores in the order in which they are started.
    let near = move || async move { near_ends.send(near(plan, exchange, times).await).expect("a bench") };
    runtime::start("near", None, near).expect("a near core");
    let far = || async move { far_ends.send(far(far_plan).await).expect("a bench") };
    runtime::start("far", None, far).expect("a far core");
    let took = near_ended.recv().expect("a near core that ends");
    assert_eq!(far_ended.recv().expect("a far core that ends"), times);
    took
}

async fn near(plan: MeshPlan, exchange: Exchange, times: u64) -> Duration {
    runtime::spawn(tick()).detach();
    let (mesh, _, to_core) = plan.join().await.expect("a place in the mesh");
    let started = Instant::now();
    for ticket in 0..times {
        match exchange {
            Exchange::Publish => publish(&mesh).await,
            Exchange::Ask => ask(&mesh, &to_core, ticket).await,
        }
    }
    ask(&mesh, &to_core, LAST).await;
    started.elapsed()
}

/// Publishes an item when there is room. As in the server, one core makes the item and the other drops it.
async fn publish(mesh: &Mesh) {
    while !mesh.to_home.has_room(FAR) {
        mesh.to_home.roomier().rung().await;
    }
    mesh.to_home.send(FAR, ToHome::Publish(Arc::new(Publication::new("room"))));
}

/// Waits until the far core has taken all earlier messages.
async fn ask(mesh: &Mesh, to_core: &RingEnds<ToCore>, ticket: u64) {
    mesh.to_home.send(FAR, ToHome::Confirm { ticket });
    let answer = to_core.receive(FAR).await;
    assert!(matches!(answer, Some(ToCore::Sequenced { ticket: confirmed }) if confirmed == ticket));
}

/// Confirms messages that ask for it, and returns the number of items before the last confirmation.
async fn far(plan: MeshPlan) -> u64 {
    runtime::spawn(tick()).detach();
    let (mesh, to_home, _) = plan.join().await.expect("a place in the mesh");
    let mut taken = 0;
    while let Some(message) = to_home.receive(NEAR).await {
        if let ToHome::Confirm { ticket } = message {
            mesh.to_core.send(NEAR, ToCore::Sequenced { ticket });
            if ticket == LAST {
                break;
            }
        }
        taken += 1;
    }
    taken
}

async fn tick() {
    loop {
        runtime::sleep(TICK).await;
    }
}

criterion_group!(name = mesh_of_two; config = brief::briefly(); targets = mesh);
criterion_main!(mesh_of_two);
