import type { Worker } from "node:cluster";
import type { Channel, Message } from "./link.ts";

/** From a primary to one of its workers. */
export function toWorker(worker: Worker): Channel {
  return {
    send(messages, done) {
      if (worker.isConnected()) worker.send(messages, undefined, done);
      else done();
    },
    listen(receive, ended) {
      worker.on("message", (messages: readonly Message[]) => receive(messages));
      worker.once("disconnect", ended);
      worker.once("exit", ended);
      worker.on("error", () => undefined); // it could not be sent to: its end is told by itself
    },
  };
}

/** From a worker to its primary. */
export function toPrimary(): Channel {
  return {
    send(messages, done) {
      if (process.connected) process.send?.(messages, undefined, undefined, done);
      else done();
    },
    listen(receive, ended) {
      process.on("message", (messages: readonly Message[]) => receive(messages));
      process.once("disconnect", ended);
    },
  };
}
