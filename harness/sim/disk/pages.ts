/**
 * The bytes of one simulated file, twice: as programs see them (the page cache) and as the device
 * holds them. Between two syncs the device may have taken any of the changes, sector by sector and
 * in any order; a failed sync forgets the changes, as a kernel does, while the cache goes on
 * showing them. A sector is old or new, never a mix, unless a crash is asked to split one.
 */
import type { Random } from "esper-runtime";

export const SECTOR_BYTES = 512;

/** What was written where, or the size that a truncation left. */
type Change =
  | { readonly kind: "write"; readonly from: number; readonly bytes: Uint8Array }
  | { readonly kind: "cut"; readonly from: number };

type Range = readonly [from: number, to: number];

/** The ranges, less what lies in [from, to). */
function without(ranges: readonly Range[], from: number, to: number): Range[] {
  const pieces = ranges.flatMap(([start, end]): Range[] => [
    [start, Math.min(end, from)],
    [Math.max(start, to), end],
  ]);
  return pieces.filter(([start, end]) => start < end);
}

/** How much of what was not synced a crash leaves: chosen afresh for every file. */
type Survival = "nothing" | "everything" | "some";

/** What a crash may do to the bytes; without a stream nothing that was not synced survives. */
export interface CrashStyle {
  readonly random?: Random;
  /** True: one sector may hold the beginning of the new bytes and the rest of the old. */
  readonly splitSectors?: boolean;
}

/** Bytes with room to grow; all behind the size are zeros. */
class Extent {
  size = 0;
  #bytes = new Uint8Array(0);

  write(bytes: Uint8Array, from: number): void {
    this.reserve(from + bytes.byteLength);
    this.#bytes.set(bytes, from);
    this.size = Math.max(this.size, from + bytes.byteLength);
  }

  resize(size: number): void {
    this.reserve(size);
    if (size < this.size) this.#bytes.fill(0, size, this.size);
    this.size = size;
  }

  slice(from: number, to: number): Uint8Array {
    return this.#bytes.slice(Math.min(from, this.size), Math.min(to, this.size));
  }

  flip(offset: number, mask: number): void {
    if (offset < this.size) this.#bytes[offset] = (this.#bytes[offset] ?? 0) ^ mask;
  }

  copy(): Extent {
    const other = new Extent();
    other.size = this.size;
    other.#bytes = this.#bytes.slice(0, this.size);
    return other;
  }

  private reserve(size: number): void {
    if (size <= this.#bytes.byteLength) return;
    const grown = new Uint8Array(Math.max(size, this.#bytes.byteLength * 2));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

export class Pages {
  #cache = new Extent();
  #device = new Extent();
  /** Not on the device yet, oldest first. */
  #changes: Change[] = [];
  /** Every size since the last sync, oldest first. */
  #sizes: number[] = [];
  /** Ranges that a failed sync gave up and nobody has written since. */
  #forgotten: Range[] = [];

  /** A file whose bytes are on the device. */
  static holding(bytes: Uint8Array): Pages {
    const pages = new Pages();
    pages.#cache.write(bytes, 0);
    pages.#device.write(bytes, 0);
    return pages;
  }

  get size(): number {
    return this.#cache.size;
  }

  read(from: number, to: number): Uint8Array {
    return this.#cache.slice(from, to);
  }

  write(bytes: Uint8Array, from: number): void {
    if (bytes.byteLength === 0) return;
    this.#forgotten = without(this.#forgotten, from, from + bytes.byteLength);
    this.#cache.write(bytes, from);
    this.#changes.push({ kind: "write", from, bytes: bytes.slice() });
    this.#sizes.push(this.size);
  }

  truncate(size: number): void {
    this.#forgotten = without(this.#forgotten, size, Number.POSITIVE_INFINITY);
    this.#cache.resize(size);
    this.#changes.push({ kind: "cut", from: size });
    this.#sizes.push(size);
  }

  /** Puts the changes on the device. True when bytes are not there that a failed sync gave up. */
  sync(): boolean {
    for (const change of this.#changes) this.#apply(change, () => true, this.#device);
    this.#device.resize(this.size);
    this.#changes = [];
    this.#sizes = [];
    return this.#forgotten.length > 0;
  }

  /** Some of the changes reach the device; none is tried again. */
  failSync(random: Random): void {
    this.#device = this.#resolved(this.#survival(random), { random });
    for (const change of this.#changes) {
      const end = change.kind === "write" ? change.from + change.bytes.byteLength : this.size;
      const to = Math.min(end, this.size);
      if (change.from < to) this.#forgotten.push([change.from, to]);
    }
    this.#changes = [];
  }

  /** Damages what is stored: a bit changes in the device and in the cache. */
  flip(offset: number, mask: number): void {
    this.#cache.flip(offset, mask);
    this.#device.flip(offset, mask);
  }

  /** What is there after the power was lost. */
  afterCrash(style: CrashStyle): Pages {
    const { random } = style;
    const survival = random === undefined ? "nothing" : this.#survival(random);
    const left = this.#resolved(survival, style);
    left.resize(this.#sizeAfter(survival, random));
    return Pages.holding(left.slice(0, left.size));
  }

  /** The same file, with what is not synced yet. */
  copy(): Pages {
    const other = new Pages();
    other.#cache = this.#cache.copy();
    other.#device = this.#device.copy();
    other.#changes = [...this.#changes];
    other.#sizes = [...this.#sizes];
    other.#forgotten = [...this.#forgotten];
    return other;
  }

  #survival(random: Random): Survival {
    const pick = random.integer(4);
    if (pick === 0) return "nothing";
    return pick === 1 ? "everything" : "some";
  }

  #sizeAfter(survival: Survival, random: Random | undefined): number {
    if (survival === "everything") return this.size;
    if (survival === "nothing" || random === undefined) return this.#device.size;
    const sizes = [this.#device.size, ...this.#sizes];
    return sizes[random.integer(sizes.length)] ?? this.size;
  }

  /** The device's bytes with those changes that survive; a sector holds the state of one moment. */
  #resolved(survival: Survival, { random, splitSectors = false }: CrashStyle): Extent {
    const left = this.#device.copy();
    if (survival === "nothing" || random === undefined) return left;
    const moments = new Map<number, number>();
    const momentOf = (sector: number): number => {
      const known = moments.get(sector);
      if (known !== undefined) return known;
      const drawn =
        survival === "everything" ? this.#changes.length : random.integer(this.#changes.length + 1);
      moments.set(sector, drawn);
      return drawn;
    };
    for (const [moment, change] of this.#changes.entries()) {
      this.#apply(change, (sector) => momentOf(sector) > moment, left);
    }
    if (splitSectors && survival === "some") this.#split(left, random);
    return left;
  }

  #apply(change: Change, survives: (sector: number) => boolean, target: Extent): void {
    const to = change.kind === "write" ? change.from + change.bytes.byteLength : target.size;
    for (let from = change.from; from < to; ) {
      const sector = Math.floor(from / SECTOR_BYTES);
      const end = Math.min(to, (sector + 1) * SECTOR_BYTES);
      if (survives(sector)) {
        const bytes =
          change.kind === "write"
            ? change.bytes.subarray(from - change.from, end - change.from)
            : new Uint8Array(end - from);
        target.write(bytes, from);
      }
      from = end;
    }
  }

  /** The last write stops in the middle of one of its sectors. */
  #split(target: Extent, random: Random): void {
    const last = this.#changes.findLast((change) => change.kind === "write");
    if (last?.kind !== "write") return;
    const to = last.from + last.bytes.byteLength;
    const sector = Math.floor((last.from + random.integer(last.bytes.byteLength)) / SECTOR_BYTES);
    const from = Math.max(last.from, sector * SECTOR_BYTES);
    const end = Math.min(to, (sector + 1) * SECTOR_BYTES);
    const stop = from + random.integer(end - from + 1);
    const old = this.#device.slice(stop, end);
    target.write(last.bytes.subarray(from - last.from, stop - last.from), from);
    const rest = new Uint8Array(end - stop);
    rest.set(old);
    target.write(rest, stop);
  }
}
