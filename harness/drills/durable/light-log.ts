/**
 * The product's log without the rest of the product: a writer that is killed several times a
 * second must start in a fraction of the time that the whole package takes to load.
 */
type Product = typeof import("esper-runtime");

const compiled = (file: string): string =>
  new URL(`../../../runtime/durable/${file}.js`, import.meta.url).href;

/** The same classes that the package exports, from the same files. */
export async function loadLog(): Promise<Pick<Product, "Wal" | "systemFiles">> {
  const { Wal } = (await import(compiled("wal"))) as Pick<Product, "Wal">;
  const { systemFiles } = (await import(compiled("files"))) as Pick<Product, "systemFiles">;
  return { Wal, systemFiles };
}
