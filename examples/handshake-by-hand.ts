// The protocol package alone: no sockets, no waiting, no Node. Bytes go in as they come, one at a
// time here, and the handshake is taken up again where it stopped. npx tsx
// examples/handshake-by-hand.ts
import {
  ClientHandshake,
  DEFAULT_LIMITS,
  MaskingKeys,
  Protocol,
  ProtocolConfig,
  type ProtocolOptions,
  type ProtocolSink,
  Runtime,
  ServerHandshake,
} from "@tungstate/protocol";
import { createHash, randomFillSync } from "node:crypto";

const sha1 = (bytes: Uint8Array): Uint8Array => createHash("sha1").update(bytes).digest();
const random = (target: Uint8Array): void => void randomFillSync(target);

/** All bytes that wait in a protocol's output. */
function outputOf(protocol: Protocol): Uint8Array {
  protocol.flushControlFrames();
  const { pieces } = protocol.output.take();
  return Buffer.concat(Array.isArray(pieces) ? pieces : [pieces]);
}

const client = new ClientHandshake({ host: "example.com", target: "/chat", random, sha1 });
const server = new ServerHandshake({ sha1 });

// the request, byte by byte
let steps = 0;
for (const byte of client.request()) {
  const progress = server.receive(Uint8Array.of(byte));
  if (progress.state === "refused") throw progress.error;
  if (progress.state === "request")
    console.log(`request for ${progress.request.target}, complete after ${steps} interruptions`);
  steps++;
}
const { response } = server.accept();

// the response, in two pieces
console.log("half a response:", client.receive(response.subarray(0, 40)).state);
console.log("all of it:", client.receive(response.subarray(40)).state);

// and now messages
const options: Omit<ProtocolOptions, "role"> = {
  ...DEFAULT_LIMITS,
  keys: new MaskingKeys(random),
  acceptUnmaskedFrames: false,
  compression: false,
  heartbeat: undefined,
  closeTimeout: 1000,
};
const sink = (name: string): ProtocolSink => ({
  onMessage: (message) => console.log(`${name} got:`, message.text),
});
const runtime = new Runtime();
const left = new Protocol(new ProtocolConfig(runtime, { ...options, role: "client" }), sink("client"));
const right = new Protocol(new ProtocolConfig(runtime, { ...options, role: "server" }), sink("server"));

left.send("hello, server");
right.receive(outputOf(left), Date.now());
right.send("hello, client");
left.receive(outputOf(right), Date.now());

left.close(1000, "that was all", Date.now());
right.receive(outputOf(left), Date.now());
left.receive(outputOf(right), Date.now());
console.log("server:", right.closing.code, right.closing.reason, right.closing.clean);
