import assert from "node:assert/strict";
import { BlockList } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  chooseAddress,
  describeInterfaces,
  findInterface,
  type InterfaceAddress,
  interfaceOf,
  listInterfaces,
  type NetworkInterface,
  parseDevices,
  parseIfInet6,
} from "../../src/dial/interfaces.ts";
import { familyOf, hexDigits, inSubnet, sameAddress, scopeOf } from "../../src/transport/ip.ts";
import { LOOPBACK } from "./support/peers.ts";

function address(cidr: string, flags: Partial<InterfaceAddress> = {}): InterfaceAddress {
  const [ip = "", length] = cidr.split("/");
  return {
    address: ip,
    family: familyOf(ip) ?? 4,
    prefixLength: Number(length),
    scope: scopeOf(ip),
    temporary: false,
    deprecated: false,
    ...flags,
  };
}

function eth(...addresses: InterfaceAddress[]): NetworkInterface {
  return { name: "eth0", up: true, internal: false, mac: undefined, addresses };
}

describe("addresses", () => {
  test("scopes", () => {
    const scopes = {
      "127.0.0.1": "host",
      "127.1.2.3": "host",
      "::1": "host",
      "169.254.3.4": "link-local",
      "fe80::1%eth0": "link-local",
      "febf::1": "link-local",
      "fec0::1": "global",
      "fd00::1": "unique-local",
      "fbff::1": "global",
      "10.0.0.1": "global",
      "2001:db8::1": "global",
    };
    for (const [ip, scope] of Object.entries(scopes)) assert.equal(scopeOf(ip), scope, ip);
  });

  test("subnets", () => {
    assert.ok(inSubnet("10.1.2.3", "10.1.0.0", 16));
    assert.ok(!inSubnet("10.2.2.3", "10.1.0.0", 16));
    assert.ok(inSubnet("fe80::9%eth1", "fe80::1%eth0", 64));
    assert.ok(!inSubnet("10.1.2.3", "fd00::", 0));
    assert.ok(inSubnet("10.1.2.3", "0.0.0.0", 0));
  });

  test("subnets and addresses match Node's BlockList", () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(address, address, fc.nat(128), (one, other, length) => {
        for (const [a, b] of [
          [one, other],
          [one, one],
        ] as const) {
          const family = familyOf(a);
          const prefixLength = Math.min(length, family === 4 ? 32 : 128);
          const list = new BlockList();
          if (family === familyOf(b)) list.addSubnet(b, prefixLength, family === 4 ? "ipv4" : "ipv6");
          assert.equal(
            inSubnet(a, b, prefixLength),
            list.check(a, family === 4 ? "ipv4" : "ipv6"),
            `${a} in ${b}/${prefixLength}`,
          );
        }
      }),
    );
  });

  test("the digits of an address", () => {
    assert.equal(hexDigits("192.0.2.1"), "c0000201");
    assert.equal(hexDigits("::"), "0".repeat(32));
    assert.equal(hexDigits("::ffff:192.0.2.1"), `${"0".repeat(20)}ffffc0000201`);
    assert.equal(hexDigits("FE80::1%eth0"), `fe80${"0".repeat(27)}1`);
    assert.equal(hexDigits("1:2:3:4:5:6:7:8"), "00010002000300040005000600070008");
    assert.equal(hexDigits("1::8"), "00010000000000000000000000000008");
  });

  test("an address is recognised in any notation", () => {
    assert.ok(sameAddress("::1", "0:0:0:0:0:0:0:1"));
    assert.ok(sameAddress("FD00::A", "fd00::a"));
    assert.ok(sameAddress("fe80::1%eth0", "fe80::1"));
    assert.ok(!sameAddress("fe80::1%eth0", "fe80::1%eth1"));
    assert.ok(!sameAddress("10.0.0.1", "10.0.0.2"));
    assert.ok(!sameAddress("nonsense", "10.0.0.2"));
  });
});

describe("the selected address of an interface", () => {
  const chosen = (networkInterface: NetworkInterface, remote: string): string | undefined =>
    chooseAddress(networkInterface, remote)?.address;

  test("has the family needed", () => {
    const both = eth(address("10.0.0.1/24"), address("2001:db8::1/64"));
    assert.equal(chosen(both, "192.0.2.1"), "10.0.0.1");
    assert.equal(chosen(both, "2001:db8:1::1"), "2001:db8::1");
    assert.equal(chosen(eth(address("10.0.0.1/24")), "2001:db8::1"), undefined);
  });

  test("is in the remote's subnet, if possible", () => {
    const two = eth(address("10.0.0.1/24"), address("192.168.1.5/24"));
    assert.equal(chosen(two, "192.168.1.9"), "192.168.1.5");
    assert.equal(chosen(two, "10.0.0.9"), "10.0.0.1");
    assert.equal(chosen(two, "192.0.2.1"), "10.0.0.1");
  });

  test("is global for a global remote, link-local for a link-local one, unique-local for a unique-local one", () => {
    const three = eth(address("fe80::1/64"), address("fd00::1/64"), address("2001:db8::1/64"));
    assert.equal(chosen(three, "2001:db8:1::1"), "2001:db8::1");
    assert.equal(chosen(three, "fe80::9"), "fe80::1");
    assert.equal(chosen(three, "fd00:1::9"), "fd00::1");
    assert.equal(chosen(eth(address("fe80::1/64"), address("fd00::1/64")), "2001:db8::1"), "fd00::1");
    assert.equal(chosen(eth(address("169.254.0.1/16"), address("10.0.0.1/8")), "192.0.2.1"), "10.0.0.1");
  });

  test("is permanent before temporary, and deprecated only if there is no other", () => {
    const temporary = address("2001:db8::a/64", { temporary: true });
    const lasting = address("2001:db8::b/64");
    const deprecated = address("2001:db8::c/64", { deprecated: true });
    assert.equal(chosen(eth(temporary, lasting), "2001:db8:1::1"), lasting.address);
    assert.equal(chosen(eth(deprecated, temporary), "2001:db8:1::1"), temporary.address);
    assert.equal(chosen(eth(deprecated, address("2001:db8:f::1/64")), "2001:db8::9"), "2001:db8:f::1");
    assert.equal(chosen(eth(deprecated), "2001:db8:1::1"), deprecated.address);
  });
});

describe("the interfaces of this machine", () => {
  test("are those of node:os, and those that are down", () => {
    const listed = listInterfaces();
    for (const name of Object.keys(networkInterfaces())) {
      assert.ok(listed.find((one) => one.name === name)?.up, name);
    }
    const loopback = findInterface(LOOPBACK);
    assert.ok(loopback.internal);
    assert.ok(
      loopback.addresses.some((one) => one.address === "127.0.0.1" && one.prefixLength === 8 && one.scope === "host"),
    );
    for (const one of listed.flatMap((each) => each.addresses)) {
      assert.equal(one.address.includes("%"), one.family === 6 && one.scope === "link-local", one.address);
    }
  });

  test("are found by a local address", () => {
    assert.equal(interfaceOf("127.0.0.1"), LOOPBACK);
    assert.equal(interfaceOf("127.9.9.9"), LOOPBACK);
    assert.equal(interfaceOf("203.0.113.9"), undefined);
  });

  test("are named when one is missing", () => {
    assert.throws(
      () => findInterface("eth\u001b[31m"),
      (error: Error) => {
        assert.match(error.message, /"eth\\u001b\[31m"; there are /);
        assert.ok(error.message.includes(describeInterfaces(listInterfaces())));
        return true;
      },
    );
    assert.equal(
      describeInterfaces([eth(), { ...eth(), name: "wwan0", up: false }]),
      "eth0, wwan0 (down or without address)",
    );
    assert.equal(describeInterfaces([]), "none");
  });

  test("as reported by the kernel", () => {
    const flags = parseIfInet6(
      "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n20010db8000000000000000000000001 04 40 00 21 eth0\n\n",
    );
    assert.deepEqual(
      [...flags],
      [
        ["fe8000000000000000fc00fffe000001 eth0", 0x80],
        ["20010db8000000000000000000000001 eth0", 0x21],
      ],
    );
    const devices =
      "Inter-|   Receive\n face |bytes    packets\n    lo: 17242799   16229    0\n  ifb0:       0       0\n";
    assert.deepEqual(parseDevices(devices), ["lo", "ifb0"]);
    assert.deepEqual(parseDevices(""), []);
  });
});
