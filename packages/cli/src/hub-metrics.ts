import type { Histogram, HubMetrics } from "@tungstate/hub";

/** The hub's figures in Prometheus' text format. */
export function hubMetricsText(metrics: HubMetrics): string {
  const { recovered, unrecovered } = metrics;
  const out = new Exposition();
  out.gauge("connections", "Connections of the hub, before and after their connect command", metrics.connections);
  out.gauge("sessions", "Connections that are connected", metrics.sessions);
  out.gauge("subscriptions", "Subscriptions of all sessions", metrics.subscriptions);
  out.gauge("channels", "Channels with a subscriber", metrics.channels);
  out.gauge("queue_bytes", "Bytes that wait in the queues of slow connections", metrics.queueBytes);
  out.counter("frames_received_total", "Frames from clients", metrics.framesReceived);
  out.counter("received_characters_total", "Characters in frames from clients", metrics.charactersReceived);
  out.counter("messages_sent_total", "Messages to clients", metrics.messagesSent);
  out.counter("sent_characters_total", "Characters in messages to clients", metrics.charactersSent);
  out.counter(
    "commands_total",
    "Commands of clients",
    [...metrics.commands.entries()].map(([method, count]) => [{ method }, count]),
  );
  out.counter(
    "command_errors_total",
    "Commands answered with an error",
    [...metrics.commandErrors.entries()].map(([label, count]) => {
      const [method = "", code = ""] = label.split(" ");
      return [{ method, code }, count];
    }),
  );
  out.counter(
    "disconnects_total",
    "Connections ended by the server, by code",
    [...metrics.disconnects.entries()].map(([code, count]) => [{ code: String(code) }, count]),
  );
  out.counter("published_total", "Publications made", metrics.published);
  out.counter("publications_total", "Publications handed on to subscribers, each once", metrics.publications);
  out.counter("publication_outcomes_total", "What became of publications, once for each subscriber", [
    [{ outcome: "delivered" }, metrics.delivered],
    [{ outcome: "queued" }, metrics.queued],
    [{ outcome: "dropped" }, metrics.dropped],
    [{ outcome: "disconnected" }, metrics.slowDisconnects],
  ]);
  out.counter("duplicate_publications_total", "Publications that came twice or late", metrics.duplicates);
  out.counter("gaps_total", "Times publications were missing and read from history", metrics.gaps);
  out.counter("recoveries_total", "Clients that came back with a position", [
    [{ recovered: "true" }, recovered],
    [{ recovered: "false" }, unrecovered],
  ]);
  out.counter("recovered_publications_total", "Publications sent by recovery", metrics.recoveredPublications);
  out.milliseconds("fan_out_seconds", "From a publication to its last subscriber", metrics.fanOut);
  return out.text;
}

type Labels = Readonly<Record<string, string>>;
type Values = number | readonly (readonly [Labels, number])[];

class Exposition {
  text = "";

  gauge(name: string, help: string, value: number): void {
    this.metric("gauge", name, help, value);
  }

  counter(name: string, help: string, values: Values): void {
    this.metric("counter", name, help, values);
  }

  /** A histogram of milliseconds, in seconds. */
  milliseconds(name: string, help: string, histogram: Histogram): void {
    const { bounds, counts, sum, count } = histogram;
    this.head("histogram", name, help);
    for (const [index, bound] of bounds.entries()) {
      this.line(`${name}_bucket`, { le: String(bound / 1000) }, counts[index] ?? 0);
    }
    this.line(`${name}_bucket`, { le: "+Inf" }, count);
    this.line(`${name}_sum`, {}, sum / 1000);
    this.line(`${name}_count`, {}, count);
  }

  private metric(type: string, name: string, help: string, values: Values): void {
    this.head(type, name, help);
    if (typeof values === "number") this.line(name, {}, values);
    else for (const [labels, value] of values) this.line(name, labels, value);
  }

  private head(type: string, name: string, help: string): void {
    this.text += `# HELP tungstate_hub_${name} ${help}\n# TYPE tungstate_hub_${name} ${type}\n`;
  }

  /** The labels are names of methods and numbers: nothing in them has to be escaped. */
  private line(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
    this.text += `tungstate_hub_${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
  }
}
