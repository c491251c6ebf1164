// A connection as an async generator: messages in, messages out. Its end closes with 1000, a throw with 1011.
//   npx tsx examples/generator.ts
import { connect, WebSocketServer } from "tungstate";

const server = new WebSocketServer();
server.stream(async function* (messages) {
  yield "I repeat everything, until you say bye";
  for await (const message of messages) {
    if (message.text === "bye") break;
    yield message.text.toUpperCase();
  }
  yield "bye";
});
const address = await server.listen({ port: 0 });

const client = await connect(`ws://127.0.0.1:${typeof address === "string" ? 0 : address.port}`);
for (const line of ["one", "two", "bye"]) client.write(line);
for await (const message of client) console.log(message.text);
console.log("closed with", (await client.closed).code);
await server.close();
