// An EventSource over the restart of its server: in a real browser, whose path is the second argument, else that of Node. The
// first argument is the URL of the server. The script writes the data of each event to standard output, and "open" for each
// connection.

const [url, executablePath] = process.argv.slice(2);

function follow(path) {
  const events = new EventSource(path);
  events.onopen = () => say("open");
  events.onmessage = event => say(event.data);
}

if (executablePath) {
  const { chromium } = await import("playwright-core");
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const page = await browser.newPage();
  await page.exposeFunction("say", text => console.log(text));
  await page.goto(`${url}/page`);
  await page.evaluate(follow, "/events");
} else {
  globalThis.say = text => console.log(text);
  // Node would end while nothing but an EventSource waits.
  setInterval(() => {}, 1000);
  follow(`${url}/events`);
}
