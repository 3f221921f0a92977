import { describe, expect, it } from "vitest";
import { element, markup } from "../../../src/runtime/cli/report/markup.ts";

describe("markup", () => {
  it("escapes values between the template's own text", () => {
    expect(markup`<b>${"<i>&"}</b>`.text).toBe("<b>&lt;i&gt;&amp;</b>");
  });

  it("escapes attributes, so that none can end early", () => {
    const { text } = element("p", { title: `a" onclick="x'`, x: 1 }, "<br>");
    expect(text).toBe('<p title="a&quot; onclick=&quot;x&#39;" x="1">&lt;br&gt;</p>');
  });

  it("does not escape what is markup already, joins lists and leaves null out", () => {
    const items = ["a", "b"].map((name) => element("li", {}, name));
    expect(markup`<ul>${items}${null}${3}</ul>`.text).toBe("<ul><li>a</li><li>b</li>3</ul>");
  });

  it("replaces characters that turn the reading direction round or are forbidden", () => {
    expect(markup`${"a\u202eb\u0000c\nd"}`.text).toBe("a\ufffdb\ufffdc d");
  });
});
