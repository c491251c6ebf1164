import { describePage } from "./support/pages.ts";

// 8000 is that of `npm start`; the programs of the page serve on the others
describePage("README.md", { ports: [8000, 8080, 8443], servers: [["serve", "--port", "8000"]] });
