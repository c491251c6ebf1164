import { argumentError } from "tungstate/internal";
import type { Background } from "../schedule/background.ts";
import type { Clock } from "../schedule/clock.ts";
import { CommandError, commandError } from "../codes.ts";
import type { Control } from "./control.ts";
import { type JsonText, optionalJson } from "../json/json.ts";
import { sizeOfOptional } from "../memory/owned.ts";

/** A survey, as a node gets it. */
export interface SurveyRequest {
  /** The name of the survey. */
  readonly name: string;
  /** What the asking node sent with it. */
  readonly data: unknown;
}

/**
 * Answers a survey. Its result is sent to the asking node as JSON; of an error, the message is
 * sent.
 */
export type SurveyHandler = (request: SurveyRequest) => unknown;

/** Options of `survey`. */
export interface SurveyOptions {
  /** Time limit for all answers in ms. Default: 5,000. */
  readonly timeout?: number | undefined;
}

/** The answer of one node. */
export type SurveyAnswer =
  | {
      /** The node's id. */
      readonly node: string;
      /** What its handler returned. */
      readonly result: unknown;
    }
  | {
      /** The node's id. */
      readonly node: string;
      /** The message of what its handler threw, or why there is no answer. */
      readonly error: string;
    };

export interface SurveysContext {
  readonly clock: Clock;
  /** This node's id. */
  readonly id: string;
  readonly newId: () => string;
  /** Returns the ids of all nodes, including this one. */
  readonly nodes: () => readonly string[];
  readonly tell: (control: Control) => Promise<void>;
  readonly background: Background;
  readonly memory: { surveys(bytes: number): void };
}

/**
 * Questions of this node that wait for answers, and questions of other nodes that it is answering,
 * at most each.
 */
const MOST_OPEN = 64;
/** Bytes of one answer, and of all answers to one question, at most. */
const MOST_ANSWER_BYTES = 1024 * 1024;
const MOST_BYTES = 16 * 1024 * 1024;
const MOST_ERROR = 1_000; // characters

interface Answer {
  readonly data: JsonText | undefined;
  readonly error: string | undefined;
}

interface Open {
  readonly missing: Set<string>;
  readonly answers: SurveyAnswer[];
  /** Of the answers' texts. */
  bytes: number;
  readonly done: () => void;
}

/** Surveys of all nodes. */
export class Surveys {
  private readonly context: SurveysContext;
  private readonly handlers = new Map<string, SurveyHandler>();
  /** Surveys that this node has sent, by id. */
  private readonly open = new Map<string, Open>();
  /** Questions that handlers of this node are answering. */
  private answering = 0;
  private isClosed = false;

  constructor(context: SurveysContext) {
    this.context = context;
  }

  /** Throws if there is a handler with that name. */
  add(name: string, handler: SurveyHandler): void {
    if (this.handlers.has(name)) throw argumentError(TypeError, `a survey ${name} is registered already`);
    this.handlers.set(name, handler);
  }

  /**
   * Resolves when all known nodes have answered, or at the timeout, when the others get an error.
   * An answer that is too large is an error, too. Rejects with a CommandError (106) if too many
   * surveys are open.
   */
  async ask(name: string, data: JsonText | undefined, timeout: number): Promise<readonly SurveyAnswer[]> {
    const { clock, id, newId, nodes, tell, memory } = this.context;
    if (this.open.size >= MOST_OPEN) throw commandError("LIMIT_EXCEEDED", `at most ${MOST_OPEN} surveys at a time`);
    const survey = newId();
    const missing = new Set(nodes());
    const answers: SurveyAnswer[] = [];
    await new Promise<void>((resolve, reject) => {
      const stop = clock.after(timeout, resolve);
      const done = (): void => {
        stop();
        resolve();
      };
      this.open.set(survey, { missing, answers, bytes: 0, done });
      tell({ type: "survey", id: survey, from: id, name, data }).catch((error: unknown) => {
        stop();
        reject(error instanceof Error ? error : new Error(String(error)));
      });
      void this.answer({ name, data }).then((answer) => this.take(survey, id, answer));
    }).finally(() => {
      memory.surveys(-(this.open.get(survey)?.bytes ?? 0));
      this.open.delete(survey);
    });
    for (const node of missing) answers.push({ node, error: `no answer within ${timeout} ms` });
    return answers;
  }

  receive(control: Extract<Control, { type: "survey" | "answer" }>): void {
    const { id, tell, background } = this.context;
    if (control.type === "answer") {
      if (control.to === id) this.take(control.id, control.from, control);
      return;
    }
    // the end of the hub does not wait for the application
    void this.answer(control).then((answer) => {
      if (this.isClosed) return;
      background.add(tell({ type: "answer", id: control.id, to: control.from, from: id, ...answer }));
    });
  }

  /** Answers nothing any more; surveys of this node end with the answers that they have. */
  close(): void {
    this.isClosed = true;
    for (const { done } of this.open.values()) done();
  }

  private take(survey: string, node: string, { data, error }: Answer): void {
    const open = this.open.get(survey);
    if (open?.missing.delete(node) !== true) return; // too late, twice, or of an unknown node
    const bytes = sizeOfOptional(data) + sizeOfOptional(error);
    if (open.bytes + bytes > MOST_BYTES) {
      open.answers.push({ node, error: `all answers together take more than ${MOST_BYTES} bytes` });
      if (open.missing.size === 0) open.done();
      return;
    }
    open.bytes += bytes;
    this.context.memory.surveys(bytes);
    if (error !== undefined) open.answers.push({ node, error });
    else open.answers.push({ node, result: data === undefined ? undefined : (JSON.parse(data) as unknown) });
    if (open.missing.size === 0) open.done();
  }

  private async answer({
    name,
    data,
  }: {
    readonly name: string;
    readonly data: JsonText | undefined;
  }): Promise<Answer> {
    const handler = this.handlers.get(name);
    if (handler === undefined) return refused(`there is no survey ${name.slice(0, 80)}`);
    if (this.answering >= MOST_OPEN) return refused(`${MOST_OPEN} surveys are being answered: try again later`);
    this.answering++;
    try {
      const asked = data === undefined ? undefined : (JSON.parse(data) as unknown);
      const result = await handler({ name, data: asked });
      const text = optionalJson(result, "the result of a survey");
      const bytes = sizeOfOptional(text);
      if (bytes > MOST_ANSWER_BYTES)
        return refused(`the answer must be at most ${MOST_ANSWER_BYTES} bytes, got ${bytes}`);
      return { data: text, error: undefined };
    } catch (error) {
      if (!(error instanceof CommandError)) this.context.background.onError(error);
      return refused((error instanceof Error ? error.message : String(error)).slice(0, MOST_ERROR));
    } finally {
      this.answering--;
    }
  }
}

function refused(error: string): Answer {
  return { data: undefined, error };
}
