import { describePage } from "../docs/support/pages.ts";

const serve = ["serve", "--port", "8000", "--token-secret", "0123456789abcdef0123456789abcdef"];
const hub = [...serve, "--api-key", "a-key-of-at-least-16-characters", "--namespace", "rooms"];

for (const guide of ["hub-chat.md", "tokens.md"]) {
  describePage(`docs/guides/${guide}`, { ports: [8000, 8080], servers: [hub] });
}
for (const guide of ["presence.md", "history.md"]) describePage(`docs/guides/${guide}`, { ports: [8080] });
describePage("docs/guides/frameworks.md", { ports: [8081, 8082, 8083, 8084] });
