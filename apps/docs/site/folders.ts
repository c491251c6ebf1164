import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Root of the repository. */
export const repository: string = fileURLToPath(new URL("../../..", import.meta.url));

/** Folder of this workspace, from which VitePress reads its configuration. */
export const workspace: string = fileURLToPath(new URL("..", import.meta.url));

/** Markdown that VitePress reads: written by each build, not in git. */
export const pagesFolder: string = join(workspace, "dist/pages");

/** Files that the site serves unchanged. */
export const publicFolder: string = join(pagesFolder, "public");

/** The built site. */
export const output: string = join(workspace, "dist/site");
