import type { Attack } from "./attack.ts";
import { API_KEY, forever, pour, say } from "./peers.ts";

const PIECE = Buffer.alloc(64 * 1024, 0x20);
const LENGTH = "Content-Length: 4194304";

/** A call of the HTTP API with the key. */
function call(method: string, body: string): string {
  return `POST /api/${method} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-API-Key: ${API_KEY}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** Attacks by HTTP requests. */
export const HTTP_ATTACKS: readonly Attack[] = [
  {
    name: "bodies without a key",
    what: "150 connections that send bodies: of API calls without a key, and to paths that take none",
    workers: true,
    args: ["--api-key", API_KEY],
    run: (target) => {
      const heads = ["POST /api/publish", "POST /health", "POST /", "PUT /echo", "GET /metrics"];
      return forever(150, (index) =>
        pour(target, (round) =>
          round === 0 ? `${heads[index % heads.length]} HTTP/1.1\r\nHost: localhost\r\n${LENGTH}\r\n\r\n` : PIECE,
        ),
      );
    },
  },
  {
    name: "pipelined requests",
    what: "requests without waiting for the responses: GET and HEAD of all paths, and of paths that there are not",
    workers: true,
    run: (target) => {
      const requests = ["GET /health", "GET /metrics", "GET /", "HEAD /health/ready", "GET /nothing", "OPTIONS /ws"];
      return forever(requests.length, (index) =>
        pour(target, () => `${requests[index] ?? ""} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(1_000)),
      );
    },
  },
  {
    name: "bad requests",
    what: "requests that are no HTTP, heads that are too long, and connections that say nothing",
    run: (target) =>
      forever(60, (index) => {
        const texts = ["\0\x01\x02\x03\r\n\r\n", `GET / HTTP/1.1\r\nX: ${"y".repeat(60_000)}\r\n\r\n`, "GET / HT"];
        return say(target, texts[index % texts.length] ?? "");
      }),
  },
  {
    name: "API calls",
    what: "calls of the API with a key: to 250,000 channels, and JSON that nests deeply",
    args: ["--api-key", API_KEY],
    run: (target) => {
      const channels = Array.from({ length: 250_000 }, (_, index) => `public:${index}`);
      const bodies = [
        call("broadcast", JSON.stringify({ channels, data: 1 })),
        call("publish", "[".repeat(4_000_000)),
        call("publish", `{"channel":"public:x","data":[${"[],".repeat(1_000_000)}0]}`),
      ];
      return forever(bodies.length, (index) => say(target, bodies[index] ?? ""));
    },
  },
];
