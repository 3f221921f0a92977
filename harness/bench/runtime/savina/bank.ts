/**
 * A thousand accounts, a thousand transfers in flight. A transfer asks the source, the source asks
 * the destination, the answers come back; an account busy with one transfer keeps the others.
 */
import {
  type ActorRef,
  cast,
  createRandom,
  defineActor,
  protocol,
  type Random,
} from "esper-runtime";
import { type Begin, type Cast, closeStage } from "./stage.ts";

const ACCOUNTS = 1_000;
const IN_FLIGHT = 1_000;
const OPENING = 100_000;
const AMOUNT = 1.5;

interface Credit {
  readonly amount: number;
  readonly from: ActorRef<{ readonly credited: Cast<null> }>;
}

interface Debit {
  readonly amount: number;
  readonly to: ActorRef<{ readonly credit: Cast<Credit> }>;
  readonly teller: ActorRef<{ readonly done: Cast<null> }>;
}

const AccountProtocol = protocol("account", {
  debit: cast<Debit>(),
  credit: cast<Credit>(),
  credited: cast<null>(),
  close: cast<ActorRef<{ readonly balance: Cast<number> }>>(),
});

interface Account {
  balance: number;
  busy: Debit | null;
  readonly waiting: Debit[];
}

function transfer(
  state: Account,
  debit: Debit,
  self: ActorRef<typeof AccountProtocol.messages>,
): void {
  state.busy = debit;
  state.balance -= debit.amount;
  debit.to.cast("credit", { amount: debit.amount, from: self });
}

const account = defineActor(import.meta.url, AccountProtocol, {
  setup: (): Account => ({ balance: OPENING, busy: null, waiting: [] }),
  receive: {
    debit(state, debit, { self }) {
      if (state.busy === null) transfer(state, debit, self);
      else state.waiting.push(debit);
    },
    credit(state, { amount, from }) {
      state.balance += amount;
      from.cast("credited", null);
    },
    credited(state, _payload, { self }) {
      state.busy?.teller.cast("done", null);
      state.busy = null;
      const next = state.waiting.shift();
      if (next !== undefined) transfer(state, next, self);
    },
    close: (state, teller) => void teller.cast("balance", state.balance),
  },
});

const TellerProtocol = protocol("teller", {
  open: cast<Branch>(),
  done: cast<null>(),
  balance: cast<number>(),
});

interface Branch {
  readonly accounts: readonly ActorRef<typeof AccountProtocol.messages>[];
  readonly count: number;
}

interface Teller {
  branch: Branch | null;
  readonly random: Random;
  started: number;
  done: number;
  balances: number;
  total: number;
}

/** A random source, and a destination behind it, so that no cycle of busy accounts can form. */
function startTransfer(state: Teller, teller: ActorRef<typeof TellerProtocol.messages>): void {
  const accounts = state.branch?.accounts ?? [];
  const source = state.random.integer(ACCOUNTS - 1);
  const target = source + 1 + state.random.integer(ACCOUNTS - 1 - source);
  const to = accounts[target];
  state.started += 1;
  if (to !== undefined) accounts[source]?.cast("debit", { amount: AMOUNT, to, teller });
}

const teller = defineActor(import.meta.url, TellerProtocol, {
  mailbox: { capacity: 2 * ACCOUNTS, overflow: "reject" },
  setup: (): Teller => ({
    branch: null,
    random: createRandom(7, "bench:bank"),
    started: 0,
    done: 0,
    balances: 0,
    total: 0,
  }),
  receive: {
    open(state, branch, { self }) {
      state.branch = branch;
      for (let index = 0; index < IN_FLIGHT; index++) startTransfer(state, self);
    },
    done(state, _payload, { self }) {
      state.done += 1;
      const { accounts, count } = state.branch ?? { accounts: [], count: 0 };
      if (state.started < count) startTransfer(state, self);
      else if (state.done === count) for (const ref of accounts) ref.cast("close", self);
    },
    balance(state, balance) {
      state.balances += 1;
      state.total += balance;
      if (state.balances < ACCOUNTS) return;
      // Money is neither made nor lost: all amounts are multiples of a half, so the sum is exact.
      const faults = state.total === ACCOUNTS * OPENING ? 0 : 1;
      closeStage(state.branch?.count ?? 0, faults);
    },
  },
});

export const beginBank: Begin = (root, count) => {
  const accounts = Array.from({ length: ACCOUNTS }, () => root.spawn(account));
  root.spawn(teller).cast("open", { accounts, count: Math.max(count, IN_FLIGHT) });
};
