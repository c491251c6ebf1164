import { type Message, WebSocketError } from "@tungstate/protocol";
import type { Driver } from "../connection/driver/driver.ts";
import type { MessageData, WebSocketConnection } from "../connection/types.ts";
import type { HandshakeRequest } from "./admission/request.ts";

/** An async generator that handles a connection: it receives messages and yields messages. */
export type StreamHandler = (
  messages: AsyncIterable<Message>,
  connection: WebSocketConnection,
  request: HandshakeRequest,
) => AsyncIterable<MessageData>;

/**
 * Sends what the generator yields, at the pace of the peer; closes with 1000 at its end, with 1011
 * if it throws.
 */
export async function runStream(driver: Driver, request: HandshakeRequest, handler: StreamHandler): Promise<void> {
  const { connection } = driver;
  try {
    for await (const reply of handler(connection, connection, request)) {
      if (!connection.write(reply)) await driver.room();
    }
    await connection.close();
  } catch (error) {
    // that the connection ended with messages left to send is not an error of the handler
    if (connection.state === "open" || !(error instanceof WebSocketError)) driver.handlerFailed(error);
  }
}
