// An application in Node with @fanoutio/grip. It holds a stream for each request that comes through Gripwire, and publishes the
// lines of standard input.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { GripInstruct, Publisher, validateSig } from "@fanoutio/grip";

const server = createServer(async (request, response) => {
  if (!(await validateSig(request.headers["grip-sig"], "changeme"))) {
    return response.writeHead(403).end("not signed");
  }
  const instruct = new GripInstruct("library");
  instruct.setHoldStream();
  response.writeHead(200, instruct.toHeaders({ "Content-Type": "text/plain" })).end("opened\n");
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));

for await (const line of createInterface({ input: process.stdin })) {
  const [control, message] = line.split(" ");
  await new Publisher({ control_uri: control }).publishHttpStream("library", `${message}\n`);
}
process.exit();
