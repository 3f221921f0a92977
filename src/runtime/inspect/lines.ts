/** Cuts a stream of bytes into lines and gives up at the first that is longer than allowed. */
export class LineReader {
  readonly #limitBytes: number;
  readonly #onLine: (line: string) => void;
  readonly #onTooLong: (bytes: number) => void;
  #held: Buffer[] = [];
  #bytes = 0;
  #over = false;

  constructor(
    limitBytes: number,
    onLine: (line: string) => void,
    onTooLong: (bytes: number) => void,
  ) {
    this.#limitBytes = limitBytes;
    this.#onLine = onLine;
    this.#onTooLong = onTooLong;
  }

  /** Takes the next bytes; nothing more is read after a line that is too long. */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (!this.#over) {
      const end = rest.indexOf(0x0a);
      if (!this.#hold(end < 0 ? rest : rest.subarray(0, end)) || end < 0) return;
      const line = Buffer.concat(this.#held).toString("utf8");
      this.#held = [];
      this.#bytes = 0;
      if (line.trim() !== "") this.#onLine(line);
      rest = rest.subarray(end + 1);
    }
  }

  #hold(part: Buffer): boolean {
    this.#bytes += part.length;
    if (this.#bytes <= this.#limitBytes) {
      if (part.length > 0) this.#held.push(part);
      return true;
    }
    this.#over = true;
    this.#held = [];
    this.#onTooLong(this.#bytes);
    return false;
  }
}
