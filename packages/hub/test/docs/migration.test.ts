import { describePage } from "../../../tungstate/test/docs/support/pages.ts";

// the guides for programs of other libraries, with the programs of both sides
describePage("docs/guides/from-socket-io.md", { ports: [8080, 8081] });
describePage("docs/guides/from-uwebsockets.md", {
  ports: [8080, 8081],
  // a package with the binaries of uWebSockets.js, which is not on npm itself
  packages: { "uWebSockets.js": "@trufflesuite/uws-js-unofficial" },
});
describePage("docs/guides/from-centrifugo.md", { ports: [8080] });
describePage("docs/guides/from-crossws.md", { ports: [8080] });
describePage("docs/guides/from-tungstenite.md", { ports: [8080] });
