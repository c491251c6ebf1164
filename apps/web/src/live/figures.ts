/** What a node of the server says of itself once a second. */
export interface Figures {
  readonly node: string;
  readonly name: string;
  /** Unix time, ms, by the node's clock. */
  readonly at: number;
  readonly uptime: number; // s
  readonly connections: number;
  readonly channels: number;
  readonly received: number; // messages per second
  readonly sent: number;
  /** Of one core: 1 is all of it. */
  readonly cpu: number;
  readonly loopMean: number; // ms
  readonly loopP99: number;
  readonly queueBytes: number;
  readonly memory: number; // bytes
}

/** Undefined: it is something else, as of a server that is older or newer than the page. */
export function readFigures(data: unknown): Figures | undefined {
  const { node, loopDelay, ...rest } = record(data);
  const { id, name } = record(node);
  const { mean, p99 } = record(loopDelay);
  if (typeof id !== "string" || typeof name !== "string") return undefined;
  const { at, uptime, connections, channels, received, sent, cpu, queueBytes, memory } = rest;
  const numbers = { at, uptime, connections, channels, received, sent, cpu, queueBytes, memory, loopMean: mean, loopP99: p99 }; // prettier-ignore
  return areNumbers(numbers) ? { ...numbers, node: id, name } : undefined;
}

function areNumbers<Key extends string>(values: Record<Key, unknown>): values is Record<Key, number> {
  return Object.values(values).every((value) => typeof value === "number" && Number.isFinite(value));
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
