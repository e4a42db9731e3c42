//! Two thousand streams that each have a link of their own, and find out at the same moment that they missed something:
//! all of them are made up for, and the application has no more of their requests at a time than it was promised.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page, Then};
use crate::harness::proxy::{cores, standard};
use crate::harness::publisher::stream_item;
use crate::harness::request::get;
use crate::harness::{pushpin_differs, unique};

const STREAMS: usize = 2_000;
/// `refetches_per_core`, as it is if nobody sets it.
const AT_A_TIME_PER_CORE: usize = 16;
/// What a request costs the application.
const WORK: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

#[test]
fn two_thousand_streams_with_links_of_their_own_are_made_up_for() {
    pushpin_differs!("it asks for ten links a second");
    let (channel, load) = (unique("ch"), Arc::<Load>::default());
    let page = Page::handling({
        let (channel, load) = (channel.clone(), load.clone());
        move |request, socket| {
            let is_link = request.target.contains("link=");
            if is_link {
                load.all.fetch_add(1, Ordering::SeqCst);
                let now = load.now.fetch_add(1, Ordering::SeqCst) + 1;
                load.most.fetch_max(now, Ordering::SeqCst);
                thread::sleep(WORK);
            }
            let (count, body) = if is_link { (3, "2\n3\n") } else { (1, "[opened]\n") };
            let link = request.target.replace("stream=", "link=");
            let answer = Answer::text(body)
                .header("Grip-Hold", "stream")
                .header("Grip-Channel", &format!("{channel}; prev-id={count}"))
                .header("Grip-Link", &format!("<{link}>; rel=next"));
            if is_link {
                load.now.fetch_sub(1, Ordering::SeqCst);
            }
            let _ = socket.write_all(&answer.bytes_for(&request.method));
            Then::KeepOpen
        }
    });
    let mut clients: Vec<Client> =
        (0..STREAMS).map(|number| standard().ask(&get(format!("{}?stream={number}", page.path)))).collect();
    for client in &mut clients {
        client.head();
        client.expect_body("[opened]\n");
    }
    let begun = Instant::now();
    let mut item = stream_item(&channel, "3\n");
    (item["id"], item["prev-id"]) = (json!("3"), json!("2"));
    standard().publish(item);
    clients.iter_mut().for_each(|client| client.expect_body("2\n3\n"));
    let (all, most) = (load.all.load(Ordering::SeqCst), load.most.load(Ordering::SeqCst));
    println!("{STREAMS} streams made up for within {:?}, at most {most} requests at a time", begun.elapsed());
    assert_eq!(all, STREAMS, "one request for each");
    assert!(most <= AT_A_TIME_PER_CORE * cores(), "{most} requests at a time");
}
