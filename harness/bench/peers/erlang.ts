/**
 * Erlang/OTP as a peer: compiles the programs beside this file into a temporary folder and runs
 * one virtual machine a measurement. It never leaves compiled files in the checkout.
 */
import { fileURLToPath } from "node:url";
import { outputOf } from "../runtime/side-process.ts";

/** One way to start the virtual machine on two cores. */
export interface Emulator {
  readonly name: string;
  readonly flags: readonly string[];
}

export const ONE_SCHEDULER: Emulator = { name: "1 scheduler", flags: ["+S", "1:1"] };
export const TWO_SCHEDULERS: Emulator = { name: "2 schedulers", flags: ["+S", "2:2"] };
/** Idle schedulers spin as long as they can before they sleep: best for two that alternate. */
export const TWO_SPINNING: Emulator = {
  name: "2 schedulers, long busy wait",
  flags: ["+S", "2:2", "+sbwt", "very_long", "+swt", "very_low"],
};

export interface Erlang {
  readonly version: string;
  /** The number the program printed. */
  run(emulator: Emulator, bench: string, count: number): Promise<number>;
}

/** Compiles the programs; null, with the reason said aloud, where Erlang is not installed. */
export async function findErlang(
  directory: string,
  say: (line: string) => void,
): Promise<Erlang | null> {
  const source = fileURLToPath(new URL("./savina.erl", import.meta.url));
  try {
    await outputOf({ command: "erlc", args: ["-o", directory, source] });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    say(`SKIPPING every comparison with Erlang/OTP: erlc does not run here (${why})`);
    return null;
  }
  const release = 'io:format("~s", [erlang:system_info(otp_release)]), halt(0).';
  const version = await outputOf({ command: "erl", args: ["-noshell", "-eval", release] });
  return {
    version: `Erlang/OTP ${version.trim()}`,
    async run({ flags }, bench, count) {
      const program = ["-noshell", "-pa", directory, "-s", "savina", "main", bench, String(count)];
      const printed = await outputOf({ command: "erl", args: [...flags, ...program] });
      const value = Number(printed.trim());
      if (!(value > 0)) throw new Error(`erl ${program.join(" ")} printed ${printed}`);
      return value;
    },
  };
}
