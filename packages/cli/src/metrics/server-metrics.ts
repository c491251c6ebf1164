import { DISCONNECTS } from "@tungstate/hub";
import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import type { ProcessMetrics } from "./process-metrics.ts";
import type { ConnectionStats, MemoryBudget, WebSocketConnection, WebSocketServer } from "tungstate";

/** The current sums over all routes. */
export interface ConnectionTotals {
  readonly connections: number;
  readonly bufferedBytes: number;
  readonly messagesReceived: number;
  readonly messagesSent: number;
}

const HUB_CODES: ReadonlySet<number> = new Set(Object.values(DISCONNECTS).map(({ code }) => code));

/**
 * Returns the value of the label `code`. A peer may close with any code from 3000 to 4999; all
 * except the hub's share one label value.
 */
function codeLabel(code: number): string {
  const isRegistered = code >= 1000 && code <= 1015;
  return isRegistered || HUB_CODES.has(code) ? String(code) : "other";
}

export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  /** Returns the metrics in a form that can be sent to another process. */
  json(): Promise<ProcessMetrics["metrics"]>;
  opened(path: string): void;
  closed(path: string, stats: ConnectionStats, code: number): void;
  refused(path: string, reason: string): void;
  /** Returns the current sums over all routes. */
  totals(): ConnectionTotals;
  end(): void;
}

/** Creates the metrics of `/metrics`. Totals include ended and open connections. */
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
    help: "WebSocket connections closed, by close code",
    labelNames: ["path", "code"],
    registers,
  });
  const refused = new Counter({
    name: "tungstate_refused_total",
    help: "WebSocket handshakes rejected, by reason",
    labelNames: ["path", "reason"],
    registers,
  });
  const ended: Record<string, Record<keyof ConnectionStats, number>> = Object.create(null);
  for (const path of Object.keys(servers)) {
    ended[path] = { messagesReceived: 0, messagesSent: 0, bytesReceived: 0, bytesSent: 0 };
  }

  gauge("tungstate_connections", "Open WebSocket connections", (server) => server.connections.size);
  gauge("tungstate_buffered_bytes", "Bytes queued for writing", (server) => sum(server, (each) => each.bufferedAmount));
  gauge("tungstate_handshakes", "Handshakes in progress", (server) => server.stats.handshakes);
  memory("held_bytes", "Bytes charged to the memory budget", () => budget.use.held);
  memory("limit_bytes", "Limit of the memory budget in bytes", () => budget.limit);
  memory("under_pressure", "1 while handshakes are rejected because of the memory budget, otherwise 0", () =>
    Number(budget.underPressure),
  );
  memory("ended", "Connections closed because of the memory budget", () => budget.use.ended);
  new Gauge({
    name: "tungstate_memory_part_bytes",
    help: "Bytes charged by components other than connections, such as the history of the hub",
    labelNames: ["part"],
    registers,
    collect() {
      this.reset();
      for (const [part, bytes] of Object.entries(budget.use.parts)) this.set({ part }, bytes);
    },
  });
  new Counter({
    name: "tungstate_log_dropped_lines_total",
    help: "Log lines dropped because stderr was not read in time",
    registers,
    collect() {
      this.reset();
      this.inc(log.droppedLines);
    },
  });
  total("tungstate_messages_received_total", "Messages received", "messagesReceived");
  total("tungstate_messages_sent_total", "Messages sent", "messagesSent");
  total("tungstate_received_bytes_total", "Bytes received, including frame headers", "bytesReceived");
  total("tungstate_sent_bytes_total", "Bytes written, including frame headers", "bytesSent");

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

  /** Adds a gauge of the memory budget that all servers share. */
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
      const totals = ended[path];
      if (totals === undefined) return;
      totals.messagesReceived += stats.messagesReceived;
      totals.messagesSent += stats.messagesSent;
      totals.bytesReceived += stats.bytesReceived;
      totals.bytesSent += stats.bytesSent;
    },
    refused: (path, reason) => refused.inc({ path, reason }),
    totals: () => ({
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
