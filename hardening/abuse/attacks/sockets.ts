import type { Attack } from "./attack.ts";
import { drained, forever, frames, handshake, pour, say, sleep, tcp, ws } from "./peers.ts";

const PING = 0x9;
const TEXT = 0x1;

/** Attacks by handshakes and frames. */
export const SOCKET_ATTACKS: readonly Attack[] = [
  {
    name: "refusals",
    what: "refused handshakes, while stderr is not read",
    isUnread: true,
    run: (target) => forever(20, () => say(target, handshake("/ws", "Origin: http://elsewhere.example"))),
  },
  {
    name: "talk",
    what: "tiny messages to /ws, which go to 40 clients",
    workers: true,
    run: async (target) => {
      for (let index = 0; index < 40; index++) (await ws(target, "/ws")).on("message", () => undefined);
      const bytes = frames(TEXT, "x", 4_000);
      await forever(4, () => pour(target, (round) => (round === 0 ? handshake("/ws") : bytes)));
    },
  },
  {
    name: "pings",
    what: "pings and empty messages to /echo and the hub, as fast as they are read",
    run: (target) => {
      const pings = frames(PING, "", 20_000);
      const empty = frames(TEXT, "", 20_000);
      const routes = [
        ["/echo", pings],
        ["/echo", empty],
        ["/connection/websocket", pings],
      ] as const;
      return forever(6, (index) => {
        const [path, bytes] = routes[index % routes.length] ?? routes[0];
        return pour(target, (round) => (round === 0 ? handshake(path) : bytes));
      });
    },
  },
  {
    name: "unread echoes",
    what: "messages of 16 MB to /echo whose echoes are not read",
    run: (target) => {
      const bytes = Buffer.alloc(64 * 1024);
      return forever(40, async () => {
        const socket = await tcp(target);
        socket.write(handshake("/echo"));
        const header = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        for (let message = 0; message < 4 && !socket.destroyed; message++) {
          socket.write(header);
          for (let sent = 0; sent < 16 * 1024 * 1024; sent += bytes.length) {
            if (socket.write(bytes)) continue;
            await Promise.race([drained(socket), sleep(2_000)]);
          }
        }
        await sleep(2_000);
        socket.destroy();
      });
    },
  },
];
