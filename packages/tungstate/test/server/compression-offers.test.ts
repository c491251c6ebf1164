// Offers of permessage-deflate by real clients, and messages in both directions with the negotiated
// parameters.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { bytesOf, LivePeer } from "../deflate/support.ts";
import { frame, TEXT, upgradeRequest } from "../support/raw.ts";
import { routes } from "../support/routes.ts";

const RSV1 = 0x40;
const NONE = "server_no_context_takeover; client_no_context_takeover";

interface Expected {
  /** Response parameters of a server with default options, and of one with context takeover. */
  readonly fresh: string;
  readonly takeover: string;
}

// [client, its offer, the response]
const OFFERS: readonly (readonly [string, string, Expected])[] = [
  [
    "Chromium, WebKit, ws, curl",
    "permessage-deflate; client_max_window_bits",
    { fresh: NONE, takeover: "server_max_window_bits=12; client_max_window_bits=12" },
  ],
  ["Firefox", "permessage-deflate", { fresh: NONE, takeover: "client_no_context_takeover; server_max_window_bits=12" }],
  [
    "gorilla, coder/websocket",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    { fresh: NONE, takeover: `${NONE}; server_max_window_bits=12` },
  ],
  [
    "Python's websockets",
    "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10",
    {
      fresh: `${NONE}; server_max_window_bits=10; client_max_window_bits=10`,
      takeover: "server_max_window_bits=10; client_max_window_bits=10",
    },
  ],
  [
    "a client that quotes values",
    'permessage-deflate; server_max_window_bits="15"; client_max_window_bits = "15"',
    { fresh: `${NONE}; server_max_window_bits=15`, takeover: "server_max_window_bits=12; client_max_window_bits=12" },
  ],
  [
    "a client of tungstate",
    `permessage-deflate; ${NONE}; client_max_window_bits, permessage-deflate; client_max_window_bits, permessage-deflate`,
    { fresh: NONE, takeover: `${NONE}; server_max_window_bits=12; client_max_window_bits=12` },
  ],
  [
    "a client whose first offers are declined",
    "x-webkit-deflate-frame, permessage-deflate; from_the_future, permessage-deflate; server_max_window_bits, permessage-deflate",
    { fresh: NONE, takeover: "client_no_context_takeover; server_max_window_bits=12" },
  ],
  [
    "a client that leaves empty elements",
    ", permessage-deflate;client_max_window_bits ,,",
    { fresh: NONE, takeover: "server_max_window_bits=12; client_max_window_bits=12" },
  ],
];

function echo(connection: WebSocketConnection): void {
  connection.on("message", (message) => void connection.write(message));
}

const bitsOf = (params: string, name: string): number => Number(new RegExp(`${name}=(\\d+)`).exec(params)?.[1] ?? 15);

for (const [kind, compression] of [
  ["fresh", { threshold: 0 }],
  ["takeover", { threshold: 0, contextTakeover: true }],
] as const) {
  for (const route of routes) {
    describe(`${route.name}, ${kind === "fresh" ? "with default options" : "with context takeover"}`, () => {
      for (const [who, offer, expected] of OFFERS) {
        test(`accepts the offer of ${who}`, async (t) => {
          const served = await route.start(t, { compression }, echo);
          const raw = (await served.raw(t)).send(upgradeRequest("/", { "Sec-WebSocket-Extensions": offer }));
          const { status, headers } = await raw.head();
          const answer = headers["sec-websocket-extensions"] ?? "";
          assert.deepEqual([status, answer], [101, `permessage-deflate; ${expected[kind]}`]);

          const own = (side: string): LivePeer =>
            new LivePeer(side === "client" ? "deflate" : "inflate", bitsOf(answer, `${side}_max_window_bits`));
          let deflate = own("client");
          let inflate = own("server");
          t.after(() => {
            deflate.close();
            inflate.close();
          });
          for (let number = 1; number <= 3; number++) {
            const text = `${"a message that is like the one before; ".repeat(10)}${number}`;
            raw.send(frame(TEXT | RSV1, await deflate.deflate(bytesOf(text))));
            const frames = await raw.frames(number);
            const payload = frames[number - 1]?.payload ?? Buffer.alloc(0);
            assert.ok(payload.length < text.length);
            assert.equal(Buffer.from(await inflate.inflate(payload)).toString(), text);
            if (answer.includes("client_no_context_takeover")) {
              deflate.close();
              deflate = own("client");
            }
            if (answer.includes("server_no_context_takeover")) {
              inflate.close();
              inflate = own("server");
            }
          }
        });
      }

      test("declines unknown offers, and opens without an extension", async (t) => {
        const served = await route.start(t, { compression }, echo);
        for (const offer of ["x-webkit-deflate-frame", "permessage-deflate; from_the_future", "permessage-bzip2"]) {
          const raw = (await served.raw(t)).send(upgradeRequest("/", { "Sec-WebSocket-Extensions": offer }));
          const { status, headers } = await raw.head();
          assert.deepEqual([status, headers["sec-websocket-extensions"]], [101, undefined]);
        }
      });
    });
  }
}
