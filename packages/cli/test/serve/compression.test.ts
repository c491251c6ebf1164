import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "tungstate";
import { startApp } from "../../src/server/app.ts";
import { connectOptions } from "../../src/connect/options.ts";
import { readSettings } from "../../src/settings/read-settings.ts";
import { openLog } from "../../src/logging/logger.ts";
import { resolveConfig } from "../../src/settings/config.ts";

for (const compression of [false, true]) {
  test(`serve ${compression ? "--compression" : "without --compression"} answers connect --compress`, async () => {
    const { settings } = readSettings({ port: "0", ...(compression ? { compression } : {}) }, {});
    const app = await startApp({ config: resolveConfig(settings).config, log: openLog("silent") });
    const connection = await connect(
      `${app.url.replace("http:", "ws:")}/echo`,
      await connectOptions({ compress: true, timeout: 10, linger: 0, maxLine: 1024 }),
    );
    assert.equal(connection.extensions.startsWith("permessage-deflate"), compression);
    connection.write("a".repeat(10_000));
    for await (const message of connection) {
      assert.equal(message.text, "a".repeat(10_000));
      break;
    }
    assert.equal(connection.stats.bytesReceived < 1000, compression);
    await connection.close();
    await app.close(1000);
  });
}
