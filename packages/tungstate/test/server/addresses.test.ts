import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect as connectTcp, type Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { HeaderFields } from "@tungstate/protocol";
import { AddressPlaces, clientOf } from "../../src/server/admission/addresses.ts";
import { Proxies } from "../../src/server/admission/proxies.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { selfSigned } from "../support/pairs.ts";
import { Raw, upgradeRequest } from "../support/raw.ts";
import { end, serve, type Served, turns } from "../support/server.ts";

describe("identifying a client", () => {
  for (const [address, client] of [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::ffff:c000:201", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "20010db800010002"],
    ["2001:db8:1:2::", "20010db800010002"],
    ["2001:DB8:1:2:ffff:ffff:ffff:ffff", "20010db800010002"],
    ["2001:db8:1:3::1", "20010db800010003"],
    ["fe80::1%eth0", "fe80000000000000"],
    ["::1", "0000000000000000"],
  ] as const) {
    test(address, () => assert.equal(clientOf(address), client));
  }
});

describe("places", () => {
  test("are limited, and released once", () => {
    const places = new AddressPlaces(2);
    const [first, second] = [places.take("192.0.2.1"), places.take("192.0.2.1")];
    assert.equal(places.take("192.0.2.1"), undefined);
    assert.equal(places.take("::ffff:192.0.2.1"), undefined);
    assert.notEqual(places.take("192.0.2.2"), undefined);
    assert.equal(places.size, 2);
    first?.();
    first?.();
    assert.notEqual(places.take("192.0.2.1"), undefined);
    assert.equal(places.take("192.0.2.1"), undefined);
    second?.();
    assert.notEqual(places.take("192.0.2.1"), undefined);
  });

  test("are not needed without an address", () => {
    const places = new AddressPlaces(1);
    for (let number = 0; number < 3; number++) assert.notEqual(places.take(undefined), undefined);
    assert.equal(places.size, 0);
  });
});

function clientBehind(
  option: ConstructorParameters<typeof Proxies>[0],
  peer: string,
  ...headers: [string, string][]
): string | undefined {
  return new Proxies(option).clientOf(peer, new HeaderFields(headers));
}

describe("addresses named by trusted proxies", () => {
  const X = "X-Forwarded-For";
  const trust = ["10.0.0.0/8", "192.0.2.7", "2001:db8:ff::/48"];
  for (const [name, peer, header, client] of [
    ["nobody is believed who is not trusted", "203.0.113.9", "198.51.100.1", "203.0.113.9"],
    ["the last address", "10.0.0.1", "198.51.100.1", "198.51.100.1"],
    ["what a client has made up is before it", "10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"],
    ["several proxies", "10.0.0.1", "1.1.1.1, 198.51.100.1, 192.0.2.7,10.9.9.9", "198.51.100.1"],
    ["all are proxies", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["no header", "10.0.0.1", "", "10.0.0.1"],
    ["not an address", "10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"],
    ["not an address, behind a proxy", "10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"],
    ["a port", "10.0.0.1", "198.51.100.1:443", "198.51.100.1"],
    ["IPv6", "10.0.0.1", "2001:db8::1", "2001:db8::1"],
    ["IPv6 with a port", "10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"],
    ["a proxy by IPv6", "2001:db8:ff::8", "198.51.100.1", "198.51.100.1"],
    ["a proxy by IPv4 as IPv6", "::ffff:10.1.1.1", "198.51.100.1", "198.51.100.1"],
    ["one number beside the network", "11.0.0.0", "198.51.100.1", "11.0.0.0"],
    ["nothing between commas", "10.0.0.1", "198.51.100.1,", "10.0.0.1"],
    ["a scope", "10.0.0.1", "fe80::1%eth0", "10.0.0.1"],
  ] as const) {
    test(`${name}: ${header}`, () => {
      assert.equal(clientBehind(trust, peer, ...(header === "" ? [] : ([[X, header]] as [string, string][]))), client);
    });
  }

  test("several fields form one list", () => {
    assert.equal(clientBehind(trust, "10.0.0.1", [X, "1.1.1.1"], [X, "198.51.100.1"], [X, "10.0.0.2"]), "198.51.100.1");
  });

  test("the other header field is ignored", () => {
    const forwarded = { addresses: trust, header: "forwarded" } as const;
    assert.equal(clientBehind(forwarded, "10.0.0.1", [X, "1.1.1.1"]), "10.0.0.1");
    assert.equal(clientBehind(trust, "10.0.0.1", ["Forwarded", "for=1.1.1.1"]), "10.0.0.1");
  });

  for (const [header, client] of [
    ["for=198.51.100.1", "198.51.100.1"],
    ['For="198.51.100.1:80";proto=https', "198.51.100.1"],
    ['proto=https;for="[2001:db8::1]:80"', "2001:db8::1"],
    ["for=1.1.1.1, for=198.51.100.1;by=10.0.0.2", "198.51.100.1"],
    ["for=198.51.100.1, for=10.0.0.2", "198.51.100.1"],
    ["for=unknown", "10.0.0.1"],
    ["for=_hidden, for=10.0.0.2", "10.0.0.2"],
    ["proto=https", "10.0.0.1"],
    ['for=1.1.1.1;host="a,b", for=198.51.100.1', "198.51.100.1"],
    // a client with an unterminated quote takes no one's place
    ['for=1.1.1.1;host=", for=198.51.100.1', "10.0.0.1"],
    ['for=1.1.1.1;host=", for="198.51.100.1"', "10.0.0.1"],
    ['for=1.1.1.1;host="\\, for="198.51.100.1"', "10.0.0.1"],
    ['for=1.1.1.1;host="\\", for="198.51.100.1";x="', "10.0.0.1"],
  ] as const) {
    test(`Forwarded: ${header}`, () => {
      assert.equal(clientBehind({ addresses: trust, header: "forwarded" }, "10.0.0.1", ["Forwarded", header]), client);
    });
  }

  test("networks by name", () => {
    for (const [name, inside, outside] of [
      ["loopback", "127.9.9.9", "128.0.0.1"],
      ["loopback", "::1", "::2"],
      ["linklocal", "fe80::1", "fec0::1"],
      ["uniquelocal", "172.31.0.1", "172.32.0.1"],
      ["uniquelocal", "fd00::1", "fe00::1"],
    ] as const) {
      const proxies = new Proxies([name]);
      assert.deepEqual([proxies.trusts(inside), proxies.trusts(outside)], [true, false], name);
    }
    assert.equal(new Proxies(["loopback"]).trusts(undefined), false);
  });

  test("an invalid value throws with the expectation", () => {
    for (const wrong of ["localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/8/8", "", "fe80::1%eth0", 7]) {
      assert.throws(() => new WebSocketServer({ trustProxy: [wrong as string] }), {
        code: "INVALID_ARGUMENT",
        message: /each address of trustProxy must be an address/,
      });
    }
    for (const wrong of [true, "10.0.0.1", { addresses: "10.0.0.1" }, { addresses: [], header: "x-real-ip" }, null]) {
      assert.throws(() => new WebSocketServer({ trustProxy: wrong as unknown as string[] }), {
        code: "INVALID_ARGUMENT",
      });
    }
  });

  test("is the request's clientAddress", async (t) => {
    const served = await serve(t, { trustProxy: ["loopback"] });
    await Raw.to(t, served)
      .send(upgradeRequest("/", { "X-Forwarded-For": "198.51.100.1" }))
      .head();
    const request = served.accepted[0]?.request;
    assert.deepEqual([request?.clientAddress, request?.remoteAddress], ["198.51.100.1", "127.0.0.1"]);
  });
});

/** Returns how many handshakes of each address get this response. */
async function statuses(t: TestContext, served: Served, addresses: readonly string[]): Promise<number[]> {
  const all: number[] = [];
  for (const address of addresses) {
    const raw = Raw.to(t, served).send(upgradeRequest("/", { "X-Forwarded-For": address }));
    all.push((await raw.head()).status);
  }
  return all;
}

describe("maxConnectionsPerAddress", () => {
  test("up to the limit; more get 429 with Retry-After; a released place is used", async (t) => {
    const served = await serve(t, { maxConnectionsPerAddress: 2 });
    const [first] = await served.pair();
    await served.pair();
    const answer = await Raw.to(t, served).answer(); // before it has sent anything
    assert.deepEqual([answer.status, answer.headers["retry-after"]], [429, "5"]);
    assert.equal(answer.rest.toString(), "Too Many Requests\n");
    assert.equal(served.refused[0]?.code, "TOO_MANY_FROM_ADDRESS");
    assert.equal(served.server.stats.addresses, 1);
    await first.close();
    while (served.server.connections.size > 1) await turns(1);
    await served.pair();
    assert.equal((await Raw.to(t, served).answer()).status, 429);
  });

  test("handshakes in progress count, and release their place when they fail", async (t) => {
    const served = await serve(t, { maxConnectionsPerAddress: 1 });
    const slow = Raw.to(t, served).send("GET");
    while (served.server.stats.handshakes === 0) await turns(1);
    assert.equal((await Raw.to(t, served).answer()).status, 429);
    slow.stream.end();
    await served.until(() => served.refused.length === 2);
    assert.deepEqual(served.server.stats.addresses, 0);
    await served.pair();
  });

  test("behind a proxy, by the proxy's field only", async (t) => {
    const served = await serve(t, { maxConnectionsPerAddress: 2, trustProxy: ["127.0.0.1"] });
    const [one, two] = ["198.51.100.1", "2001:db8::1"];
    assert.deepEqual(
      await statuses(t, served, [one, two, one, two, one, "2001:db8::2"]),
      [101, 101, 101, 101, 429, 429],
    );
    assert.deepEqual([served.server.stats.connections, served.server.stats.addresses], [4, 2]);
    const untrusting = await serve(t, { maxConnectionsPerAddress: 2 });
    assert.deepEqual(await statuses(t, untrusting, ["198.51.100.1", "198.51.100.2"]), [101, 101]);
    assert.equal((await Raw.to(t, untrusting).answer()).status, 429);
  });

  test("rejects before authorize is called", async (t) => {
    let asked = 0;
    const served = await serve(t, {
      maxConnectionsPerAddress: 1,
      trustProxy: ["loopback"],
      authorize: () => ++asked > 0,
    });
    await statuses(t, served, ["198.51.100.1", "198.51.100.1", "198.51.100.1"]);
    assert.equal(asked, 1);
  });

  test("applies behind node:http, too", async (t) => {
    const http = createServer().listen(0, "127.0.0.1");
    await once(http, "listening");
    const server = new WebSocketServer({ maxConnectionsPerAddress: 1 }).attach(http);
    t.after(async () => {
      await end(server);
      http.close();
    });
    const { port } = http.address() as { port: number };
    assert.equal((await Raw.to(t, { port }).send(upgradeRequest()).head()).status, 101);
    assert.equal((await Raw.to(t, { port }).send(upgradeRequest()).answer()).status, 429);
  });

  test("applies to TLS handshakes, which are dropped before TLS", async (t) => {
    const served = await serve(t, { maxConnectionsPerAddress: 2 }, { tls: selfSigned() });
    const sockets = [1, 2, 3].map(() => connectTcp(served.port, "127.0.0.1"));
    const ended: Socket[] = [];
    for (const socket of sockets) {
      t.after(() => socket.destroy());
      socket.on("error", () => undefined).on("close", () => ended.push(socket));
    }
    await served.until(() => served.refused.length === 1);
    assert.equal(served.refused[0]?.code, "TOO_MANY_FROM_ADDRESS");
    while (ended.length === 0) await turns(1);
    assert.equal(ended.length, 1);
    for (const socket of sockets) socket.destroy();
    while (served.server.stats.addresses > 0) await turns(1);
    const tls = { ca: selfSigned().cert, servername: "localhost" };
    const url = `wss://127.0.0.1:${served.port}/`;
    const { connect } = await import("../../src/client/connect.ts");
    for (let number = 0; number < 2; number++) assert.equal((await connect(url, { tls, proxy: false })).state, "open");
    assert.deepEqual([served.server.stats.addresses, served.server.stats.connections], [1, 2]);
    await assert.rejects(connect(url, { tls, proxy: false }));
  });

  test("does not apply to streams without an address", async () => {
    const server = new WebSocketServer({ maxConnectionsPerAddress: 1 });
    for (let number = 0; number < 3; number++) {
      const [near, far] = memoryPipe();
      const accepted = server.accept(far);
      assert.equal((await new Raw(near).send(upgradeRequest()).head()).status, 101);
      await accepted;
    }
    await end(server);
    assert.equal(server.stats.addresses, 0);
  });

  test("must be at least 1, or Infinity", () => {
    for (const wrong of [0, -1, 1.5, "2"]) {
      assert.throws(() => new WebSocketServer({ maxConnectionsPerAddress: wrong as number }), {
        code: "INVALID_ARGUMENT",
      });
    }
  });
});
