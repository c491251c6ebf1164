/** A problem that the user can solve. The message is printed in one line. */
export class CreateError extends Error {
  override readonly name = "CreateError";
  /** Exit status: 2 for a wrong command line, 1 for a folder that cannot be used. */
  readonly status: number;

  constructor(message: string, { status = 1, cause }: { status?: number; cause?: unknown } = {}) {
    super(message, { cause });
    this.status = status;
  }
}
