// SockJS's own client in a real browser, by each transport that the server has, and by the transport that the client chooses.
import { chromium } from "playwright-core";

const [origin, executablePath, library] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage();
await page.goto(`${origin}/`);
await page.addScriptTag({ path: library });
for (const transport of ["websocket", "xhr-polling", "jsonp-polling", null]) {
  const used = await page.evaluate(transport => new Promise((resolve, reject) => {
    const options = transport ? { transports: [transport] } : {};
    const socket = new SockJS("/sockjs", null, options);
    socket.onopen = () => socket.send("say \"it\" + ä");
    socket.onmessage = ({ data }) => data === "say \"it\" + ä" ? resolve(socket.transport) : reject(data);
    socket.onclose = ({ code, reason }) => reject(`${code} ${reason}`);
  }), transport);
  console.log(`${transport ?? "any"}: ${used}`);
}
await browser.close();
