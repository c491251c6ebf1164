// For the other packages of this repository alone: no promise is made about this entry.
export { argumentError, invalidOption, isArgumentError } from "./arguments.ts";
export { callError } from "./errors.ts";
export { moveMessage } from "./messages/message.ts";
export { memoryOf } from "./runtime/runtime.ts";
export { ReceiveQueue } from "./messages/receive-queue.ts";
