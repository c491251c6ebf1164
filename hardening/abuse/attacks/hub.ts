import {
  CHEAP_LINES,
  comingsAndGoings,
  fullFrame,
  hundredHistories,
  hundredPresences,
  newNames,
  NO_COMMANDS,
  paddedPublication,
} from "../../catalogue/support/attacks.ts";
import type { Attack, Target } from "./attack.ts";
import { CHANNEL, fill, flood, forever, hubClient, sleep, SUBSCRIBE, ws } from "./peers.ts";

/** Clients that have subscribed to the attackers' channel, and read. */
async function subscribers(target: Target, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const socket = await hubClient(target);
    await socket.send(JSON.stringify({ id: 2, ...SUBSCRIBE }));
  }
}

/** Attacks by commands of the hub's protocol. */
export const HUB_ATTACKS: readonly Attack[] = [
  {
    name: "history",
    what: "100 history commands in a frame, not read; a channel of 60 KB each",
    workers: true,
    run: async (target) => {
      void forever(1, () => fill(target));
      await forever(20, async () => {
        const socket = await hubClient(target);
        await socket.send(JSON.stringify({ id: 2, ...SUBSCRIBE }));
        socket.pause();
        for (let round = 0; round < 20; round++) await socket.send(hundredHistories(CHANNEL));
        await sleep(1_000);
        socket.terminate();
      });
    },
  },
  {
    name: "presence",
    what: "100 presence commands in a frame, of a channel with 300 clients",
    workers: true,
    run: async (target) => {
      await subscribers(target, 300);
      await forever(5, () => flood(target, () => hundredPresences(CHANNEL), { first: [SUBSCRIBE] }));
    },
  },
  {
    name: "padded publications",
    what: "16 characters in a frame of 64 KB",
    run: (target) => forever(5, () => flood(target, (round) => paddedPublication(CHANNEL, round + 2))),
  },
  {
    name: "new names",
    what: "a publication each to names that nobody uses again",
    workers: true,
    run: (target) => forever(5, (index) => flood(target, (round) => newNames(500, (index * 1e6 + round) * 500))),
  },
  {
    name: "fan-out",
    what: "publications of 60 KB, and of 1 byte, to 200 subscribers",
    workers: true,
    run: async (target) => {
      await subscribers(target, 200);
      void forever(2, () => fill(target));
      await forever(3, () =>
        flood(target, () => `{"id":9,"publish":{"channel":"${CHANNEL}","data":1}}\n`.repeat(1_000).trimEnd()),
      );
    },
  },
  {
    name: "slow recovery",
    what: "clients that missed megabytes, and read slowly",
    workers: true,
    run: async (target) => {
      void forever(1, () => fill(target));
      await forever(10, async () => {
        const socket = await ws(target, "/connection/websocket");
        await socket.send(`${JSON.stringify({ id: 1, connect: {} })}\n${JSON.stringify({ id: 2, ...SUBSCRIBE })}`);
        for await (const _ of socket) await sleep(60);
      });
    },
  },
  {
    name: "comings and goings",
    what: "480 × (subscribe, unsubscribe) in a frame, 200 subscribers",
    workers: true,
    run: async (target) => {
      await subscribers(target, 200);
      await forever(5, () => flood(target, () => comingsAndGoings(CHANNEL, 480)));
    },
  },
  {
    name: "cheap lines",
    what: "frames full of unknown and empty commands",
    run: (target) => {
      const texts = Object.values({ ...CHEAP_LINES, ...NO_COMMANDS }).map(fullFrame);
      return forever(texts.length, (index) => flood(target, () => texts[index] ?? ""));
    },
  },
  {
    name: "compressed lines",
    what: "the same, compressed to a few hundred bytes",
    args: ["--compression"],
    run: (target) => {
      const texts = Object.values({ ...CHEAP_LINES, ...NO_COMMANDS }).map(fullFrame);
      return forever(texts.length, (index) => flood(target, () => texts[index] ?? "", { compression: true }));
    },
  },
  {
    name: "coming again",
    what: "clients that use their allowance, leave, and come again at once",
    workers: true,
    run: (target) =>
      forever(20, async () => {
        const socket = await hubClient(target);
        await socket.send(comingsAndGoings(CHANNEL, 240));
        await socket.send(newNames(500, Math.floor(Math.random() * 1e9)));
        await sleep(20);
        socket.terminate();
      }),
  },
  {
    name: "deep JSON",
    what: "frames that nest 65,000 deep, or have as many members",
    run: (target) =>
      forever(6, async (index) => {
        const text = [
          "[".repeat(65_000),
          '{"a":'.repeat(13_000),
          `{"id":2,"send":{"data":[${"{},".repeat(20_000)}0]}}`,
        ];
        const socket = await hubClient(target);
        await socket.send(text[index % text.length] ?? "");
        await socket.closed;
      }),
  },
];
