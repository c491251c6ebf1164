// A connection whose queues are full reads nothing, and still notices the end of its stream.
import assert from "node:assert/strict";
import { constants, type Http2Stream } from "node:http2";
import { describe, test } from "node:test";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { routesOfAllVersions } from "../support/routes.ts";
import { BINARY, frame } from "../support/raw.ts";
import { turns } from "../support/server.ts";

const FULL = { receiveQueueSize: 1000, readAheadSize: 10_000, heartbeat: { interval: 100, timeout: 100 } };
const MESSAGES = 200; // of 10,000 bytes, more than the queues and the window of a stream

/** Waits until nothing more is read. */
async function standstill(connection: WebSocketConnection): Promise<void> {
  for (let before = -1; before !== connection.stats.bytesReceived;) {
    before = connection.stats.bytesReceived;
    await turns(20);
  }
}

describe("a delayed peer", () => {
  for (const route of routesOfAllVersions.filter(({ name }) => /http2|HTTP\/2/.test(name))) {
    for (const [how, code, waiting = 0] of [
      ["CANCEL", constants.NGHTTP2_CANCEL],
      ["NO_ERROR", constants.NGHTTP2_NO_ERROR],
      ["NO_ERROR, with output that waits", constants.NGHTTP2_NO_ERROR, 1024 * 1024],
      ["the loss of its socket", undefined],
    ] as const) {
      test(`is detected over ${route.name} after ${how}`, async (t) => {
        const served = await route.start(t, FULL);
        const { raw, socket } = await served.opened(t);
        for (let number = 0; number < MESSAGES; number++) raw.send(frame(BINARY, Buffer.alloc(10_000, number)));
        await served.until(() => served.accepted.length > 0);
        const [connection] = served.accepted;
        assert.ok(connection !== undefined);
        while (connection.stats.bytesReceived === 0) await turns(1);
        await standstill(connection);
        assert.equal(connection.state, "open");
        if (waiting > 0) connection.write(new Uint8Array(waiting));
        if (code === undefined) socket.destroy();
        else (raw.stream as Http2Stream).close(code);
        const info = await connection.closed;
        assert.deepEqual([info.code, info.error?.code], [1006, "CONNECTION_LOST"]);
      });
    }
  }
});
