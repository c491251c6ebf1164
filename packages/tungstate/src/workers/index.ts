export { accept } from "./accept.ts";
export { upgrade, type Upgrade, type UpgradeOptions } from "./upgrade.ts";
export { type ConnectionHandler, type DurableObjectSockets, Hibernation } from "./hibernation.ts";
export { WORKERS_ERRORS, type WorkersErrorCode } from "./errors.ts";
export type { WorkerConnectionOptions } from "./options.ts";
export type { ServerSocket } from "./socket.ts";
export type { WorkerConnection, WorkerConnectionEvents } from "./types.ts";
export { Message, type MessageData } from "../platform/message.ts";
export type { CloseInfo, ConnectionStats } from "../connection/types.ts";
