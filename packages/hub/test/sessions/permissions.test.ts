import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import type { Authenticate } from "../../src/settings/credentials.ts";
import { CommandError } from "../../src/codes.ts";
import type { NamespaceOptions } from "../../src/settings/namespaces.ts";
import { withHub } from "../support/hubs.ts";
import { type Line, TestClient } from "../support/test-client.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** A value in each form in which a function can return it. */
const FORMS: readonly (readonly [form: string, wrap: (value: unknown) => unknown])[] = [
  ["itself", (value) => value],
  ["a promise", async (value) => value],
  ["a thenable", (value) => ({ then: (resolve: (value: unknown) => void) => resolve(value) })],
  [
    "a thenable of a thenable",
    (value) => ({ then: (resolve: (value: unknown) => void) => resolve(Promise.resolve(value)) }),
  ],
  [
    "a callable thenable",
    (value) => Object.assign(() => true, { then: (resolve: (value: unknown) => void) => resolve(value) }),
  ],
  ["a promise of another realm", (value) => runInNewContext("(value) => Promise.resolve(value)")(value) as unknown],
];

class User {
  readonly user = "alice";
}

/** Values that permit nothing. */
const DENIALS: readonly unknown[] = [
  false,
  0,
  1,
  -1,
  NaN,
  "",
  "true",
  "yes",
  0n,
  1n,
  undefined,
  null,
  Symbol("yes"),
  [],
  [true],
  [{}],
  () => true,
  new Boolean(true),
  new Error("denied"),
  new Map([["user", "alice"]]),
  new Date(0),
  new User(),
  { allowed: false },
  { error: { code: 403 } },
  { info: {}, allow: true },
  { expireAt: NaN },
  { expireAt: "tomorrow" },
  { expireAt: Infinity },
  { [Symbol("denied")]: true },
  Object.defineProperty({}, "denied", { value: true }),
];

/** Values that throw when called or awaited. */
const FAILURES: readonly (readonly [form: string, answer: () => unknown])[] = [
  [
    "throws",
    () => {
      throw new Error("broken");
    },
  ],
  ["rejects", () => Promise.reject(new Error("broken"))],
  [
    "a thenable that throws",
    () => ({
      then: () => {
        throw new Error("broken");
      },
    }),
  ],
  [
    "a thenable that rejects",
    () => ({ then: (_: unknown, reject: (error: Error) => void) => reject(new Error("broken")) }),
  ],
  [
    "a getter that throws",
    () => ({
      get then(): unknown {
        throw new Error("broken");
      },
    }),
  ],
];

const history = { size: 10, ttl: 60_000 };

/** A permission and the command that requires it. */
interface Permission {
  readonly command: (channel: string) => object;
  readonly options: (answer: () => never) => NamespaceOptions;
}

const PERMISSIONS: Readonly<Record<string, Permission>> = {
  subscribe: { command: (channel) => ({ subscribe: { channel } }), options: (subscribe) => ({ subscribe }) },
  publish: { command: (channel) => ({ publish: { channel, data: 1 } }), options: (publish) => ({ publish }) },
  presence: {
    command: (channel) => ({ presence: { channel } }),
    options: (readPresence) => ({ presence: true, readPresence }),
  },
  presence_stats: {
    command: (channel) => ({ presence_stats: { channel } }),
    options: (readPresence) => ({ presence: true, readPresence }),
  },
  history: { command: (channel) => ({ history: { channel } }), options: (readHistory) => ({ history, readHistory }) },
};

/** Requests a permission whose function returns what `answer` does. */
async function asked(
  { command, options }: Permission,
  answer: () => unknown,
): Promise<{ line: Line; errors: unknown[] }> {
  let line: Line = {};
  let reported: unknown[] = [];
  // JavaScript functions may return anything
  await withHub({ namespaces: { own: options(answer as () => never) } }, async ({ hub, errors }) => {
    const client = await new TestClient(hub).connect();
    line = await client.ask(command("own:x"));
    reported = errors;
  });
  return { line, errors: reported };
}

for (const [name, permission] of Object.entries(PERMISSIONS)) {
  test(`${name} is allowed by a literal true, in any wrapping`, async () => {
    for (const [form, wrap] of FORMS) {
      const { line } = await asked(permission, () => wrap(true));
      assert.equal(line.error, undefined, form);
    }
  });

  test(`${name} is denied by anything else, in any wrapping`, async () => {
    const denials = name === "subscribe" ? DENIALS : [...DENIALS, {}, { info: 1 }];
    for (const [form, wrap] of FORMS) {
      for (const denial of denials) {
        const { line } = await asked(permission, () => wrap(denial));
        assert.equal(
          line.error?.code,
          103,
          `${form}: ${typeof denial} ${JSON.stringify(denial, (_, each: unknown) => (typeof each === "bigint" ? "n" : each))}`,
        );
      }
    }
  });

  test(`${name} is denied temporarily if the function fails, and the operator is notified`, async () => {
    for (const [form, answer] of FAILURES) {
      const { line, errors } = await asked(permission, answer);
      assert.deepEqual([line.error?.code, line.error?.temporary, errors.length], [100, true, 1], form);
    }
    const own = () => ({
      then: (_: unknown, reject: (error: Error) => void) => reject(new CommandError(1234, "not today")),
    });
    assert.equal((await asked(permission, own)).line.error?.code, 1234);
  });
}

test("subscribe is allowed by a grant, which is obeyed", async () => {
  const clock = new VirtualClock();
  const expireAt = clock.unix() / 1000 + 50.5;
  for (const [form, wrap] of FORMS) {
    const namespaces = { own: { presence: true, subscribe: () => wrap({ info: 1, data: 2, expireAt }) as never } };
    await withHub({ namespaces, clock }, async ({ hub }) => {
      const client = await new TestClient(hub).connect();
      const { ttl, data } = await client.subscribe("own:x");
      assert.deepEqual([ttl, data], [51, 2], form);
      const { presence } = await client.succeed({ presence: { channel: "own:x" } });
      assert.equal(presence?.presence[client.session.client]?.chan_info, 1, form);
    });
  }
  const bare = await asked(PERMISSIONS["subscribe"] ?? assert.fail(), () =>
    Object.assign(Object.create(null) as object, { info: 1 }),
  );
  assert.equal(bare.line.error, undefined);
});

test("an invalid grant is reported with its fields", async () => {
  const { errors } = await asked(PERMISSIONS["subscribe"] ?? assert.fail(), () => ({ expiresAt: 5 }));
  assert.match(
    String(errors[0]),
    /namespace "own": subscribe must return true, or .* info, data and expireAt.* got an object with expiresAt/,
  );
});

test("a client's identity: credentials, or anonymous", async () => {
  const known = async (answer: () => unknown, anonymous: boolean): Promise<Line> => {
    let line: Line = {};
    await withHub({ anonymous, authenticate: answer as Authenticate }, async ({ hub }) => {
      line = await new TestClient(hub).ask({ connect: { token: "" } });
    });
    return line;
  };
  for (const [form, wrap] of FORMS) {
    assert.equal((await known(() => wrap({ user: "alice" }), false)).error, undefined, form);
    assert.equal((await known(() => wrap({ user: "alice", meta: 1, subs: new Map() }), false)).error, undefined, form);
    const none = [
      ...DENIALS,
      true,
      {},
      { user: 1 },
      { user: "alice", expireAt: NaN },
      { user: "alice", subs: ["a"] },
      { user: "alice", subs: new Map([[1, {}]]) },
      { user: "alice", subs: new Map([["public:x", undefined]]) },
      { user: "alice", subs: new Map([["public:x", { expireAt: 1 }]]) },
    ];
    for (const denial of none) {
      assert.equal(
        (await known(() => wrap(denial), false)).error?.code,
        101,
        `${form}: ${String(Object(denial).constructor?.name)}`,
      );
      // only "unknown" defers to the option `anonymous`
      const code = denial === undefined || denial === null ? undefined : 101;
      assert.equal((await known(() => wrap(denial), true)).error?.code, code, form);
    }
  }
  for (const [form, answer] of FAILURES) {
    const { error } = await known(answer, true);
    assert.deepEqual([error?.code, error?.temporary], [100, true], form);
  }
});

test("options that permit something must be true or false, and nothing similar", async () => {
  for (const value of ["false", "", 0, 1, null, {}]) {
    await assert.rejects(
      withHub({ anonymous: value as boolean }, async () => undefined),
      /anonymous must be true or false/,
    );
    for (const option of ["presence", "delta", "recovery", "joinLeave"]) {
      const namespaces = { own: { history, [option]: value } as NamespaceOptions };
      await assert.rejects(
        withHub({ namespaces }, async () => undefined),
        new RegExp(`${option} must be true`),
        option,
      );
    }
    for (const option of ["subscribe", "publish", "readPresence", "readHistory"]) {
      if (value === null) continue;
      const namespaces = { own: { [option]: value } as NamespaceOptions };
      await assert.rejects(
        withHub({ namespaces }, async () => undefined),
        new RegExp(`${option} must be`),
        option,
      );
    }
  }
});

test("a callback whose promise of another realm rejects does not end the process", () =>
  withHub(
    { onConnect: () => runInNewContext("Promise.reject(new Error('unheard'))") as void },
    async ({ hub, errors }) => {
      await new TestClient(hub).connect();
      await new Promise((resolve) => setImmediate(resolve));
      assert.match(String(errors[0]), /unheard/);
    },
  ));
