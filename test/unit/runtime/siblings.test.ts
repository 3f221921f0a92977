import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  childrenOf,
  joinFamily,
  type Kin,
  leaveFamily,
} from "../../../src/runtime/thread/siblings.ts";
import {
  stepBegins,
  stepDone,
  stepDoneAlone,
  stepLater,
} from "../../../src/runtime/thread/steps.ts";

class Person implements Kin<Person> {
  readonly parent: Person | null;
  youngest: Person | null = null;
  elder: Person | null = null;
  younger: Person | null = null;

  constructor(parent: Person | null) {
    this.parent = parent;
  }
}

describe("the children of a cell", () => {
  it("are listed youngest first, whoever has left", () => {
    const moves = fc.array(fc.option(fc.nat(), { nil: undefined }), { maxLength: 60 });
    fc.assert(
      fc.property(moves, (list) => {
        const parent = new Person(null);
        const model: Person[] = [];
        for (const move of list) {
          if (move === undefined || model.length === 0) {
            const child = new Person(parent);
            joinFamily(child);
            model.unshift(child);
          } else {
            const [left] = model.splice(move % model.length, 1) as [Person];
            leaveFamily(left);
            // What is kept of those that are gone would keep all that came after them.
            expect([left.elder, left.younger]).toEqual([null, null]);
          }
          expect(childrenOf(parent)).toEqual(model);
        }
      }),
    );
  });

  it("need no parent", () => {
    const alone = new Person(null);
    joinFamily(alone);
    leaveFamily(alone);
    expect(childrenOf(alone)).toEqual([]);
  });
});

describe("the steps of a cell", () => {
  it("begin in their order, each when the one before is over", () => {
    const cell: Parameters<typeof stepLater>[0] = { steps: null };
    const order: string[] = [];
    stepBegins(cell);
    for (const name of ["second", "third"]) {
      stepLater(cell, () => {
        stepBegins(cell);
        order.push(name);
      });
    }
    expect([order, stepDoneAlone(cell)]).toEqual([[], false]);
    stepDone(cell);
    expect(order).toEqual(["second"]);
    stepDone(cell);
    expect(order).toEqual(["second", "third"]);
    expect([stepDoneAlone(cell), cell.steps]).toEqual([true, null]);
  });

  it("of two cells have nothing to do with each other", () => {
    const one: Parameters<typeof stepLater>[0] = { steps: null };
    const other: Parameters<typeof stepLater>[0] = { steps: null };
    stepBegins(one);
    stepBegins(other);
    stepLater(one, () => undefined);
    expect([stepDoneAlone(one), stepDoneAlone(other)]).toEqual([false, true]);
  });
});
