// Two tabs of a real browser on the demo page. The arguments are the URL of the server and the path of the browser. The script
// writes each event to standard output. Where the test has something to do, the script waits for a line on standard input.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [url, executablePath] = process.argv.slice(2);
const orders = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

async function open() {
  const page = await browser.newPage();
  await page.goto(url);
  await page.locator("#events-state", { hasText: "connected" }).waitFor();
  await page.locator("#socket-state", { hasText: "connected" }).waitFor();
  await page.getByText("waiting for a message").waitFor();
  return page;
}

const everywhere = step => Promise.all(tabs.map(step));
const shown = (pane, text) => everywhere(page => page.locator(pane, { hasText: text }).first().waitFor());

async function say(what) {
  console.log(what);
  await orders.next();
}

const tabs = [await open(), await open()];
await everywhere(page => page.evaluate(async () => {
  const reader = (await fetch("/hold?channel=demo")).body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const until = async wanted => {
    while (!text.includes(wanted)) text += (await reader.read()).value;
  };
  await until("held");
  window.fetched = until("from outside");
}));
await tabs[0].fill("#message", "from a tab");
await tabs[0].keyboard.press("Enter");
await shown("#events li", "from a tab");
await shown("#socket li", "from a tab");
await shown("#poll li", "from a tab");
await say("both tabs have the message by all ways");

await shown("#events li", "from outside");
await everywhere(page => page.evaluate(() => window.fetched));
await everywhere(page => page.evaluate(() => {
  window.reopened = new Promise(resolve => stream.addEventListener("open", resolve, { once: true }));
}));
await say("both tabs have what was published outside");

await everywhere(page => page.evaluate(() => window.reopened));
await say("both tabs have connected again");

await shown("#events li", "after the end");
console.log("both tabs go on");
await browser.close();
process.exit();
