/**
 * The names of the residents, explained where a person meets them first: "Tamiyo (controller)".
 * A glossary remembers what it has explained; one stream of text has one glossary.
 */

const GLOSS = {
  weatherlight: ["Weatherlight", "root"],
  tolaria: ["Tolaria", "trainer"],
  tamiyo: ["Tamiyo", "controller"],
  kasmina: ["Kasmina", "grower"],
  urza: ["Urza", "blueprint library"],
  nissa: ["Nissa", "telemetry"],
} as const satisfies Record<string, readonly [name: string, gloss: string]>;

const known = (word: string): word is keyof typeof GLOSS => word in GLOSS;

/** Whole words only; not inside a path, an address, a flag or a setting's name. */
const BEFORE = "(?:(?<=\\u001b\\[[0-9;]*m)|(?<![\\w/:@.=-]))";
const AFTER = "(?![\\w/:@=-])";
const NAMES = new RegExp(`${BEFORE}(${Object.keys(GLOSS).join("|")})${AFTER}`, "gi");

/** Remembers which names have been explained. */
export interface Glossary {
  /** The text with every Esper name that is met for the first time explained in brackets. */
  explain(text: string): string;
}

/** A glossary that has explained nothing yet. */
export function createGlossary(): Glossary {
  const explained = new Set<string>();
  return {
    explain: (text) =>
      text.replace(NAMES, (word: string, ...rest: unknown[]) => {
        const key = word.toLowerCase();
        if (!known(key)) return word;
        const [name, gloss] = GLOSS[key];
        const after = text.slice(Number(rest[1]) + word.length);
        if (explained.has(key)) return name;
        explained.add(key);
        return after.startsWith(" (") ? name : `${name} (${gloss})`;
      }),
  };
}
