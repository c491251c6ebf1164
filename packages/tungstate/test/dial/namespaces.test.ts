import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Authority } from "../tls/support/certificates.ts";
import type { ClientCommand, ClientReply, Ports } from "./support/agent.ts";
import { isInstalled } from "./support/proxies.ts";
import { TwoNetworks } from "./support/namespaces.ts";

const impossible = TwoNetworks.impossible();

/** Enough to distinguish data from ARP and neighbour discovery. */
const BYTES = 100_000;

if (impossible !== undefined) {
  test("two networks to one server", (t) =>
    t.diagnostic(`not tried: ${impossible}; dial.test.ts tries loopback addresses`));
}

describe("two networks to one server", { skip: impossible ?? false }, () => {
  const authority = new Authority();
  let networks: TwoNetworks;
  let ports: Ports;
  let ask: (command: ClientCommand) => Promise<ClientReply>;

  before(async () => {
    networks = new TwoNetworks();
    const { key, cert } = authority.issue({ names: "DNS:server.test" });
    ports = await networks.startServer(key, cert);
    ask = networks.startClient();
  });
  after(() => {
    networks.remove();
    authority.remove();
  });

  type Transfer = Extract<ClientCommand, { do: "transfer" }>;

  /** Sends data, and returns the interface it left by, from the kernel's counters. */
  async function transfer(
    command: Partial<Transfer>,
    asking = ask,
  ): Promise<ClientReply & { readonly by: string | undefined }> {
    const before = networks.sentBytes();
    const reply = await asking({
      do: "transfer",
      host: networks.hosts[4],
      port: ports.plain,
      bytes: BYTES,
      ...command,
    });
    const now = networks.sentBytes();
    const by = (["eth1", "eth2"] as const).filter((device) => now[device] - before[device] >= BYTES);
    const quiet = (["eth1", "eth2"] as const).filter((device) => now[device] - before[device] < BYTES / 2);
    assert.equal(by.length + quiet.length, 2, "it leaves by one interface, not by both");
    return { ...reply, by: by[0] };
  }

  async function failure(command: Partial<Transfer>, asking = ask): Promise<NonNullable<ClientReply["error"]>> {
    const { error, by } = await transfer({ ...command, bytes: 1 }, asking);
    assert.ok(error, "it was expected to fail");
    assert.equal(by, undefined);
    return error;
  }

  for (const family of [4, 6] as const) {
    for (const kind of ["plain", "tls"] as const) {
      const tls = kind === "tls" ? { tls: { ca: authority.cert, host: "server.test" } } : {};

      test(`IPv${family}, ${kind}: an unbound connection uses the routing table, an interface its network`, async () => {
        const target = { host: networks.hosts[family], port: ports[kind], ...tls };
        networks.routeBySource(true);
        try {
          assert.equal((await transfer(target)).by, "eth1");
          for (const n of [1, 2]) {
            const { by, route } = await transfer({ ...target, options: { interface: `eth${n}` } });
            assert.equal(by, `eth${n}`);
            assert.equal(route?.interface, `eth${n}`);
            assert.equal(route?.localAddress, family === 4 ? `10.77.${n}.1` : `fd77:${n}::1`);
            assert.equal(route?.remoteAddress, networks.hosts[family]);
          }
          const localAddress = family === 4 ? "10.77.2.1" : "fd77:2::1";
          const { by, route } = await transfer({ ...target, options: { localAddress } });
          assert.deepEqual([by, route?.interface, route?.localAddress], ["eth2", "eth2", localAddress]);
        } finally {
          networks.routeBySource(false);
        }
      });

      test(`IPv${family}, ${kind}: bindToDevice overrides the routing table`, async () => {
        const target = { host: networks.hosts[family], port: ports[kind], ...tls };
        const unbound = await transfer({ ...target, options: { interface: "eth2" } });
        assert.equal(unbound.by, "eth1", "the address alone does not choose the way");
        for (const n of [1, 2]) {
          const options = { interface: `eth${n}`, bindToDevice: true };
          const { by, route } = await transfer({ ...target, options });
          assert.equal(by, `eth${n}`);
          assert.equal(route?.interface, `eth${n}`);
          assert.equal(route?.localAddress, family === 4 ? `10.77.${n}.1` : `fd77:${n}::1`);
        }
        const localAddress = family === 4 ? "10.77.2.1" : "fd77:2::1";
        const both = await transfer({ ...target, options: { interface: "eth2", bindToDevice: true, localAddress } });
        assert.deepEqual([both.by, both.route?.localAddress], ["eth2", localAddress]);
      });
    }
  }

  test("the connection to a proxy is bound, too", async () => {
    const proxy = `http://${networks.hosts[4]}:${ports.proxy}`;
    const options = { interface: "eth2", bindToDevice: true, proxy };
    const { by, route } = await transfer({ host: "anything.test", port: 9, options });
    assert.deepEqual([by, route?.interface, route?.proxy], ["eth2", "eth2", proxy]);
  });

  test("a link-local address is reached over the named interface, or by its scope", async () => {
    for (const n of [1, 2]) {
      const ends = [`fe80::1%eth${n}`, `fe80::2%eth${n}`];
      const { by, route } = await transfer({ host: "fe80::2", options: { interface: `eth${n}` } });
      assert.deepEqual([by, route?.localAddress, route?.remoteAddress], [`eth${n}`, ...ends]);
      const scoped = await transfer({ host: `fe80::2%eth${n}`, options: { localAddress: `fe80::1%eth${n}` } });
      assert.deepEqual(
        [scoped.by, scoped.route?.interface, scoped.route?.localAddress],
        [`eth${n}`, `eth${n}`, ends[0]],
      );
    }
  });

  test("tcpUserTimeout can be set, alone and with a device", async () => {
    assert.equal((await transfer({ options: { tcpUserTimeout: 5_000 } })).by, "eth1");
    const options = { tcpUserTimeout: 5_000, interface: "eth2", bindToDevice: true };
    assert.equal((await transfer({ options })).by, "eth2");
  });

  test("a link that is down fails over, and its route is tried last afterwards", async () => {
    const options = { interface: ["eth1", "eth2"], bindToDevice: true };
    const first = await transfer({ options, keepRoutes: true });
    assert.equal(first.by, "eth1");
    networks.linkDown(1);
    const second = await transfer({ options, keepRoutes: true });
    assert.deepEqual([second.by, second.route?.interface], ["eth2", "eth2"]);
    networks.linkUp(1);
    const third = await transfer({ options, keepRoutes: true });
    assert.equal(third.by, "eth2", "eth1 is back, but it failed last");
    networks.linkDown(2);
    const fourth = await transfer({ options, keepRoutes: true });
    assert.equal(fourth.by, "eth1");
    networks.linkUp(2);
  });

  test("a disconnected cable fails over", async () => {
    networks.setCarrier(1, "down");
    const reply = await transfer({ options: { interface: ["eth1", "eth2"], bindToDevice: true } });
    assert.equal(reply.by, "eth2");
    const error = await failure({ options: { interface: "eth1" } });
    assert.deepEqual([error.code, error.step], ["INTERFACE_DOWN", "bind"]);
    networks.setCarrier(1, "up");
    networks.linkUp(1);
  });

  test("a network that drops everything: another route wins the race, and nothing of the first remains", async () => {
    networks.blackHole(1, true);
    try {
      const options = { interface: ["eth1", "eth2"], bindToDevice: true, attemptDelay: 20 };
      const raced = await transfer({ options: { ...options, interfaceStrategy: "race" } });
      assert.deepEqual([raced.by, raced.route?.interface], ["eth2", "eth2"]);
      assert.deepEqual(networks.connections("syn-sent"), []);
      // long enough for eth2 on a loaded machine, too
      const ordered = await transfer({ options: { ...options, connectTimeout: 2_000 } });
      assert.equal(ordered.route?.interface, "eth2");
      const error = await failure({ options: { interface: "eth1", connectTimeout: 100 } });
      assert.deepEqual([error.code, error.step], ["CONNECT_TIMEOUT", "connect"]);
    } finally {
      networks.blackHole(1, false);
    }
  });

  test("an interface is used with its new address", async () => {
    networks.onClient("address", "add", "10.77.2.33/24", "dev", "eth2");
    networks.onClient("address", "delete", "10.77.2.1/24", "dev", "eth2");
    try {
      networks.onClient("address", "replace", "10.77.2.33/24", "dev", "eth2");
      const { route } = await transfer({ host: "10.77.2.2", options: { interface: "eth2" } });
      assert.equal(route?.localAddress, "10.77.2.33");
    } finally {
      networks.linkUp(2);
      networks.onClient("address", "delete", "10.77.2.33/24", "dev", "eth2");
      networks.linkUp(2);
    }
  });

  type Talk = Extract<ClientCommand, { do: "talk" }>;

  /**
   * A reconnecting connection in a separate process. Reports the interface by which its data
   * leaves.
   */
  function talker(command: Omit<Talk, "do" | "bytes">): (gaps: number) => Promise<ClientReply & { by: string[] }> {
    const asking = networks.startClient();
    return async (gaps) => {
      const before = networks.sentBytes();
      const reply = await asking({ do: "talk", bytes: BYTES, gaps, ...command });
      const now = networks.sentBytes();
      return { ...reply, by: (["eth1", "eth2"] as const).filter((device) => now[device] - before[device] >= BYTES) };
    };
  }

  for (const kind of ["ws", "wss"] as const) {
    for (const family of [4, 6] as const) {
      test(`${kind}:, IPv${family}: a connection whose link goes down continues over the other one`, async () => {
        const host = family === 4 ? networks.hosts[4] : `[${networks.hosts[6]}]`;
        const tls = kind === "wss" ? { tls: { ca: authority.cert, servername: "server.test" } } : {};
        const url = `${kind}://${host}:${ports[kind]}/`;
        const say = talker({ url, options: { interface: ["eth1", "eth2"], bindToDevice: true, ...tls } });
        const first = await say(0);
        assert.deepEqual([first.by, first.route?.interface], [["eth1"], "eth1"], JSON.stringify(first));
        networks.linkDown(1);
        try {
          const second = await say(1);
          assert.deepEqual([second.by, second.route?.interface], [["eth2"], "eth2"], JSON.stringify(second));
        } finally {
          networks.linkUp(1);
        }
        networks.linkDown(2);
        try {
          const third = await say(2);
          assert.deepEqual([third.by, third.route?.interface], [["eth1"], "eth1"], JSON.stringify(third));
        } finally {
          networks.linkUp(2);
        }
      });
    }
  }

  test("a connection whose interface changes its address continues from the new one", async () => {
    const say = talker({ url: `ws://10.77.2.2:${ports.ws}/`, options: { interface: "eth2" } });
    assert.equal((await say(0)).route?.localAddress, "10.77.2.1");
    networks.onClient("address", "delete", "10.77.2.1/24", "dev", "eth2");
    networks.onClient("address", "add", "10.77.2.34/24", "dev", "eth2");
    try {
      const { route, by } = await say(1);
      assert.deepEqual([route?.interface, route?.localAddress, by], ["eth2", "10.77.2.34", ["eth2"]]);
    } finally {
      networks.linkUp(2);
      networks.onClient("address", "delete", "10.77.2.34/24", "dev", "eth2");
      networks.linkUp(2);
    }
  });

  test("of several addresses, the one in the remote's network is used, and no deprecated one", async () => {
    networks.onClient("address", "add", "10.88.0.1/24", "dev", "eth2");
    networks.onClient("address", "add", "fd77:2::99/64", "dev", "eth2", "nodad", "preferred_lft", "0");
    try {
      const four = await transfer({ host: "10.77.2.2", options: { interface: "eth2" } });
      assert.equal(four.route?.localAddress, "10.77.2.1");
      const six = await transfer({ host: "fd77:2::2", options: { interface: "eth2" } });
      assert.equal(six.route?.localAddress, "fd77:2::1");
      const { interfaces } = await ask({ do: "list" });
      const old = interfaces?.flatMap(({ addresses }) => addresses).find(({ address }) => address === "fd77:2::99");
      assert.equal(old?.deprecated, true);
    } finally {
      networks.onClient("address", "delete", "10.88.0.1/24", "dev", "eth2");
      networks.onClient("address", "delete", "fd77:2::99/64", "dev", "eth2");
    }
  });

  test("each failure has its code, and names what was tried", async () => {
    networks.onClient("link", "add", "only4", "type", "veth", "peer", "name", "only4-peer");
    networks.onClient("link", "set", "only4-peer", "up");
    networks.onClient("link", "set", "only4", "addrgenmode", "none", "up");
    networks.onClient("address", "add", "10.99.0.1/24", "dev", "only4");
    const missing = await failure({ options: { interface: "eth7" } });
    assert.deepEqual([missing.code, missing.step], ["NO_SUCH_INTERFACE", "bind"]);
    assert.match(missing.message, /"eth7"; there are lo, eth1, eth2, only4/);
    for (const bindToDevice of [false, true]) {
      const gone = await failure({ options: { interface: "eth7", bindToDevice } });
      assert.equal(gone.code, "NO_SUCH_INTERFACE");
    }
    const family = await failure({ host: networks.hosts[6], options: { interface: "only4" } });
    assert.deepEqual([family.code, family.step], ["NO_ADDRESS_OF_FAMILY", "bind"]);
    assert.match(family.message, /IPv6 is needed, only4 has 10\.99\.0\.1, to \[fd77:9::9\]:\d+ on only4/);
    const foreign = await failure({ options: { localAddress: "10.77.1.200" } });
    assert.deepEqual([foreign.code, foreign.step], ["ADDRESS_NOT_LOCAL", "bind"]);
    const unreachable = await failure({ host: "192.0.2.1" });
    assert.deepEqual([unreachable.code, unreachable.step], ["UNREACHABLE", "connect"]);
    const refused = await failure({ port: 9, options: { interface: "eth2", bindToDevice: true } });
    assert.deepEqual([refused.code, refused.step], ["REFUSED", "connect"]);
    assert.match(refused.message, /to 10\.77\.9\.9:9 on eth2/);
    networks.linkDown(2);
    for (const bindToDevice of [false, true]) {
      const down = await failure({ options: { interface: "eth2", bindToDevice } });
      assert.deepEqual([down.code, down.step], ["INTERFACE_DOWN", "bind"]);
      assert.match(down.message, /the network interface is down or has no address: .* on eth2/);
    }
    const all = await failure({ port: 9, options: { interface: ["eth2", "eth1", "eth7"] } });
    assert.deepEqual([all.code, all.step], ["REFUSED", "connect"]);
    assert.match(
      all.message,
      /3 routes failed: INTERFACE_DOWN .* on eth2; REFUSED .* on eth1; NO_SUCH_INTERFACE .* on eth7/,
    );
    networks.linkUp(2);
    networks.onClient("link", "delete", "only4");
  });

  test("without capabilities", { skip: !isInstalled("setpriv") && "setpriv is not installed" }, async (t) => {
    const powerless = networks.startClient(["net_raw", "net_bind_service", "net_admin"]);
    const low = await failure({ options: { localPort: 81 } }, powerless);
    assert.deepEqual([low.code, low.step], ["BIND_NOT_PERMITTED", "bind"]);
    assert.match(low.message, /CAP_NET_BIND_SERVICE/);
    const { by, error } = await transfer({ options: { interface: "eth2", bindToDevice: true } }, powerless);
    if (error === undefined) {
      assert.equal(by, "eth2");
      t.diagnostic("this kernel (Linux 5.7 or later) lets anybody bind to a device");
    } else {
      assert.deepEqual([error.code, error.step], ["BIND_NOT_PERMITTED", "bind"]);
      assert.match(error.message, /CAP_NET_RAW/);
    }
  });
});
