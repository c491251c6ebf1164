import { describePage } from "../docs/support/pages.ts";

describePage("docs/guides/relaying.md", { ports: [8080, 8081] });
