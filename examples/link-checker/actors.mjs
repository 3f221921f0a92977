/** A desk that knows which links are left, its fetchers, and a parser that some pages kill. */
import { call, cast, defineActor, leastMailbox, protocol } from "esper-runtime";

const FetcherProtocol = protocol("fetcher", { fetch: cast() });
const ParserProtocol = protocol("parser", { links: call() });
export const DeskProtocol = protocol("desk", {
  check: cast({ lane: "bulk" }),
  checked: cast(),
  stop: cast({ lane: "emergency" }),
  report: call(),
});

const fetcher = defineActor(import.meta.url, FetcherProtocol, {
  mailbox: { capacity: 2 },
  setup: () => null,
  receive: {
    async fetch(_state, url, context) {
      const parse = (html) =>
        context.ref(ParserProtocol).call("links", html, { deadlineMs: 9_000 });
      const read = async (page) => (page.ok ? parse(await page.text()) : `HTTP ${page.status}`);
      const links = await fetch(url)
        .then(read, String)
        .catch(({ code }) => code);
      context.ref(DeskProtocol).cast("checked", { url, links });
    },
  },
});

/** Goes down into elements as deep as they are nested: too deep, and the stack overflows. */
function collect(tags, links) {
  for (let tag = tags.next(); !tag.done && tag.value[1] !== "/"; tag = tags.next()) {
    if (tag.value[2] !== undefined) links.push(tag.value[2]);
    collect(tags, links);
  }
  return links;
}

export const parser = defineActor(import.meta.url, ParserProtocol, {
  setup: () => null,
  receive: { links: (_state, html) => collect(html.matchAll(/<(\/?)\w+(?: href="(.+?)")?>/g), []) },
});

export const desk = defineActor(import.meta.url, DeskProtocol, {
  setup(context) {
    const fetchers = leastMailbox([1, 2, 3].map(() => context.spawn(fetcher)));
    context.self.cast("check", context.config);
    return { fetchers, known: new Set([context.config]), pages: [], stopped: null };
  },
  receive: {
    /** Waits for a fetcher with room: one link a message, so that `stop` can come in between. */
    check: ({ fetchers }, url) => fetchers.offer("fetch", url, { deadlineMs: 60_000 }),
    checked({ known, pages }, { url, links }, context) {
      pages.push({ url, links });
      for (const link of Array.isArray(links) ? links : []) {
        const { href } = new URL(link, url);
        if (known.size < known.add(href).size) context.self.cast("check", href);
      }
      if (pages.length === known.size) context.unstash();
    },
    stop(state, why, context) {
      state.stopped = why;
      context.unstash();
    },
    report({ pages, known, stopped }, _payload, context) {
      if (stopped === null && pages.length < known.size) context.stash();
      return { pages, known: known.size, stopped };
    },
  },
});
