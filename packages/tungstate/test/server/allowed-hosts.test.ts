import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HostPolicy, LOCAL_HOSTS } from "../../src/server/admission/hosts.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { upgradeRequest } from "../support/raw.ts";
import { routes } from "../support/routes.ts";

const HOSTS = ["chat.example", ".sub.example", "192.0.2.1", "198.51.100.0/24", "::1", "[2001:db8::2]"];

const CASES: Readonly<Record<string, boolean>> = {
  "chat.example": true,
  "chat.example:8080": true,
  "CHAT.example": true,
  "chat.example.": true,
  "a.chat.example": false,
  "chat.example.evil": false,
  "sub.example": true,
  "a.sub.example": true,
  "a.b.sub.example:1": true,
  "xsub.example": false,
  "192.0.2.1": true,
  "192.0.2.1:80": true,
  "192.0.2.2": false,
  "198.51.100.77": true,
  "[::1]": true,
  "[::1]:443": true,
  "[0:0:0:0:0:0:0:1]": true,
  "[2001:db8::2]": true,
  "[2001:db8::3]": false,
  "[::1%lo]": false,
  "[chat.example]": false,
  "": false,
  "chat.example:80:80": false,
  "chat.example@evil.example": false,
};

test("a host policy compares names, suffixes, addresses and networks, without ports", () => {
  const policy = new HostPolicy(HOSTS);
  for (const [host, allowed] of Object.entries(CASES)) assert.equal(policy.allows(host), allowed, host);
  assert.equal(policy.allows(undefined), true);
  assert.equal(new HostPolicy("any").allows("evil.example"), true);
  assert.equal(new HostPolicy([]).allows("localhost"), false);
  const local = new HostPolicy(LOCAL_HOSTS);
  for (const host of ["localhost", "a.localhost:1", "127.0.0.1", "127.255.0.1", "[::1]"]) assert.ok(local.allows(host));
  for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "128.0.0.1"])
    assert.ok(!local.allows(host));
});

describe("allowedHosts", () => {
  for (const { name, start } of routes) {
    test(`by ${name}: another host gets 421`, async (t) => {
      const served = await start(t, { allowedHosts: ["chat.example"], origin: "same" });
      const ask = async (host: string): Promise<number> => {
        const raw = await served.raw(t);
        const origin = `${served.secure ? "https" : "http"}://${host}`;
        return (await raw.send(upgradeRequest("/", { Host: host, Origin: origin })).head()).status;
      };
      assert.equal(await ask("chat.example:8080"), 101);
      assert.equal(await ask("evil.example:8080"), 421);
      await served.until(() => served.refused.length === 1);
      assert.equal(served.refused[0]?.code, "HOST_REFUSED");
    });
  }

  for (const wrong of ["localhost", ["http://a.example"], ["a.example:80"], ["10.0.0.0/33"], [""], [1], 1]) {
    test(`must be valid: ${JSON.stringify(wrong)}`, () => {
      assert.throws(() => new WebSocketServer({ allowedHosts: wrong as never }), { code: "INVALID_ARGUMENT" });
    });
  }
});
