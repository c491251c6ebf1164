import { firstSentence, headingOf, summaryOf } from "./markdown.ts";

/**
 * Returns the start page of the site: the README, with its heading and its first sentence as a
 * banner.
 */
export function homePage(readme: string): string {
  const heading = headingOf(readme);
  const paragraph = summaryOf(readme);
  const sentence = firstSentence(paragraph);
  const banner = {
    layout: "home",
    title: heading,
    titleTemplate: "The WebSocket stack for TypeScript",
    hero: {
      name: heading,
      text: "The WebSocket stack for TypeScript",
      tagline: sentence.replaceAll("`", ""),
      actions: [
        { theme: "brand", text: "Get started", link: "/first-steps" },
        { theme: "alt", text: "Coming from another library", link: "#coming-from-another-library" },
        { theme: "alt", text: "API", link: "/api/" },
      ],
    },
  };
  const below = readme.replace(/^# .*\n+/m, "");
  // the sentence may be on several lines, and may have links
  const [first = ""] = /^[^]*?[.?](?=\s|$)/.exec(below) ?? [];
  const body = below.slice(first.length).trimStart();
  return `---\n${JSON.stringify(banner)}\n---\n\n${body}`;
}
