// SockJS's own client, by each transport that works outside a browser. The argument is the URL of the service. The script writes
// each event to standard output, and waits for a line on standard input before it goes on.
import { createInterface } from "node:readline";
import SockJS from "sockjs-client";

const url = process.argv[2];
const orders = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

for (const transport of ["websocket", "xhr-polling"]) {
  const socket = new SockJS(url, null, { transports: [transport] });
  const messages = [];
  let arrived = () => {};
  socket.onmessage = ({ data }) => {
    messages.push(data);
    arrived();
  };
  const message = async text => {
    while (!messages.includes(text)) await new Promise(resolve => (arrived = resolve));
  };
  const closed = new Promise(resolve => (socket.onclose = resolve));
  await new Promise(resolve => (socket.onopen = resolve));
  const texts = ["one", "quotes \" and \\", "ä \u2028 \u{1f600}"];
  texts.forEach(text => socket.send(text));
  for (const text of texts) await message(text);
  console.log(`${transport}: ${socket.transport} says it all back`);
  await orders.next();
  await message(`published to ${transport}`);
  console.log(`${transport}: published`);
  await orders.next();
  const { code } = await closed;
  console.log(`${transport}: closed with ${code}`);
}
process.exit();
