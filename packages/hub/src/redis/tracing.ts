import type { Span } from "@opentelemetry/api";
import type { PendingFanOut } from "../broker/broker.ts";
import type { TraceContext } from "./wire.ts";

/**
 * Spans for publishing to Redis and for receiving from Redis. The receiving span is a child of the
 * publishing span, also on another node.
 */
export interface Tracing {
  publish<T>(channel: string, publish: (trace: TraceContext | undefined) => Promise<T>): Promise<T>;
  deliver(
    channel: string,
    trace: TraceContext | undefined,
    deliver: () => PendingFanOut | undefined,
  ): PendingFanOut | undefined;
}

/** Uses the OpenTelemetry API. Undefined if the application has not installed it. */
export async function loadTracing(): Promise<Tracing | undefined> {
  let api: typeof import("@opentelemetry/api");
  try {
    api = await import("@opentelemetry/api");
  } catch {
    return undefined; // an optional peer
  }
  const { context, propagation, SpanKind, SpanStatusCode, trace } = api;
  const tracer = trace.getTracer("@tungstate/hub");
  const attributes = (channel: string): Record<string, string> => ({
    "messaging.system": "redis",
    "messaging.destination.name": channel,
  });
  const failed = (span: Span, error: unknown): void => {
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
  };
  return {
    async publish(channel, publish) {
      const span = tracer.startSpan("publish", { kind: SpanKind.PRODUCER, attributes: attributes(channel) });
      if (!span.isRecording()) return publish(undefined); // not recorded, or not sampled
      const carrier: Record<string, string> = {};
      propagation.inject(trace.setSpan(context.active(), span), carrier);
      try {
        return await publish(Object.keys(carrier).length === 0 ? undefined : carrier);
      } catch (error) {
        failed(span, error);
        throw error;
      } finally {
        span.end();
      }
    },
    deliver(channel, carrier, deliver) {
      if (carrier === undefined) return deliver();
      const parent = propagation.extract(context.active(), carrier);
      const span = tracer.startSpan("fan out", { kind: SpanKind.CONSUMER, attributes: attributes(channel) }, parent);
      const fanOut = context.with(trace.setSpan(parent, span), deliver);
      if (fanOut === undefined) {
        span.end();
        return undefined;
      }
      void fanOut.settled().then(({ delivered, queued, dropped }) => {
        span.setAttributes({
          "tungstate.delivered": delivered,
          "tungstate.queued": queued,
          "tungstate.dropped": dropped,
        });
        span.end();
      });
      return fanOut;
    },
  };
}
