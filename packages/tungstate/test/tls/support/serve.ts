// A server in a separate process: receives the options of its port in a message, reports the port,
// ends with the channel.
import process from "node:process";
import type { TlsOptions } from "node:tls";
import { WebSocketServer } from "../../../src/server/server.ts";

/** The message, as text. */
export interface ServeMessage {
  readonly key: string;
  readonly cert: string;
  /** base64 */
  readonly ticketKeys: string | undefined;
}

process.once("message", (message: ServeMessage) => {
  const { key, cert, ticketKeys } = message;
  const tls: TlsOptions = {
    key,
    cert,
    ...(ticketKeys === undefined ? {} : { ticketKeys: Buffer.from(ticketKeys, "base64") }),
  };
  const server = new WebSocketServer();
  server.on("connection", (connection) => connection.on("message", (data) => connection.write(data)));
  server.listen({ tls }).then(
    (address) => process.send?.(typeof address === "string" ? address : address.port),
    (error: unknown) => process.send?.(String(error)),
  );
});
process.once("disconnect", () => process.exit(0));
