/** What a pool and a child process of it say to each other. */
import type { WireError } from "../../protocols/errors.ts";
import type { Outcome } from "./crew.ts";
import type { JobsSource } from "./jobs.ts";

/** What a child is told. */
export type ToChild =
  | { readonly kind: "load"; readonly source: JobsSource; readonly parentPid: number }
  | {
      readonly kind: "run";
      readonly id: number;
      readonly name: string;
      readonly input: unknown;
      readonly deadlineAtMs: number;
    }
  | { readonly kind: "notice"; readonly id: number };

/** What a child says. */
export type FromChild =
  | { readonly kind: "loaded"; readonly error: WireError | null }
  | { readonly kind: "ended"; readonly id: number; readonly outcome: Outcome };
