/** Children that come and go: a message is for one child, and never for the next in its place. */
import {
  type ActorRef,
  actor,
  call,
  cast,
  createRandom,
  defineActor,
  InvariantViolation,
  protocol,
  type Random,
  supervisor,
} from "esper-runtime";
import type { Scenario } from "esper-runtime/testkit";
import { deadLetters, linked, must, mustBeCalm } from "../ledger.ts";

const ROUNDS = 24;

const BadgeProtocol = protocol("badge", {
  /** For the child with this number alone. */
  show: cast<{ readonly badge: number }>(),
  fail: cast<null>(),
});

interface Account {
  readonly random: Random;
  shown: number;
}

interface BadgeConfig {
  readonly account: Account;
  readonly badge: number;
}

const badge = defineActor(import.meta.url, BadgeProtocol, {
  supervision: { intensity: 1_000, periodMs: 1_000 },
  setup: ({ config }) => config as BadgeConfig,
  receive: {
    show: ({ account, badge: own }, { badge: meant }) => {
      must(own === meant, `a message for child ${meant} never reaches child ${own}`);
      account.shown += 1;
    },
    fail: () => {
      throw new InvariantViolation("as it was told");
    },
  },
});

type BadgeRef = ActorRef<typeof BadgeProtocol.messages>;

const ParentProtocol = protocol("parent", {
  hire: call<{ readonly badge: number }, BadgeRef>(),
  dismiss: cast<{ readonly ref: BadgeRef }>(),
  fail: cast<null>(),
});

const parent = defineActor(import.meta.url, ParentProtocol, {
  supervision: { intensity: 1_000, periodMs: 1_000 },
  setup: ({ config }) => ({ account: config as Account, hired: [] as BadgeRef[] }),
  receive: {
    hire: ({ account, hired }, { badge: number }, context) => {
      const ref = context.spawn(badge, { account, badge: number });
      hired.push(ref);
      return ref;
    },
    dismiss: ({ hired }, _, context) => {
      const ref = hired.shift();
      if (ref !== undefined) context.stop(ref);
    },
    fail: () => {
      throw new InvariantViolation("as it was told");
    },
  },
});

/** Refs to children cross threads and outlive them; every cast through one has an end. */
export const children: Scenario = {
  name: "children",
  async run(start) {
    const account: Account = { random: createRandom(29, "children"), shown: 0 };
    const one = actor(parent, { thread: "side", config: () => account });
    const tree = supervisor({ intensity: 1_000, children: { one } });
    const kit = await linked(start, tree, { ringBytes: 4_096 });
    const boss = kit.ref(ParentProtocol, "one");
    const refs: { readonly ref: BadgeRef; readonly badge: number }[] = [];
    kit.sometime("fail", () => void boss.cast("fail", null), 400);
    let sent = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const number = refs.length;
      const options = { deadlineMs: 5_000, onRestart: "retry" } as const;
      const ref = await kit.settle(boss.call("hire", { badge: number }, options));
      refs.push({ ref, badge: number });
      for (let shows = account.random.integer(6); shows > 0; shows--) {
        const known = refs[account.random.integer(refs.length)];
        known?.ref.cast("show", { badge: known.badge });
        sent += 1;
      }
      if (account.random.integer(2) === 0) boss.cast("dismiss", { ref });
    }
    await kit.advance(20_000);
    mustBeCalm(kit);
    const dead = deadLetters(kit) - deadLetters(kit, "one");
    must(sent === account.shown + dead, `${sent} sent = ${account.shown} shown + ${dead} dead`);
  },
};
