//! Publishers of a simulation, by HTTP: each says what it published and when it was answered.

use super::cluster::CONTROL;
use super::deliveries::Deliveries;
use super::http::{Connection, dice, elapsed};
use super::scenario::STOP;
use gripwire::runtime;
use serde_json::{Value, json};
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// Items of one call, at most.
const ITEMS: usize = 20;

/// Publishes to channels below `channels`, until everyone stops.
pub async fn publish(deliveries: Rc<Deliveries>, number: usize, channels: usize) {
    let mut published = 0;
    while elapsed() < STOP {
        // A publisher whose connection the server has closed opens another one.
        let Ok(mut connection) = Connection::open(CONTROL).await else { continue };
        while elapsed() < STOP {
            let count = if dice(|dice| dice.chance(20)) { 1 + dice(|dice| dice.below(ITEMS)) } else { 1 };
            let items: Vec<(usize, String)> = (0..count)
                .map(|index| (dice(|dice| dice.below(channels)), format!("{number}.{};", published + index)))
                .collect();
            published += count;
            if call(&deliveries, &mut connection, &items).await.is_err() {
                break;
            }
            if dice(|dice| dice.chance(50)) {
                let pause = if dice(|dice| dice.chance(20)) { 1..900_000 } else { 1..20_000 };
                runtime::sleep(Duration::from_micros(dice(|dice| dice.within(pause)))).await;
            }
        }
    }
}

/// Publishes `items` in one call, and waits for the answer.
pub async fn call(
    deliveries: &Deliveries,
    connection: &mut Connection,
    items: &[(usize, String)],
) -> io::Result<u16> {
    let all: Vec<Value> = items.iter().map(|(channel, text)| item(*channel, text)).collect();
    let body = json!({"items": all}).to_string();
    let head =
        format!("POST /publish/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    items.iter().for_each(|(channel, text)| deliveries.begins(*channel, text));
    connection.send((head + &body).as_bytes()).await?;
    let head = connection.head().await?;
    connection.body(&head).await?;
    if head.status == 200 {
        items.iter().for_each(|(channel, text)| deliveries.confirmed(*channel, text));
    }
    Ok(head.status)
}

fn item(channel: usize, text: &str) -> Value {
    let formats = json!({
        "http-stream": {"content": text},
        "http-response": {"body": text},
        "ws-message": {"content": text},
    });
    json!({"channel": channel.to_string(), "formats": formats})
}
