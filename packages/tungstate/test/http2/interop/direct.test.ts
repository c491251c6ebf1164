import { test } from "node:test";
import { describeHttp2 } from "../../support/http2-server.ts";
import { direct } from "./peers.ts";
import { Workspace } from "./servers.ts";

describeHttp2("npm run interop:http2", () => {
  test("what it checks through proxies holds without one", async () => {
    using workspace = new Workspace();
    await direct(workspace, 3);
  });
});
