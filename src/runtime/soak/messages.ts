/** What the soak and its writer process say to each other. Plain data. */

/** To the writer. Ids are written in the order in which they are told. */
export type ToWriter =
  | { readonly kind: "open"; readonly directory: string; readonly seed: number }
  | { readonly kind: "write"; readonly from: number; readonly count: number }
  /** Forget whole segments of records before this id. */
  | { readonly kind: "prune"; readonly before: number };

/** From the writer. An id in `kept` was on the disk before the message was sent. */
export type FromWriter =
  | { readonly kind: "ready" }
  | { readonly kind: "kept"; readonly acks: readonly (readonly [id: number, sequence: number])[] }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };
