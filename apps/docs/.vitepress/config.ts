import process from "node:process";
import { siteConfig } from "../site/config.ts";

export default siteConfig(process.env["DOCS_BASE"] ?? "/");
