import { QuotaExceededError } from "../broker/broker.ts";
import type { ClientSession } from "../settings/client-session.ts";
import { CommandError, commandError, Disconnect, type CodeAndReason } from "../codes.ts";
import type { Namespace } from "../settings/namespaces.ts";
import type { SessionContext } from "./session.ts";
import type { Sessions } from "./sessions.ts";

/** A client calls a function of the application's. */
export interface RpcRequest {
  /** The session that calls. */
  readonly session: ClientSession;
  /** The name of the function. */
  readonly method: string;
  /** The argument that the client sent. */
  readonly data: unknown;
}

/** What it returns goes to the client. A CommandError or Disconnect thrown reaches it as well. */
export type RpcHandler = (request: RpcRequest) => unknown;

/** What commands need of their hub. */
export interface Parts extends SessionContext {
  readonly registry: Sessions;
  /** By name. */
  readonly rpc: ReadonlyMap<string, RpcHandler>;
}

export function namespaceOf(parts: Parts, channel: string): Namespace {
  const namespace = parts.settings.namespaces.of(channel);
  if (namespace === undefined) throw commandError("UNKNOWN_CHANNEL");
  return namespace;
}

/** Ends the connection whose command is under way. */
export function disconnect(why: CodeAndReason): Disconnect {
  return new Disconnect(why.code, why.reason);
}

/** What a client is told of an error: of one that was not meant for it, only that there was one. */
export function tellable(error: unknown, onError: (error: unknown) => void): CommandError | Disconnect {
  if (error instanceof CommandError || error instanceof Disconnect) return error;
  if (error instanceof QuotaExceededError) return commandError("LIMIT_EXCEEDED", error.message);
  onError(error);
  return commandError("INTERNAL");
}
