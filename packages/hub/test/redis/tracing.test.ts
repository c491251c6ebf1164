import assert from "node:assert/strict";
import { after, test } from "node:test";
import { propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { BrokerPublishOptions, FanOut } from "../../src/broker/broker.ts";
import { openRedis } from "../../src/redis/open-redis.ts";
import { RedisServer } from "./support/redis-server.ts";

const KEEP: BrokerPublishOptions = { historySize: 10, historyTtl: 60_000, metaTtl: 60_000 };
const FAN_OUT: FanOut = { delivered: 3, queued: 2, dropped: 1, disconnected: 0 };

const exporter = new InMemorySpanExporter();
after(() => {
  trace.disable();
  propagation.disable();
});

async function withBrokers(
  run: (publish: () => Promise<unknown>, seen: unknown[], server: RedisServer) => Promise<void>,
): Promise<void> {
  const server = await RedisServer.start();
  const seen: unknown[] = [];
  const [from, to] = [await openRedis([server.url], { timeout: 2_000 }), await openRedis([server.url])];
  const handler = { join: () => {}, leave: () => {}, control: () => {}, interrupted: () => {} };
  await from.broker.start({ ...handler, publication: () => undefined });
  await to.broker.start({
    ...handler,
    publication: (_channel, publication) => {
      seen.push(publication);
      return { settled: () => Promise.resolve(FAN_OUT) };
    },
  });
  await to.broker.subscribe("a");
  try {
    await run(
      async () => {
        await from.broker.publish("a", { data: "1" }, KEEP);
        await to.broker.settled();
      },
      seen,
      server,
    );
  } finally {
    await from.broker.stop();
    await to.broker.stop();
    await server.stop();
  }
}

test("without a span collector, publications carry no trace", () =>
  withBrokers(async (publish, seen, server) => {
    await publish();
    assert.deepEqual(seen, [{ data: "1", offset: 1 }]);
    const entries = JSON.stringify(await server.command("XRANGE", "tungstate:{.a}:s", "-", "+"));
    assert.match(entries, /"0\|1"/);
  }));

test("one trace covers publishing, Redis and fan-out on another node", async () => {
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  await withBrokers(async (publish, seen, server) => {
    await publish();
    assert.deepEqual(seen, [{ data: "1", offset: 1 }], "the subscribers see nothing of it");
    const [fanOut, published] = exporter.getFinishedSpans().toSorted((a, b) => (a.name < b.name ? -1 : 1));
    assert.ok(fanOut !== undefined && published !== undefined);
    assert.deepEqual(
      [published.name, published.kind, fanOut.name, fanOut.kind],
      ["publish", SpanKind.PRODUCER, "fan out", SpanKind.CONSUMER],
    );
    assert.equal(fanOut.spanContext().traceId, published.spanContext().traceId);
    assert.equal(fanOut.parentSpanContext?.spanId, published.spanContext().spanId);
    assert.equal(fanOut.parentSpanContext?.isRemote, true);
    assert.deepEqual(published.attributes, { "messaging.system": "redis", "messaging.destination.name": "a" });
    assert.deepEqual(fanOut.attributes, {
      "messaging.system": "redis",
      "messaging.destination.name": "a",
      "tungstate.delivered": 3,
      "tungstate.queued": 2,
      "tungstate.dropped": 1,
    });
    exporter.reset();
    await server.kill();
    await assert.rejects(publish());
    const [failed] = exporter.getFinishedSpans();
    assert.equal(failed?.status.code, SpanStatusCode.ERROR);
  });
});
