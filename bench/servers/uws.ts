import { createRequire } from "node:module";
import process from "node:process";
import { burster, listening, MAX_MESSAGE, parseBurst, serverOptions, versionOf } from "./contract.ts";

const { host, port, deflate, tls } = serverOptions();
const require = createRequire(import.meta.url);

// Without a binary for this Node, the package warns and uses ws internally, which must not be
// measured.
console.warn = (text: string) => {
  process.stderr.write(`${text}\n`);
  process.exit(1);
};
/** A folder, or the package that is installed with this repository. */
const { UWS: module = "@trufflesuite/uws-js-unofficial" } = process.env;
const uws = load();

function load(): typeof import("@trufflesuite/uws-js-unofficial") {
  try {
    return require(module) as typeof import("@trufflesuite/uws-js-unofficial");
  } catch (error) {
    // the last line is the system's reason, such as a C library that is too old
    process.stderr.write(`${String(error).trim().split("\n").at(-1)}\n`);
    process.exit(1);
  }
}

const app = tls === undefined ? uws.App() : uws.SSLApp({ key_file_name: tls.key, cert_file_name: tls.cert });
const behavior = {
  maxPayloadLength: MAX_MESSAGE,
  maxBackpressure: 4 * MAX_MESSAGE,
  idleTimeout: 120, // seconds
  compression: deflate ? uws.SHARED_COMPRESSOR : uws.DISABLED,
};
const decoder = new TextDecoder();
const waiting = new Map<unknown, () => void>();

const broadcast: Parameters<typeof app.ws>[1] = {
  ...behavior,
  open: (socket) => void socket.subscribe("all"),
  message: (_socket, data, binary) => void app.publish("all", data, binary, deflate),
};

app
  .ws("/echo", { ...behavior, message: (socket, data, binary) => void socket.send(data, binary, deflate) })
  .ws("/broadcast", broadcast)
  .ws("/ws", broadcast)
  .ws("/burst", {
    ...behavior,
    maxBackpressure: 1024 * 1024,
    message(socket, data) {
      const burst = parseBurst(decoder.decode(data));
      if (burst === undefined) return;
      // 1: sent. 0: buffered, wait for `drain`.
      const more = burster(burst.count, () => socket.send(burst.payload, true) === 1);
      waiting.set(socket, more);
      more();
    },
    drain: (socket) => waiting.get(socket)?.(),
    close: (socket) => void waiting.delete(socket),
  })
  .listen(host, port, (token) => {
    if (token === false) throw new Error(`cannot listen on ${host} port ${port}`);
    const version = versionOf(require.resolve(`${module}/package.json`)).replace(/-.*/, "");
    listening(uws.us_socket_local_port(token), `uWebSockets.js ${version}`);
  });
