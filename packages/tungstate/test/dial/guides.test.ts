import { describePage } from "../docs/support/pages.ts";

for (const guide of ["interfaces.md", "proxies.md", "tls.md"]) describePage(`docs/guides/${guide}`);
