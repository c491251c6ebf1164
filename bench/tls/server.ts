// A TLS server in a separate process: receives its options by IPC and answers with its port.
import type { AddressInfo } from "node:net";
import process from "node:process";
import { createServer, type SecureVersion } from "node:tls";

export interface ServerOptions {
  readonly key: string;
  readonly cert: string;
  readonly version: SecureVersion;
}

process.once("message", ({ key, cert, version }: ServerOptions) => {
  const server = createServer({ key, cert, minVersion: version, maxVersion: version, noDelay: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.write("!");
    socket.resume();
  });
  server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
});
process.once("disconnect", () => process.exit());
