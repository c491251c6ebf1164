// For the other packages of this repository alone: no promise is made about this entry.
export { argumentError, invalidOption, isArgumentError } from "@tungstate/protocol/internal";
export { describe } from "./options/describe.ts";
export { checkNames, type OptionNames } from "./options/names.ts";
export { systemClock } from "./schedule/clock.ts";
export { Deadlines, NOWHERE, type Timed } from "./schedule/deadlines.ts";
export { checkTime, MAX_TIME } from "./options/time.ts";
export { defaultRuntime, type NodeRuntime } from "./native/runtime.ts";
export { hasOnly } from "./options/plain-object.ts";
export { type Flusher } from "./schedule/flusher.ts";
export { type CompressionSettings } from "./deflate/settings.ts";
export { zlibEngine } from "./deflate/engine.ts";
export { shareSocket, type SharedSocketTransport, type SocketSharer } from "./transport/shared-socket.ts";
export type { TransportSink } from "./transport/transport.ts";
export { HostPolicy, LOCAL_HOSTS } from "./server/admission/hosts.ts";
export { mayConnect, type OriginPolicy } from "./server/admission/origin.ts";
export { sha1 } from "./native/primitives.ts";
