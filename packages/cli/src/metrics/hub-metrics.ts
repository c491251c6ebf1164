import type { Histogram, HubMetrics } from "@tungstate/hub";

/**
 * A metric in Prometheus' text format. Each line is a pair of the text before the value and the
 * value.
 */
export interface Family {
  readonly type: "counter" | "gauge" | "histogram";
  readonly name: string;
  readonly help: string;
  readonly lines: readonly (readonly [line: string, value: number])[];
}

/** Sums the metrics of several processes, line by line. */
export function sumFamilies(all: readonly (readonly Family[])[]): Family[] {
  const sums = new Map<string, { family: Family; lines: Map<string, number> }>();
  for (const family of all.flat()) {
    let sum = sums.get(family.name);
    if (sum === undefined) sums.set(family.name, (sum = { family, lines: new Map() }));
    for (const [line, value] of family.lines) sum.lines.set(line, (sum.lines.get(line) ?? 0) + value);
  }
  return Array.from(sums.values(), ({ family, lines }) => ({ ...family, lines: [...lines] }));
}

export function formatFamilies(families: readonly Family[]): string {
  return families
    .map(({ type, name, help, lines }) => {
      const body = lines.map(([line, value]) => `${line} ${value}\n`).join("");
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${body}`;
    })
    .join("");
}

/** Returns the metrics of a hub. */
export function hubMetrics(metrics: HubMetrics): readonly Family[] {
  const { recovered, unrecovered } = metrics;
  const out = new Exposition();
  out.gauge(
    "connections",
    "Open connections, including those that have not yet sent a connect command",
    metrics.connections,
  );
  out.gauge("sessions", "Sessions after a successful connect command", metrics.sessions);
  out.gauge("subscriptions", "Subscriptions of all sessions", metrics.subscriptions);
  out.gauge("channels", "Channels with at least one subscriber", metrics.channels);
  out.gauge("queue_bytes", "Bytes queued for slow connections", metrics.queueBytes);
  out.counter("frames_received_total", "Frames received from clients", metrics.framesReceived);
  out.counter("received_bytes_total", "Bytes of frames received from clients", metrics.bytesReceived);
  out.counter("messages_sent_total", "Messages sent to clients", metrics.messagesSent);
  out.counter("sent_bytes_total", "Bytes of messages sent to clients", metrics.bytesSent);
  out.counter(
    "commands_total",
    "Commands received from clients",
    [...metrics.commands.entries()].map(([method, count]) => [{ method }, count]),
  );
  out.counter(
    "command_errors_total",
    "Commands answered with an error",
    [...metrics.commandErrors.entries()].map(([label, count]) => {
      const [method = "", code = "other"] = label.split(" ");
      return [{ method, code }, count];
    }),
  );
  out.counter(
    "disconnects_total",
    "Connections closed by the server, by code",
    [...metrics.disconnects.entries()].map(([code, count]) => [{ code: String(code) }, count]),
  );
  out.counter("published_total", "Publications published by this node", metrics.published);
  out.counter("publications_total", "Publications delivered to subscribers, each counted once", metrics.publications);
  out.counter("publication_outcomes_total", "Publications by outcome, counted once for each subscriber", [
    [{ outcome: "delivered" }, metrics.delivered],
    [{ outcome: "queued" }, metrics.queued],
    [{ outcome: "dropped" }, metrics.dropped],
    [{ outcome: "disconnected" }, metrics.slowDisconnects],
  ]);
  out.counter(
    "duplicate_publications_total",
    "Publications dropped because they were duplicates or out of order",
    metrics.duplicates,
  );
  out.counter("gaps_total", "Times that missing publications were read from history", metrics.gaps);
  out.counter("recoveries_total", "Recovery attempts of reconnecting clients", [
    [{ recovered: "true" }, recovered],
    [{ recovered: "false" }, unrecovered],
  ]);
  out.counter("catch_ups_total", "Clients that recovered more than one page of publications", metrics.caughtUp);
  out.counter("recovered_publications_total", "Publications sent by recovery", metrics.recoveredPublications);
  out.milliseconds(
    "fan_out_seconds",
    "Time from receiving a publication to writing it to the last subscriber",
    metrics.fanOut,
  );
  const { store } = metrics;
  if (store !== undefined) {
    out.milliseconds("store_round_trip_seconds", "Time from a Redis command to its reply", store.roundTrips);
    out.counter("store_failures_total", "Redis commands that failed or were not answered", store.failures);
    out.counter("store_reconnects_total", "Connections to Redis that were lost and re-established", store.reconnects);
    out.counter("store_interruptions_total", "Times that a channel was checked for lost messages", store.interruptions);
    out.gauge("store_subscriptions", "Channels subscribed to at Redis", store.subscriptions);
  }
  return out.families;
}

type Labels = Readonly<Record<string, string>>;
type Values = number | readonly (readonly [Labels, number])[];

class Exposition {
  readonly families: Family[] = [];

  gauge(name: string, help: string, value: number): void {
    this.metric("gauge", name, help, value);
  }

  counter(name: string, help: string, values: Values): void {
    this.metric("counter", name, help, values);
  }

  /** Adds a histogram of milliseconds as one of seconds. */
  milliseconds(name: string, help: string, histogram: Histogram): void {
    const { bounds, counts, sum, count } = histogram;
    const buckets = bounds.map((bound, index) =>
      line(`${name}_bucket`, { le: String(bound / 1000) }, counts[index] ?? 0),
    );
    this.add("histogram", name, help, [
      ...buckets,
      line(`${name}_bucket`, { le: "+Inf" }, count),
      line(`${name}_sum`, {}, sum / 1000),
      line(`${name}_count`, {}, count),
    ]);
  }

  private metric(type: "counter" | "gauge", name: string, help: string, values: Values): void {
    const all = typeof values === "number" ? ([[{}, values]] as const) : values;
    this.add(
      type,
      name,
      help,
      all.map(([labels, value]) => line(name, labels, value)),
    );
  }

  private add(type: Family["type"], name: string, help: string, lines: Family["lines"]): void {
    this.families.push({ type, name: `tungstate_hub_${name}`, help, lines });
  }
}

/** Formats one line. Label values are method names and numbers, which need no escaping. */
function line(name: string, labels: Labels, value: number): readonly [line: string, value: number] {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
  return [`tungstate_hub_${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`}`, value];
}
