// Findings of `npm run simulate`, in their shortest form.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accept } from "../../src/server/accept.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { frame, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { turns } from "../support/server.ts";

for (const way of ["listener", "iteration", "batches"] as const) {
  test(`seed 1792: messages dropped after the own Close leave no gap (${way})`, async () => {
    const [near, far] = memoryPipe();
    const raw = new Raw(near).send(upgradeRequest());
    const connection = await accept(far, { receiveQueueSize: 300, readAheadSize: 0 });
    await raw.head();
    const closed = connection.close();
    for (let number = 0; number < 8; number++) raw.send(frame(TEXT, `${number}${"x".repeat(50)}`));
    await turns(5); // only some of them fit
    const got: number[] = [];
    const note = (text: string): void => void got.push(Number(text[0]));
    const reading = (async () => {
      if (way === "listener") connection.on("message", (message) => note(message.text));
      else if (way === "iteration") for await (const message of connection) note(message.text);
      else for await (const batch of connection.batches()) for (const message of batch) note(message.text);
    })();
    await turns(5); // everything kept was read, and there is room again
    raw.send(frame(TEXT, "8"), frame(8, Buffer.from([3, 232])));
    raw.stream.end();
    await Promise.all([closed, reading]);
    assert.ok(got.length > 0 && got.length < 8, String(got.length));
    assert.deepEqual(
      got,
      got.map((_, at) => at),
    );
  });
}

test("seed 11: a connection lost within a message, and then read to its end, leaves no timer", async () => {
  const clock = new VirtualClock();
  const [near, far] = memoryPipe();
  const raw = new Raw(near).send(upgradeRequest());
  const connection = await accept(far, { clock, heartbeat: false, receiveQueueSize: 100 });
  await raw.head();
  raw.send(frame(TEXT, "x".repeat(200)), frame(TEXT, "begun", { fin: false }));
  await turns(5);
  assert.equal(clock.pending, 1); // the check of its data rate
  near.destroy();
  await connection.closed;
  assert.equal(clock.pending, 0);
  for await (const message of connection) assert.equal(message.size, 200);
  assert.equal(clock.pending, 0);
});
