/** Joins a running system to the control socket of its run. */
import { z } from "zod";
import { dehydrate, EsperError } from "../../protocols/errors.ts";
import type { ActorSystem } from "../thread/system.ts";
import type { ControlGreeting } from "./control-client.ts";
import { type ControlOptions, type ControlServer, openControl } from "./control-server.ts";

export interface RunControlOptions extends ControlOptions {
  readonly runId: string;
  /** The run goes on without its socket; the person is told why. */
  readonly onUnavailable: (message: string) => void;
}

const MAX_OVER_MS = 10_000;
const paramsSchema = z.strictObject({ overMs: z.number().min(0).max(MAX_OVER_MS).default(0) });

/** Serves `hello` and `inspect`; null when the socket cannot be made. */
export async function serveRun(
  system: Pick<ActorSystem, "inspectOver">,
  options: RunControlOptions,
): Promise<ControlServer | null> {
  try {
    const control = await openControl(options);
    const { runId } = options;
    control.register("hello", (): ControlGreeting => ({ runId, pid: process.pid }));
    control.register("inspect", (params) => system.inspectOver(checked(params).overMs));
    return control;
  } catch (error) {
    options.onUnavailable(`inspect cannot reach this run: ${dehydrate(error).message}`);
    return null;
  }
}

/** @throws {CONFIG_INVALID} */
function checked(params: unknown): z.output<typeof paramsSchema> {
  const parsed = paramsSchema.safeParse(params ?? {});
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  const text = `the params of inspect are not valid: ${issues.join("; ")}`;
  throw new EsperError("CONFIG_INVALID", text, { path: "params", issues });
}
