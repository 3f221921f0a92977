/**
 * A ring of points on which keys find their member: each member has many points, a key belongs to
 * the next one. A member that comes or goes moves only the keys of its own points, about one in n.
 */

/** 53 bits of a text: far too many for two members to share a point by chance. */
function hash(text: string): number {
  let high = 0x9e3779b9;
  let low = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x85ebca6b);
  }
  // Without the mixing, texts that differ in their last letter only would lie close together.
  return (mix(high ^ (low >>> 15)) >>> 5) * 2 ** 26 + (mix(low ^ (high >>> 13)) >>> 6);
}

/** Every input bit reaches every output bit. */
function mix(value: number): number {
  let z = value | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

interface Point {
  readonly at: number;
  readonly member: number;
}

/** Keys to the numbers of members. Immutable. */
export class HashRing {
  readonly #points: readonly Point[];

  /** `names` tell the members apart and decide alone where their points lie. */
  constructor(names: readonly string[], replicas: number) {
    const points = names.flatMap((name, member) =>
      Array.from({ length: replicas }, (_, copy) => ({ at: hash(`${name} ${copy}`), member })),
    );
    this.#points = points.sort((left, right) => left.at - right.at || left.member - right.member);
  }

  /** The member of a key: the first one from its place on that `suits`, else the first of all. */
  find(key: string, suits: (member: number) => boolean): number {
    const points = this.#points;
    const start = this.#after(hash(key));
    for (let step = 0; step < points.length; step++) {
      const { member } = points[(start + step) % points.length] as Point;
      if (suits(member)) return member;
    }
    return (points[start % points.length] as Point).member;
  }

  /** The first point that is not before `place`. */
  #after(place: number): number {
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#points[middle] as Point).at < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
