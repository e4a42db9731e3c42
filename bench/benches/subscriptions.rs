//! Measures the subscription table and the run queue in `channel`, without sockets: subscribing clients, and finding the
//! subscribers of published items.

mod brief;

use bytes::Bytes;
use criterion::{BatchSize, Bencher, Criterion, Throughput, criterion_group, criterion_main};
use gripwire::channel::{Readiness, Slice, SliceKind, Subscriptions, ToCore, ToHome, Transport};
use gripwire::ids::Slot;
use gripwire::proto::grip::{Publication, StreamFormat};
use std::sync::Arc;

/// Rows of the table in which clients subscribe and unsubscribe.
const ROWS: usize = 100_000;
/// Subscribers of the one large channel.
const SUBSCRIBERS: usize = 15_000;
/// Number of channels with one subscriber each.
const CHANNELS: usize = 10_000;
/// Publications that wait for one pass.
const GATHERED: usize = 256;
/// Bytes of a publication's content, and of its chunk.
const CONTENT_BYTES: usize = 100;
const CHUNK_BYTES: usize = CONTENT_BYTES + b"64\r\n\r\n".len();
/// Subscribers of a slice, as a core takes them.
const SLICE: usize = 1024;
/// A step through all numbers below [`ROWS`] that no cache predicts. The two numbers have no common factor.
const STRIDE: usize = 61_803;

fn coming_and_going(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("subscriptions/churn");
    group.throughput(Throughput::Elements(1));
    let (many, one) = (Audience { rows: ROWS, channels: ROWS }, Audience { rows: ROWS, channels: 1 });
    group.bench_function("return_to_100k_channels", |bencher| leave_and_return(bencher, many));
    group.bench_function("return_to_one_of_100k", |bencher| leave_and_return(bencher, one));
    group.bench_function("new_beside_100k_channels", |bencher| come_and_go(bencher, many));
}

/// A client unsubscribes and subscribes again while the channel lingers, as long polls do.
fn leave_and_return(bencher: &mut Bencher, audience: Audience) {
    let mut table = audience.table(Transport::Response);
    let channels: Vec<String> = (0..audience.rows).map(|row| audience.channel(row)).collect();
    let mut row = 0;
    bencher.iter(|| {
        row = (row + STRIDE) % audience.rows;
        let slot = Slot(row as u32);
        table.unsubscribe(slot);
        table.subscribe(slot, Transport::Response, &[channels[row].as_str()], &mut |_, _| {})
    });
    assert_eq!(table.subscriptions(), audience.rows);
}

/// A client is the first and last subscriber of its channel, so the home is told that interest begins and ends.
fn come_and_go(bencher: &mut Bencher, audience: Audience) {
    let mut table = audience.table(Transport::Response);
    let (slot, mut tick) = (Slot(audience.rows as u32), 0u32);
    bencher.iter(|| {
        subscribe(&mut table, slot, Transport::Response, "another");
        table.unsubscribe(slot);
        tick = tick.wrapping_add(1);
        table.set_now(tick);
        table.expire(usize::MAX, &mut |_, _| {});
    });
    assert_eq!((table.channels(), table.subscriptions()), (audience.channels, audience.rows));
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("subscriptions/fan_out");
    let cases = [
        ("one_channel_of_15k", Audience { rows: SUBSCRIBERS, channels: 1 }, 1),
        ("10k_channels_of_one", Audience { rows: CHANNELS, channels: CHANNELS }, CHANNELS),
        ("256_gathered_for_one", Audience { rows: 1, channels: 1 }, GATHERED),
    ];
    for (name, audience, publications) in cases {
        let deliveries = publications * audience.rows / audience.channels;
        group.throughput(Throughput::Elements(deliveries as u64));
        group.bench_function(name, |bencher| deliver(bencher, audience, publications));
    }
}

/// Publishes to the channels of `audience` in turn, until all items are handed out.
fn deliver(bencher: &mut Bencher, audience: Audience, publications: usize) {
    let mut table = audience.table(Transport::StreamChunked);
    let mut slice = Slice::default();
    let published =
        || (0..publications).map(|number| publication(&audience.channel(number))).collect::<Vec<_>>();
    let expected = publications * audience.rows / audience.channels * CHUNK_BYTES;
    bencher.iter_batched(
        published,
        |published| {
            for publication in published {
                table.handle(ToCore::Deliver(publication), &mut Vec::new());
            }
            assert_eq!(handed_out(&mut table, &mut slice), expected);
        },
        BatchSize::PerIteration,
    );
    assert_eq!(table.pending(), (0, 0));
}

/// Number of bytes for all subscribers in all pending slices.
fn handed_out(table: &mut Subscriptions, slice: &mut Slice) -> usize {
    let mut bytes = 0;
    while table.next_slice(SLICE, slice) {
        if let SliceKind::Stream { frame, .. } = &slice.kind {
            bytes += frame.len() * slice.slots.len();
        }
    }
    bytes
}

fn publication(channel: &str) -> Arc<Publication> {
    let mut publication = Publication::new(channel);
    publication.stream = Some(StreamFormat::Content(Bytes::from_static(&[b'x'; CONTENT_BYTES])));
    Arc::new(publication)
}

/// Rows that are each subscribed to one of the channels, in turn.
#[derive(Clone, Copy)]
struct Audience {
    rows: usize,
    channels: usize,
}

impl Audience {
    fn channel(self, row: usize) -> String {
        format!("room-{}", row % self.channels)
    }

    fn table(self, transport: Transport) -> Subscriptions {
        let mut table = Subscriptions::new(1, 0);
        for row in 0..self.rows {
            subscribe(&mut table, Slot(row as u32), transport, &self.channel(row));
        }
        assert_eq!((table.channels(), table.subscriptions()), (self.channels, self.rows));
        table
    }
}

/// Subscribes `slot`, and answers in place of the home if necessary.
fn subscribe(table: &mut Subscriptions, slot: Slot, transport: Transport, channel: &str) {
    let (mut asked, mut ready) = (None, Vec::new());
    let readiness = table.subscribe(slot, transport, &[channel], &mut |_, message| asked = Some(message));
    if let Some(ToHome::Subscribe { channel, epoch }) = asked {
        table.handle(ToCore::Subscribed { channel, epoch, last_id: None }, &mut ready);
    }
    assert!(readiness == Readiness::Ready || ready == [slot]);
}

criterion_group!(name = subscriptions; config = brief::briefly(); targets = coming_and_going, fan_out);
criterion_main!(subscriptions);
