import { commandError, DISCONNECTS } from "../../codes.ts";
import { toJson } from "../../json/json.ts";
import { disconnect, type Parts } from "../parts.ts";
import type { PingCommand, RpcCommand, SendCommand } from "../../protocol/command.ts";
import { reply } from "../../protocol/encode.ts";
import type { Session } from "../session.ts";

export async function rpc(session: Session, parts: Parts, command: RpcCommand): Promise<void> {
  const handler = parts.rpc.get(command.name);
  // Centrifugo answers a method without an RPC proxy with 108, whether or not other methods have
  // one; it has 104 for unknown namespaces of methods, and a hub has no such namespaces.
  if (handler === undefined) throw commandError("NOT_AVAILABLE", "no function is registered for this method");
  const result = await handler({ session, method: command.name, data: command.data });
  const data = result === undefined ? "" : `"data":${toJson(result, "the result of a call")}`;
  session.outbox.line(reply(command.id, "rpc", `{${data}}`));
}

/**
 * A message for the application. There is no answer, so an error has nowhere to go but the end of
 * the connection.
 */
export function send(session: Session, parts: Parts, command: SendCommand): void {
  const { onMessage } = parts.settings;
  if (onMessage === undefined) throw disconnect(DISCONNECTS.NOT_AVAILABLE);
  onMessage(session, command.data);
}

export function ping(session: Session, _parts: Parts, command: PingCommand): void {
  session.outbox.line(reply(command.id, "ping", "{}"));
}
