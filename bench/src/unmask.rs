//! How fast the mask of clients' frames comes off (RFC 6455 section 5.3).

use gripwire::proto::websocket::unmask;
use std::time::Instant;

/// Bytes of a frame: within the caches, as what was just received is.
const FRAME_BYTES: usize = 64 * 1024;
/// Frames in each round.
const FRAMES: usize = 20_000;

/// Reports the best of a few rounds: what else the machine does can only slow one down.
pub fn run() -> anyhow::Result<()> {
    let mut frame = vec![0x5a; FRAME_BYTES];
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let started = Instant::now();
        for number in 0..FRAMES {
            // Another mask for each, and an odd beginning, as frames have.
            unmask(std::hint::black_box(&mut frame), (number as u32).to_le_bytes(), number as u64);
        }
        best = best.min(started.elapsed().as_secs_f64());
    }
    println!("unmask: {:.1} GB/s on frames of {FRAME_BYTES} B", (FRAMES * FRAME_BYTES) as f64 / best / 1e9);
    Ok(())
}
