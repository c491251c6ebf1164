/** The statistics that a node publishes every second. */
export interface NodeStats {
  readonly node: string;
  readonly name: string;
  /** Unix time in ms by the node's clock. */
  readonly at: number;
  readonly uptime: number; // seconds
  readonly connections: number;
  readonly channels: number;
  readonly received: number; // messages per second
  readonly sent: number;
  /** In cores: 1 is one core. */
  readonly cpu: number;
  readonly loopMean: number; // ms
  readonly loopP99: number;
  readonly queueBytes: number;
  readonly memory: number; // bytes
}

/** Returns undefined for other data, such as that of an older or newer server. */
export function parseNodeStats(data: unknown): NodeStats | undefined {
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
