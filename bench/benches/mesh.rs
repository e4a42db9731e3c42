//! What it costs to tell another core something: two cores with the server's own mesh between them, each an executor on
//! a thread of its own. For whoever changes `mesh`. With one CPU, or a second one that is busy, what is measured is
//! mostly the scheduler.

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
/// Messages of a ring, as `mesh_messages` is by default.
const RING: usize = 1024;
/// The ticket behind which nothing is sent.
const LAST: u64 = u64::MAX;
/// How often a core that sleeps wakes by itself, as the server's do.
const TICK: Duration = Duration::from_millis(100);

/// What the near core does with the far one.
#[derive(Clone, Copy)]
enum Exchange {
    /// Publishes without waiting, and has the last of it confirmed.
    Publish,
    /// Has one thing confirmed after the other.
    Ask,
}

fn mesh(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mesh");
    group.throughput(Throughput::Elements(1));
    for (name, exchange) in [("one_way", Exchange::Publish), ("round_trip", Exchange::Ask)] {
        group.bench_function(name, |bencher| bencher.iter_custom(|times| timed(exchange, times)));
    }
}

/// How long the near core takes for `exchange` so many times; joining the mesh is left out.
fn timed(exchange: Exchange, times: u64) -> Duration {
    let plan = MeshPlan::new(2, RING);
    let far_plan = plan.clone();
    let ((near_ends, near_ended), (far_ends, far_ended)) = (channel(), channel());
    // The mesh numbers cores in the order they are started in.
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

/// Publishes something, when there is room; it is made here and dropped there, as what publishers send is.
async fn publish(mesh: &Mesh) {
    while !mesh.to_home.has_room(FAR) {
        mesh.to_home.roomier().rung().await;
    }
    mesh.to_home.send(FAR, ToHome::Publish(Arc::new(Publication::new("room"))));
}

/// Waits until the far core has taken everything that was sent before.
async fn ask(mesh: &Mesh, to_core: &RingEnds<ToCore>, ticket: u64) {
    mesh.to_home.send(FAR, ToHome::Confirm { ticket });
    let answer = to_core.receive(FAR).await;
    assert!(matches!(answer, Some(ToCore::Sequenced { ticket: confirmed }) if confirmed == ticket));
}

/// Confirms what it is asked to, and counts what it was sent before the last of that.
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
