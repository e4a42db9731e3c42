// A page of the Django application in a real browser. The arguments are the URL of the page and the path of the browser. Each
// line on standard input is a number of events: when the page shows that many, the script writes the page's text.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [url, executablePath] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage();
await page.goto(url);
await page.waitForFunction(() => document.title === "open");
console.log("open");
for await (const count of createInterface({ input: process.stdin })) {
  const items = page.locator("#events li");
  await items.nth(Number(count) - 1).waitFor();
  console.log((await items.allTextContents()).join(", "));
}
await browser.close();
process.exit();
