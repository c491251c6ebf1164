import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DEFAULT_LIMITS, ProtocolConfig, type ProtocolOptions } from "../../src/endpoint/options.ts";
import { countingKeys } from "../support/sent.ts";
import { runtime } from "../support/runtime.ts";

const OPTIONS: ProtocolOptions = {
  ...DEFAULT_LIMITS,
  role: "server",
  keys: undefined,
  acceptUnmaskedFrames: false,
  compression: false,
  heartbeat: { interval: 1000, timeout: 500 },
  closeTimeout: 5000,
};

describe("options", () => {
  test("have limits by default: frames of 16 MiB, messages and output of 64 MiB", () => {
    const mib = 1024 * 1024;
    assert.deepEqual(DEFAULT_LIMITS, {
      maxFrameSize: 16 * mib,
      maxMessageSize: 64 * mib,
      maxWriteBufferSize: 64 * mib,
    });
  });

  test("may be at their limits, or off", () => {
    const right: Partial<ProtocolOptions>[] = [
      {},
      { role: "client", keys: countingKeys() },
      { keys: countingKeys() },
      { maxFrameSize: 1, maxMessageSize: 0, maxWriteBufferSize: 0, closeTimeout: 0.5 },
      { maxFrameSize: Infinity, maxMessageSize: Infinity, maxWriteBufferSize: Infinity, closeTimeout: Infinity },
      { maxCloseTime: 0.5 },
      { maxCloseTime: Infinity },
      { heartbeat: undefined },
      { heartbeat: { interval: 1, timeout: Infinity } },
    ];
    for (const options of right) new ProtocolConfig(runtime(), { ...OPTIONS, ...options });
  });

  const WRONG: [string, unknown[], string][] = [
    ["role", [undefined, "Server", "peer", 1], 'must be "client" or "server"'],
    ["maxFrameSize", [undefined, null, 0, -1, 1.5, NaN, -Infinity, "1000", 10n], "must be an integer of at least 1"],
    ["maxMessageSize", [undefined, -1, 0.5, NaN, "1"], "must be an integer of at least 0"],
    ["maxWriteBufferSize", [undefined, -1, 0.5, NaN, {}], "must be an integer of at least 0"],
    ["closeTimeout", [undefined, 0, -1, NaN, "5s"], "must be a number above 0 (ms)"],
    ["maxCloseTime", [null, 0, -1, NaN, "5s"], "must be a number above 0 (ms)"],
  ];
  for (const [name, values, expected] of WRONG) {
    test(`${name}: an invalid value is rejected, with the expected and the given one`, () => {
      for (const value of values) {
        const options = { ...OPTIONS, [name]: value } as ProtocolOptions;
        assert.throws(
          () => new ProtocolConfig(runtime(), options),
          (error: Error & { code?: string; fault?: string }) => {
            assert.equal(error.code, "INVALID_ARGUMENT");
            assert.equal(error.fault, "local");
            assert.ok(error.message.includes(`${name} ${expected}`), error.message);
            assert.match(error.message, /got \S/);
            return true;
          },
        );
      }
    });
  }

  test("heartbeat: invalid times are rejected by name", () => {
    for (const time of [undefined, 0, -1, NaN, "1"] as unknown as number[]) {
      const interval = { ...OPTIONS, heartbeat: { interval: time, timeout: 1 } };
      const timeout = { ...OPTIONS, heartbeat: { interval: 1, timeout: time } };
      assert.throws(() => new ProtocolConfig(runtime(), interval), {
        code: "INVALID_ARGUMENT",
        message: /heartbeat\.interval must be a number above 0 \(ms\), got /,
      });
      assert.throws(() => new ProtocolConfig(runtime(), timeout), {
        code: "INVALID_ARGUMENT",
        message: /heartbeat\.timeout must be a number above 0 \(ms\), got /,
      });
    }
  });

  test("keys: a client requires them", () => {
    for (const keys of [undefined, null, {}] as unknown as undefined[]) {
      assert.throws(() => new ProtocolConfig(runtime(), { ...OPTIONS, role: "client", keys }), {
        code: "INVALID_ARGUMENT",
        message: /keys must be MaskingKeys/,
      });
    }
  });
});
