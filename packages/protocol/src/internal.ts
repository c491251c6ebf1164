// For the other packages of this repository alone: no promise is made about this entry.
export { argumentError, invalidOption, isArgumentError } from "./arguments.ts";
export { fieldsOfLines, linesOf } from "./handshake/header-fields.ts";
export { agreeToUpgrade, type AgreedUpgrade } from "./handshake/server-handshake.ts";
export { callError } from "./errors.ts";
export { utf8Length } from "./bytes/utf8.ts";
export { type KeySource } from "./frames/masking-keys.ts";
export { FIN, headerSize, RSV1, writeHeader } from "./frames/frame.ts";
export { moveMessage, viewMessage } from "./messages/message.ts";
export { Chain } from "./runtime/chain.ts";
export { type Memory } from "./runtime/memory.ts";
export { memoryOf } from "./runtime/runtime.ts";
export { ReceiveQueue } from "./messages/receive-queue.ts";
export { type InflateEvents, InflateQueue } from "./deflate/inflate-queue.ts";
export { compressedForm } from "./deflate/compressed-form.ts";
export { deflateWithoutContext } from "./deflate/message-codec.ts";
export { Output } from "./endpoint/output.ts";
export {
  acquireReceiver,
  Receiver,
  type ReceiverEvents,
  type ReceiverOptions,
  releaseReceiver,
} from "./endpoint/receiver.ts";
export { Sender } from "./endpoint/sender.ts";
