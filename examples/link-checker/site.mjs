/** Fifty pages on the loopback interface: links that lead nowhere, and a page nested too deep. */
import { createServer } from "node:http";

const PAGES = 50;
const POISON = 33;

/** Page n links to 2n + 1 and 2n + 2, back to the start, and every twelfth to one that is not there. */
function page(n) {
  const links = [2 * n + 1, 2 * n + 2].filter((to) => to < PAGES).map((to) => `/page/${to}`);
  if (n % 12 === 6) links.push(`/gone/${n}`);
  const body = ["/page/0", ...links].map((to) => `<p><a href="${to}">${to}</a></p>`).join("");
  return n === POISON ? "<div>".repeat(100_000) : `<html>${body}</html>`;
}

/** Every answer takes `delayMs`. */
export async function openSite(delayMs) {
  const server = createServer(({ url }, response) => {
    const n = Number(/^\/page\/(\d+)$/.exec(url)?.[1] ?? PAGES);
    response.statusCode = n < PAGES ? 200 : 404;
    setTimeout(() => response.end(n < PAGES ? page(n) : "no such page"), delayMs);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => server.close().closeAllConnections();
  return { url: `http://127.0.0.1:${server.address().port}/page/0`, close };
}
