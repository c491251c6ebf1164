import { DISCONNECTS } from "@tungstate/hub";
import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import type { Figures } from "./figures.ts";
import type { Counted } from "./live.ts";
import type { ConnectionStats, MemoryBudget, WebSocketConnection, WebSocketServer } from "tungstate";

const HUB_CODES: ReadonlySet<number> = new Set(Object.values(DISCONNECTS).map(({ code }) => code));

/** A peer may close with any code from 3000 to 4999: but for those of the hub they share one label. */
function codeLabel(code: number): string {
  const isRegistered = code >= 1000 && code <= 1015; // RFC 6455 §7.4.1 and the IANA registry
  return isRegistered || HUB_CODES.has(code) ? String(code) : "other";
}

export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  /** The same for another process. */
  json(): Promise<Figures["metrics"]>;
  opened(path: string): void;
  closed(path: string, stats: ConnectionStats, code: number): void;
  refused(path: string, reason: string): void;
  /** The sums of all routes at this moment. */
  counted(): Counted;
  end(): void;
}

/** The figures at `/metrics`. Totals are those of the connections that have ended plus those that are open. */
export function createMetrics(
  servers: Readonly<Record<string, WebSocketServer>>,
  budget: MemoryBudget,
  log: { readonly droppedLines: number },
): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const opened = new Counter({
    name: "tungstate_connections_total",
    help: "WebSocket connections opened",
    labelNames: ["path"],
    registers,
  });
  const closed = new Counter({
    name: "tungstate_closes_total",
    help: "WebSocket connections ended, by close code",
    labelNames: ["path", "code"],
    registers,
  });
  const refused = new Counter({
    name: "tungstate_refused_total",
    help: "Handshakes refused, by reason",
    labelNames: ["path", "reason"],
    registers,
  });
  const ended: Record<string, Record<keyof ConnectionStats, number>> = Object.create(null);
  for (const path of Object.keys(servers)) {
    ended[path] = { messagesReceived: 0, messagesSent: 0, bytesReceived: 0, bytesSent: 0 };
  }

  gauge("tungstate_connections", "WebSocket connections open now", (server) => server.connections.size);
  gauge("tungstate_buffered_bytes", "Bytes that wait to be written", (server) =>
    sum(server, (each) => each.bufferedAmount),
  );
  gauge("tungstate_handshakes", "Handshakes under way", (server) => server.stats.handshakes);
  memory("held_bytes", "Bytes that connections and parts together hold", () => budget.use.held);
  memory("limit_bytes", "Bytes that they may hold", () => budget.limit);
  memory("short", "1 while handshakes are refused for want of memory", () => Number(budget.short));
  memory("ended", "Connections ended for want of memory", () => budget.use.ended);
  new Gauge({
    name: "tungstate_memory_part_bytes",
    help: "Bytes held by parts that belong to no connection, such as the history of the hub",
    labelNames: ["part"],
    registers,
    collect() {
      this.reset();
      for (const [part, bytes] of Object.entries(budget.use.parts)) this.set({ part }, bytes);
    },
  });
  new Counter({
    name: "tungstate_log_dropped_lines_total",
    help: "Log lines dropped because nobody read stderr in time",
    registers,
    collect() {
      this.reset();
      this.inc(log.droppedLines);
    },
  });
  total("tungstate_messages_received_total", "Messages received", "messagesReceived");
  total("tungstate_messages_sent_total", "Messages sent", "messagesSent");
  total("tungstate_received_bytes_total", "Bytes received, frames included", "bytesReceived");
  total("tungstate_sent_bytes_total", "Bytes handed to the system, frames included", "bytesSent");

  function gauge(name: string, help: string, value: (server: WebSocketServer) => number): void {
    new Gauge({
      name,
      help,
      labelNames: ["path"],
      registers,
      collect() {
        for (const [path, server] of Object.entries(servers)) this.set({ path }, value(server));
      },
    });
  }

  /** Of the budget that all of the servers share. */
  function memory(name: string, help: string, value: () => number): void {
    new Gauge({
      name: `tungstate_memory_${name}`,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  }

  function total(name: string, help: string, key: keyof ConnectionStats): void {
    new Counter({
      name,
      help,
      labelNames: ["path"],
      registers,
      collect() {
        this.reset();
        for (const [path, server] of Object.entries(servers)) {
          this.inc({ path }, (ended[path]?.[key] ?? 0) + sum(server, (each) => each.stats[key]));
        }
      },
    });
  }

  function all(key: keyof ConnectionStats): number {
    return Object.entries(servers).reduce(
      (count, [path, server]) => count + (ended[path]?.[key] ?? 0) + sum(server, (each) => each.stats[key]),
      0,
    );
  }

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    json: () => registry.getMetricsAsJSON(),
    opened: (path) => opened.inc({ path }),
    closed(path, stats, code) {
      closed.inc({ path, code: codeLabel(code) });
      const so = ended[path];
      if (so === undefined) return;
      so.messagesReceived += stats.messagesReceived;
      so.messagesSent += stats.messagesSent;
      so.bytesReceived += stats.bytesReceived;
      so.bytesSent += stats.bytesSent;
    },
    refused: (path, reason) => refused.inc({ path, reason }),
    counted: () => ({
      connections: Object.values(servers).reduce((count, server) => count + server.connections.size, 0),
      bufferedBytes: Object.values(servers).reduce(
        (bytes, server) => bytes + sum(server, (each) => each.bufferedAmount),
        0,
      ),
      messagesReceived: all("messagesReceived"),
      messagesSent: all("messagesSent"),
    }),
    end: () => registry.clear(),
  };
}

function sum(server: WebSocketServer, value: (connection: WebSocketConnection) => number): number {
  let all = 0;
  for (const connection of server.connections) all += value(connection);
  return all;
}
