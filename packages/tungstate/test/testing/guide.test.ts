import { describePage } from "../docs/support/pages.ts";

describePage("docs/guides/network-conditions.md");
