// A page of the Django application in a real browser. Told where it and the browser are; says what the page shows, all of it,
// whenever it has as many events as the next line on standard input says.
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
