export function npmCommand(program: "npm" | "npx", args: readonly string[]): [command: string, args: string[]];
