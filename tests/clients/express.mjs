// An application in Express with @fanoutio/serve-grip. It holds streams, talks to WebSockets, and publishes the lines of standard
// input to both. The first line is the URI of the control port.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { HttpStreamFormat, WebSocketMessageFormat } from "@fanoutio/grip";
import { ServeGrip } from "@fanoutio/serve-grip";
import express from "express";

const app = express();
const server = createServer(app);
server.listen(0, "127.0.0.1", () => console.log(server.address().port));

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const control_uri = (await lines.next()).value;
const serveGrip = new ServeGrip({ grip: { control_uri, verify_key: "changeme" }, isGripProxyRequired: true });
app.use(serveGrip);
app.get("/stream", (request, response) => {
  if (!request.grip.isSigned) return response.status(403).end();
  const instruct = response.grip.startInstruct();
  instruct.addChannel("express");
  instruct.setHoldStream();
  response.type("text/plain").end("opened\n");
});
app.post("/socket", (request, response) => {
  const { wsContext } = request.grip;
  if (wsContext.isOpening()) {
    wsContext.accept();
    wsContext.subscribe("express");
  }
  while (wsContext.canRecv()) {
    const message = wsContext.recv();
    if (message === null) {
      wsContext.close();
      break;
    }
    wsContext.send(`heard ${message}`);
  }
  response.end();
});
console.log("ready");

for await (const line of lines) {
  const publisher = serveGrip.getPublisher();
  await publisher.publishFormats("express", [new HttpStreamFormat(`${line}\n`), new WebSocketMessageFormat(line)]);
}
process.exit();
