import { connect } from "../../src/client/connect.ts";
import { driverOf } from "../../src/connection/connection.ts";
import { WebSocketServer } from "../../src/server/server.ts";

// A program for tests: a server and a client that exchange messages over TCP. Prints a line of JSON
// and exits by itself.

const server = new WebSocketServer();
server.on("connection", (connection) => {
  connection.on("message", (message) => void connection.write(message));
});
const { port } = (await server.listen()) as { port: number };
const client = await connect(`ws://127.0.0.1:${port}/`, { proxy: false });
let echoed = 0;
for (let number = 0; number < 20; number++) client.write(Buffer.alloc(number * number * 100, number));
for await (const message of client) {
  if (message.size === echoed * echoed * 100) echoed++;
  if (echoed === 20) break;
}
const [connection] = server.connections;
const [here, there] = await Promise.all([client.close(), connection?.closed]);
await server.close();
const transport: unknown = Reflect.get(driverOf(client) ?? {}, "transport");
const kind = transport instanceof Object ? transport.constructor.name : "none";
console.log(JSON.stringify({ kind, echoed, codes: [here.code, there?.code] }));
