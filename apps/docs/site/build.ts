import { build } from "vitepress";
import { Assembly } from "./assemble.ts";
import { workspace } from "./folders.ts";
import { readNavigation } from "./navigation.ts";
import { writeReference } from "./reference.ts";
import { writeTexts } from "./texts.ts";

/** Builds the whole site into `output`. */
export async function buildSite(): Promise<void> {
  const sections = readNavigation();
  const texts = new Assembly(sections).write();
  await writeReference();
  await build(workspace);
  writeTexts(sections, texts);
}
