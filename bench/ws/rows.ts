import type { Floor, Row } from "../rows.ts";

/** A row of the general benchmark, and how the server is attached. */
export interface SocketsRow extends Pick<
  Row,
  "name" | "title" | "metric" | "load" | "slowToWarm" | "deflate" | "idle"
> {
  readonly server: "sockets" | "socketio";
  readonly attached?: "server" | "noServer";
  readonly target: Floor;
}

const echo = (name: string, title: string, target: number, load: Omit<Row["load"], "mode">): SocketsRow => ({
  name,
  title: `echo, ${title}`,
  metric: "rate",
  server: "sockets",
  load: { mode: "echo", path: "/echo", ...load },
  target: { atLeast: target },
});

const broadcast = (name: string, title: string, target: number, load: Omit<Row["load"], "mode">): SocketsRow => ({
  name,
  title: `loop of send() ${title}`,
  metric: "rate",
  server: "sockets",
  load: { mode: "broadcast", path: "/broadcast", ...load },
  target: { atLeast: target },
});

const handshakes = (attached: "server" | "noServer"): SocketsRow => ({
  name: `handshakes-${attached}`,
  title: `new connection by \`${attached}\`, one exchange of 64 B, close; 32 at a time`,
  metric: "cpuUs",
  server: "sockets",
  attached,
  slowToWarm: 3,
  load: { mode: "handshakes", path: "/echo", connections: 32, bytes: 64 },
  target: { atMost: 0.8 },
});

/** Rows through the API of ws. Targets are the drop-in's value divided by that of ws. */
export const ROWS: readonly SocketsRow[] = [
  echo("echo-1", "100 connections, 64 B, 1 in flight", 1.3, { connections: 100, bytes: 64, depth: 1 }),
  echo("echo-32", "100 connections, 64 B, 32 in flight", 6, { connections: 100, bytes: 64, depth: 32 }),
  echo("echo-text", "100 connections, 1 KiB of text, 8 in flight", 3, {
    connections: 100,
    bytes: 1024,
    depth: 8,
    type: "text",
  }),
  echo("echo-64k", "8 connections, 64 KiB, 4 in flight", 1.5, { connections: 8, bytes: 65_536, depth: 4 }),
  echo("echo-1m", "2 connections, 1 MiB, 2 in flight", 1.3, { connections: 2, bytes: 1_048_576, depth: 2 }),
  broadcast("broadcast-64", "to 1,000, 64 B, 4 in flight", 3, { connections: 1000, bytes: 64, depth: 4 }),
  broadcast("broadcast-1k", "to 100, 1 KiB, 32 in flight", 6, { connections: 100, bytes: 1024, depth: 32 }),
  {
    ...echo("deflate-echo", "compressed, 100 connections, 465 B of JSON, 1 in flight", 3, {
      connections: 100,
      bytes: 465,
      depth: 1,
      type: "json",
    }),
    deflate: true,
  },
  {
    ...broadcast("deflate-broadcast", "compressed to 500, 465 B of JSON, 4 in flight", 8, {
      connections: 500,
      bytes: 465,
      depth: 4,
      type: "json",
    }),
    deflate: true,
  },
  {
    name: "idle",
    title: "KB per idle connection, after one message each",
    metric: "kb",
    server: "sockets",
    load: { mode: "idle", path: "/echo", bytes: 64 },
    idle: { from: 1000, to: 6000 },
    target: { atMost: 0.7 },
  },
  {
    name: "deflate-idle",
    title: "KB per connection after one compressed message",
    metric: "kb",
    server: "sockets",
    load: { mode: "idle", path: "/echo", bytes: 465, type: "json" },
    idle: { from: 100, to: 1100 },
    deflate: true,
    target: { atMost: 0.1 },
  },
  handshakes("server"),
  handshakes("noServer"),
  {
    name: "socket.io",
    title: "Socket.IO: emit to a room of 1,000, 64 B, 4 in flight",
    metric: "rate",
    server: "socketio",
    load: { mode: "broadcast", connections: 1000, bytes: 64, depth: 4 },
    target: { atLeast: 1.5 },
  },
];

export const ROW_NAMES = ROWS.map(({ name }) => name);
