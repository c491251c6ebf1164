import { size, time } from "../options/check.ts";
import { checkNames, type OptionNames } from "../options/names.ts";
import { systemTimers, type Timers } from "../schedule/timers.ts";

/** Options of a connection. */
export interface WorkerConnectionOptions {
  /** Bytes in the platform's buffer above which `write` returns false. Default 128 KiB. */
  readonly writeBufferSize?: number;
  /**
   * Limit of unread messages in bytes. The platform has no back pressure for received messages:
   * beyond the limit, the connection ends with 1013 and RECEIVE_QUEUE_FULL. Default 16 MiB.
   */
  readonly receiveQueueSize?: number;
  /** Time limit of the closing handshake in ms. Default 5,000. */
  readonly closeTimeout?: number;
}

/** The options, checked and complete. */
export interface WorkerSettings extends Required<WorkerConnectionOptions> {
  readonly clock: Timers;
}

const OPTIONS: OptionNames<WorkerConnectionOptions> = {
  writeBufferSize: true,
  receiveQueueSize: true,
  closeTimeout: true,
};

/** Checks the options. Throws INVALID_ARGUMENT. */
export function workerSettings(options: WorkerConnectionOptions): WorkerSettings {
  checkNames(options, OPTIONS);
  return {
    writeBufferSize: size(options, "writeBufferSize", 128 * 1024, 0),
    receiveQueueSize: size(options, "receiveQueueSize", 16 * 1024 * 1024, 0),
    closeTimeout: time(options, "closeTimeout", 5_000),
    clock: systemTimers,
  };
}
