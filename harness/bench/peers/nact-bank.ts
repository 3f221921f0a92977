/** nact as a peer, the bank: a thousand accounts with a thousand transfers in flight. */
import { createRandom } from "esper-runtime";
import { dispatch, type Ref } from "nact";
import { actorOf, type NactBench } from "./nact-simple.ts";

const ACCOUNTS = 1_000;
const IN_FLIGHT = 1_000;
const OPENING = 100_000;
const AMOUNT = 1.5;

interface Debit {
  readonly to: Ref<Transfer>;
  readonly teller: Ref<null>;
}

/** A debit, a credit with its source, or null: the credit has arrived. */
type Transfer = Debit | { readonly from: Ref<Transfer> } | null;

class Account {
  balance = OPENING;
  readonly #queue: Debit[] = [];
  #busy: Debit | null = null;

  receive(message: Transfer, self: Ref<Transfer>): void {
    if (message === null) this.#credited(self);
    else if ("from" in message) {
      this.balance += AMOUNT;
      dispatch(message.from, null);
    } else if (this.#busy === null) this.#begin(message, self);
    else this.#queue.push(message);
  }

  #begin(debit: Debit, self: Ref<Transfer>): void {
    this.#busy = debit;
    this.balance -= AMOUNT;
    dispatch(debit.to, { from: self });
  }

  #credited(self: Ref<Transfer>): void {
    if (this.#busy !== null) dispatch(this.#busy.teller, null);
    this.#busy = null;
    const next = this.#queue.shift();
    if (next !== undefined) this.#begin(next, self);
  }
}

export const bank: NactBench = (system, count, finish) => {
  const transfers = Math.max(count, IN_FLIGHT);
  const accounts = Array.from({ length: ACCOUNTS }, () => new Account());
  const refs = accounts.map((account, index) =>
    actorOf<Transfer>(system, `account-${index}`, (message, self) =>
      account.receive(message, self),
    ),
  );
  const random = createRandom(7, "bench:bank");
  let started = 0;
  let ended = 0;
  const transfer = (teller: Ref<null>): void => {
    started += 1;
    const source = random.integer(ACCOUNTS - 1);
    const from = refs[source];
    const to = refs[source + 1 + random.integer(ACCOUNTS - 1 - source)];
    if (from !== undefined && to !== undefined) dispatch(from, { to, teller });
  };
  const teller = actorOf<null>(system, "teller", (_message, self) => {
    ended += 1;
    if (started < transfers) transfer(self);
    if (ended < transfers) return;
    const total = accounts.reduce((sum, { balance }) => sum + balance, 0);
    finish(total === ACCOUNTS * OPENING ? 0 : 1);
  });
  for (let index = 0; index < IN_FLIGHT; index++) transfer(teller);
};
