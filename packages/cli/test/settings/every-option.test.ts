// The settings file of `serve` accepts every option of the hub, of what the hub is made of, and of
// its namespaces. The compiler checks that the tables below name each option; the tests check that
// the file accepts what they say.
import type {
  HistorySettings,
  HubOptions,
  LimitOptions,
  MemoryEngineOptions,
  MemoryPresenceStoreOptions,
  NamespaceOptions,
  PingOptions,
  TokenOptions,
} from "@tungstate/hub";
import type { RedisOptions } from "@tungstate/hub/redis";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { readSettings } from "../../src/settings/read-settings.ts";
import { flagOf, SETTING_NAMES, SETTINGS } from "../../src/settings/settings.ts";

const folder = mkdtempSync(join(tmpdir(), "tungstate-options-"));
after(() => rmSync(folder, { recursive: true }));

/**
 * The value of an option, and the members of the file that set it; or why no file can: it is a
 * function or an object of a program.
 */
type InFile = { readonly members: Readonly<Record<string, unknown>> } | "of a program";
type Table<T> = { readonly [Name in keyof Required<T>]: InFile };

const members = (given: Readonly<Record<string, unknown>>): InFile => ({ members: given });

const REDIS: Table<RedisOptions> = {
  prefix: members({ redisPrefix: "other" }),
  timeout: members({ redisTimeout: 1000 }),
  presenceTtl: members({ redisPresenceTtl: 2000 }),
  memoryLimit: members({ redisMemoryLimit: 100_000_000 }),
  tls: members({ redisCa: "ca.pem", redisCert: "cert.pem", redisKey: "key.pem" }),
  onError: "of a program",
};

const TOKENS: Table<TokenOptions> = {
  keys: members({ tokenSecret: "s".repeat(32), tokenPublicKey: [], tokenJwks: "https://keys.example/" }),
  audience: members({ tokenAudience: ["a"] }),
  issuer: members({ tokenIssuer: ["i"] }),
  clockTolerance: members({ tokenClockTolerance: 5 }),
  onError: "of a program",
  clock: "of a program",
};

const ENGINE: Table<MemoryEngineOptions> = {
  historyBytes: members({ historyBytes: 1_000_000 }),
  memoryBudget: members({ memoryBudget: 100_000_000 }),
  clock: "of a program",
  newEpoch: "of a program",
};

const PRESENCE: Table<Omit<MemoryPresenceStoreOptions, "ttl">> = {
  memoryBudget: members({ memoryBudget: 100_000_000 }),
  clock: "of a program",
};

const HUB: Table<HubOptions> = {
  namespaces: members({ namespaces: { chat: { presence: true } } }),
  broker: members({ redis: ["redis://127.0.0.1"] }),
  presence: members({ redis: ["redis://127.0.0.1"] }),
  tokens: members({ tokenSecret: "s".repeat(32) }),
  authenticate: "of a program",
  anonymous: members({ anonymous: false }),
  limits: members({ limits: { channels: 5 } }),
  ping: members({ ping: false }),
  connectTimeout: members({ connectTimeout: 1000 }),
  refreshGrace: members({ refreshGrace: 1000 }),
  positionCheckInterval: members({ positionCheckInterval: 1000 }),
  announceInterval: members({ announceInterval: 1000 }),
  name: members({ name: "a" }),
  version: members({ version: "1" }),
  onConnect: "of a program",
  onDisconnect: "of a program",
  onMessage: "of a program",
  onError: "of a program",
  memoryBudget: members({ memoryBudget: 100_000_000 }),
  clock: "of a program",
  newId: "of a program",
};

const limit = (given: LimitOptions): InFile => members({ limits: given });

const LIMITS: Table<LimitOptions> = {
  channels: limit({ channels: 1 }),
  channelLength: limit({ channelLength: 1 }),
  messageSize: limit({ messageSize: 1000 }),
  depth: limit({ depth: 1 }),
  queueBytes: limit({ queueBytes: 1000 }),
  pending: limit({ pending: 1 }),
  historyPage: limit({ historyPage: 1 }),
  pageBytes: limit({ pageBytes: 1 }),
  infoBytes: limit({ infoBytes: 1 }),
  connectionsPerUser: limit({ connectionsPerUser: 1 }),
  rates: limit({ rates: { rpc: { perSecond: 1, burst: 1 } } }),
  cost: limit({ cost: { perSecond: 1, burst: 1 } }),
};

const PING: Table<PingOptions> = {
  interval: members({ ping: { interval: 9000 } }),
  timeout: members({ ping: { timeout: 500 } }),
};

const history: HistorySettings = { size: 10, ttl: 1000 };
const namespace = (given: NamespaceOptions): InFile => members({ namespaces: { chat: given } });

const NAMESPACE: Table<NamespaceOptions> = {
  history: namespace({ history }),
  recovery: namespace({ history, recovery: false }),
  recoveryLimit: namespace({ history, recoveryLimit: 5 }),
  presence: namespace({ presence: true }),
  joinLeave: namespace({ joinLeave: "asking" }),
  delta: namespace({ history, delta: true }),
  slowConsumer: namespace({ slowConsumer: "conflate" }),
  conflateBy: namespace({ slowConsumer: "conflate", conflateBy: "tag" }),
  subscribe: namespace({ subscribe: "anyone" }),
  publish: namespace({ publish: "subscribers" }),
  readPresence: namespace({ readPresence: "nobody" }),
  readHistory: namespace({ readHistory: "authenticated" }),
};

const HISTORY: Table<HistorySettings> = {
  size: namespace({ history: { ...history, size: 20 } }),
  ttl: namespace({ history: { ...history, ttl: 2000 } }),
  metaTtl: namespace({ history: { ...history, metaTtl: 3000 } }),
  maxChannels: namespace({ history: { ...history, maxChannels: 7 } }),
};

const TABLES: Readonly<Record<string, Readonly<Record<string, InFile>>>> = {
  "the hub": HUB,
  "its limits": LIMITS,
  "its pings": PING,
  "a namespace": NAMESPACE,
  "the history of a namespace": HISTORY,
  Redis: REDIS,
  "the verifier of tokens": TOKENS,
  "the memory of channels": ENGINE,
  "the memory of presence": PRESENCE,
};

for (const [what, table] of Object.entries(TABLES)) {
  describe(`the settings file, for options of ${what}`, () => {
    for (const [name, inFile] of Object.entries(table)) {
      if (inFile === "of a program") continue;
      test(`sets ${name}`, () => {
        const config = join(folder, "settings.json");
        writeFileSync(config, JSON.stringify(inFile.members));
        const { settings, problems } = readSettings({ config }, {});
        assert.deepEqual(problems, []);
        const got = { ...settings, ...settings.hub };
        for (const [member, value] of Object.entries(inFile.members)) {
          assert.deepEqual(Reflect.get(got, member), value, member);
        }
      });
    }
  });
}

test("no setting can be given in a flag alone but those that the file has in another form", () => {
  const flagsOnly = SETTING_NAMES.filter((name) => SETTINGS[name].only === "flags");
  assert.deepEqual(flagsOnly.map(flagOf), ["--namespace"]); // `namespaces` in the file
});
