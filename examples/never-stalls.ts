// The scenario that stalls elsewhere: a client asks for 100,000 packets and reads them while it
// keeps writing; the server writes as fast as it is let. Three ways to read, each with all packets,
// in order, in bounded memory. npx tsx examples/never-stalls.ts
import { connect, type WebSocketConnection, WebSocketServer } from "tungstate";

const PACKETS = Number(process.argv[2] ?? 100_000);
const SIZE = 100; // bytes

const server = new WebSocketServer();
let notes = 0; // what the clients wrote meanwhile
let mostWaiting = 0; // bytes, at the server
server.on("connection", (connection) => {
  connection.on("message", (message) => {
    if (message.text !== "note") return sendPackets(connection, Number(message.text));
    notes++;
    return undefined;
  });
});
const address = await server.listen({ port: 0 });
const url = `ws://127.0.0.1:${typeof address === "string" ? 0 : address.port}`;

async function sendPackets(connection: WebSocketConnection, count: number): Promise<void> {
  for (let number = 0; number < count; number++) {
    const packet = Buffer.alloc(SIZE);
    packet.writeUInt32BE(number);
    if (!connection.write(packet)) await connection.flush();
    mostWaiting = Math.max(mostWaiting, connection.bufferedAmount);
  }
}

function check(packet: Uint8Array, number: number): void {
  const got = Buffer.from(packet.buffer, packet.byteOffset, 4).readUInt32BE();
  if (packet.length !== SIZE || got !== number) throw new Error(`expected packet ${number}, got ${got}`);
}

/** Reads and writes in one loop. */
async function oneLoop(connection: WebSocketConnection): Promise<void> {
  let number = 0;
  for await (const message of connection) {
    check(message.bytes, number++);
    connection.write("note");
    if (number === PACKETS) return;
  }
}

/** Reads in one task, writes in another, through the two halves. */
async function twoTasks(connection: WebSocketConnection): Promise<void> {
  const { readable, writable } = connection.split();
  const reader = readable.getReader();
  const writer = writable.getWriter();
  const read = async (): Promise<void> => {
    for (let number = 0; number < PACKETS; number++) {
      const { value } = await reader.read();
      if (value === undefined) throw new Error(`ended at packet ${number}`);
      check(value.bytes, number);
    }
  };
  const write = async (): Promise<void> => {
    for (let number = 0; number < PACKETS; number++) await writer.write("note");
  };
  await Promise.all([read(), write()]);
  reader.releaseLock();
  writer.releaseLock();
}

/** Does not read for a while, though everything has been asked for; then reads in batches. */
async function stopsForAWhile(connection: WebSocketConnection): Promise<void> {
  for (let number = 0; number < PACKETS; number++) connection.write("note");
  await new Promise((resolve) => setTimeout(resolve, 300));
  let number = 0;
  for await (const batch of connection.batches()) {
    for (const message of batch) check(message.bytes, number++);
    if (number === PACKETS) return;
  }
}

for (const way of [oneLoop, twoTasks, stopsForAWhile]) {
  notes = 0;
  mostWaiting = 0;
  const connection = await connect(url);
  connection.write(String(PACKETS));
  const before = process.memoryUsage().rss;
  await way(connection);
  await connection.close();
  const grown = Math.max(0, process.memoryUsage().rss - before) / 1024 / 1024;
  const waiting = (mostWaiting / 1024).toFixed(0);
  console.log(
    `${way.name}: ${PACKETS} packets in order, ${notes} notes; at most ${waiting} KiB waited, memory +${grown.toFixed(0)} MiB`,
  );
}
await server.close();
