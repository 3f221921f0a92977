/**
 * HTML and SVG that cannot be broken by what is put into it: everything between the template's own
 * text is escaped, unless it is markup made here. There is no way to insert raw text.
 */

/** Text that is markup already and is not escaped again. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What may stand inside markup; lists are joined. */
export type Piece = string | number | null | Markup | readonly Piece[];

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Characters that XML forbids, and the ones that turn the reading direction round. */
const FORBIDDEN = /[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069\ufffe\uffff]/gu;

/** Text for an element or a quoted attribute. */
export function escapeMarkup(text: string): string {
  return text
    .replace(FORBIDDEN, (character) => (/[\t\n\r]/.test(character) ? " " : "\ufffd"))
    .replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}

/** One element; attributes and children are escaped, the name comes from the code. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  ...children: readonly Piece[]
): Markup {
  const written = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${escapeMarkup(String(value))}"`,
  );
  return new Markup(`<${name}${written.join("")}>${toText(children)}</${name}>`);
}

/** Template tag: the literal parts are markup, the values are escaped. `null` is nothing. */
export function markup(parts: TemplateStringsArray, ...values: readonly Piece[]): Markup {
  let text = parts[0] ?? "";
  for (const [index, value] of values.entries()) text += toText(value) + (parts[index + 1] ?? "");
  return new Markup(text);
}

function toText(value: Piece): string {
  if (value === null) return "";
  if (value instanceof Markup) return value.text;
  if (typeof value === "string") return escapeMarkup(value);
  if (typeof value === "number") return String(value);
  return value.map(toText).join("");
}

/** A part of the page under its own heading. */
export function section(title: string, ...content: readonly Piece[]): Markup {
  return element("section", {}, element("h2", {}, title), content);
}
