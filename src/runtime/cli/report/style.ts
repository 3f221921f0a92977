/** The report's style sheet: one set of names, light and dark values, no fonts from elsewhere. */
import { Markup } from "./markup.ts";

const LIGHT = `--page:#f7f8fa;--card:#ffffff;--text:#1b1f24;--muted:#5b6470;--line:#e3e6ea;
--axis:#9aa3ad;--training:#1f6fd6;--validation:#d9541e;--raw:#9dc1ee;--parameters:#5a4fcf;
--gradient:#0e8a7d;--rate:#8a5cc2;--speed:#6b7684;--alpha:#1f6fd6;
--good:#1d7a46;--good-soft:#dff3e6;--bad:#c0322f;--bad-soft:#fbe3e2;--warn:#8f5a00;
--warn-soft:#fdefd2;--calm-soft:#e9edf2;
--germinated:#8fae6b;--training-stage:#4b8fe2;--blending:#f0a63a;--shadowing:#9a74d8;
--probationary:#2aa79b;--fossilized:#2c8a55;--culled:#d84a45;--embargoed:#c9a9a6;
--resetting:#a9b1bb;--band-text:#14181c`;

const DARK = `--page:#101418;--card:#181d23;--text:#e7ebef;--muted:#98a3af;--line:#2a313a;
--axis:#5d6874;--training:#6aaeff;--validation:#ff9066;--raw:#35567e;--parameters:#a69dff;
--gradient:#45c9bb;--rate:#c39bf5;--speed:#98a3af;--alpha:#6aaeff;
--good:#67d392;--good-soft:#163524;--bad:#ff8b85;--bad-soft:#43201f;--warn:#f3bf63;
--warn-soft:#3c2e12;--calm-soft:#262d36;
--germinated:#9dbb7a;--training-stage:#5f9fee;--blending:#f0ae4d;--shadowing:#ab88e6;
--probationary:#3fb9ad;--fossilized:#43a870;--culled:#e8635e;--embargoed:#a98785;
--resetting:#7d8792;--band-text:#0c0f12`;

const PAGE = `*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;-webkit-font-smoothing:antialiased}
main{max-width:1080px;margin:0 auto;padding:40px 24px 64px}
h1{font-size:26px;line-height:1.25;margin:0;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:19px;margin:44px 0 14px}h3{font-size:15px;margin:0 0 4px}p{margin:0}
.brand{font-size:12px;letter-spacing:.09em;text-transform:uppercase;color:var(--muted);
font-weight:600;margin-bottom:4px}
.lead{color:var(--muted);margin-top:6px}
.verdict{margin-top:18px;padding:12px 16px;background:var(--card);border:1px solid var(--line);
border-left:4px solid var(--training);border-radius:6px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(156px,1fr));gap:12px;
margin-top:24px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 14px}
.tile .label,.tile .detail{font-size:12px;color:var(--muted);line-height:1.4}
.tile .value{font-size:22px;font-weight:650;font-variant-numeric:tabular-nums;line-height:1.4}
figure{margin:0 0 16px;background:var(--card);border:1px solid var(--line);border-radius:8px;
padding:16px 18px 8px}
figcaption{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:12.5px;color:var(--muted);
margin-bottom:6px}
.key{display:inline-flex;align-items:center;gap:6px}.note{color:var(--muted);font-size:12.5px}
.empty{color:var(--muted);padding:12px 0 16px}.strong{font-weight:600}
footer{margin-top:48px;color:var(--muted);font-size:12.5px}`;

const TABLES = `.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;background:var(--card);border:1px solid var(--line);
border-radius:8px;font-size:13.5px}
th,td{padding:8px 12px;text-align:left;vertical-align:top;border-top:1px solid var(--line);
overflow-wrap:break-word}
thead th{border-top:0;font-size:12px;color:var(--muted);font-weight:600;white-space:nowrap}
.id{white-space:nowrap}.id small{display:block}.wide{min-width:320px}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.scroll+.scroll,dl+.scroll{margin-top:12px}
.bars{width:180px}.bars svg{width:100%;height:10px;display:block;margin-top:5px}
.bars rect{fill:var(--training)}
small{color:var(--muted)}ul{margin:0;padding-left:18px}
ul.gates{list-style:none;padding:0;font-size:12.5px;line-height:1.5}
ul.gates li{padding-left:16px;position:relative}
ul.gates li::before{position:absolute;left:0;font-weight:700}
li.pass::before{content:"\\2713";color:var(--good)}
li.fail::before{content:"\\2717";color:var(--bad)}
ul.notes{margin-top:12px}
dl{margin:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));
background:var(--card);border:1px solid var(--line);border-radius:8px;padding:6px 14px;
column-gap:28px;font-size:13.5px}
dl div{display:flex;justify-content:space-between;gap:16px;padding:5px 0}
dt{color:var(--muted)}dd{margin:0;text-align:right;overflow-wrap:anywhere}
.badge{display:inline-block;font-size:12px;font-weight:600;line-height:1.5;padding:1px 8px;
border-radius:99px;background:var(--calm-soft);color:var(--muted);vertical-align:middle;
white-space:nowrap;letter-spacing:0}
.badge.fossilized,.badge.completed,.badge.target-reached{background:var(--good-soft);
color:var(--good)}
.badge.culled,.badge.failed,.badge.error,.badge.critical{background:var(--bad-soft);
color:var(--bad)}
.badge.growing,.badge.stopped,.badge.warning{background:var(--warn-soft);color:var(--warn)}`;

const PLOTS = `figure{overflow-x:auto}
figure svg{display:block;width:100%;min-width:640px;height:auto;font-size:12px}
.grid{stroke:var(--line);stroke-width:1}.axis{stroke:var(--axis);stroke-width:1}
.tick,.unit,.lane{fill:var(--muted);font-variant-numeric:tabular-nums}
.unit{text-anchor:middle;font-size:12px}
.lane .strong{fill:var(--text)}
.curve{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
path.raw{stroke:var(--raw);stroke-width:1}
path.training{stroke:var(--training)}path.validation{stroke:var(--validation)}
path.parameters{stroke:var(--parameters)}path.gradient{stroke:var(--gradient);stroke-width:1.1}
path.rate{stroke:var(--rate)}path.speed{stroke:var(--speed)}
path.alpha{stroke:var(--alpha);stroke-width:1.4}
.alpha-area{fill:var(--alpha);opacity:.16}
.mark line{stroke-width:1;stroke-dasharray:3 3;opacity:.55}
.mark.germinated{--mark:var(--germinated)}.mark.fossilized{--mark:var(--fossilized)}
.mark.culled{--mark:var(--culled)}.mark line{stroke:var(--mark)}.mark circle{fill:var(--mark)}
.band{fill:var(--band-text);font-size:10.5px;font-weight:600;text-anchor:middle;
letter-spacing:.02em}
.swatch{width:16px;height:0;border-top:3px solid var(--axis);border-radius:2px}
.swatch.raw{border-color:var(--raw)}.swatch.training{border-color:var(--training)}
.swatch.validation{border-color:var(--validation)}.swatch.parameters{border-color:var(--parameters)}
.swatch.gradient{border-color:var(--gradient)}.swatch.rate{border-color:var(--rate)}
.swatch.speed{border-color:var(--speed)}.swatch.alpha{border-color:var(--alpha)}
.dot{width:8px;height:8px;border-radius:50%}.box{width:12px;height:12px;border-radius:2px}`;

const STAGES: readonly (readonly [stage: string, variable: string])[] = [
  ["germinated", "germinated"],
  ["training", "training-stage"],
  ["blending", "blending"],
  ["shadowing", "shadowing"],
  ["probationary", "probationary"],
  ["fossilized", "fossilized"],
  ["culled", "culled"],
  ["embargoed", "embargoed"],
  ["resetting", "resetting"],
];

function stageRules(): string {
  return STAGES.map(
    ([stage, variable]) =>
      `.stage-${stage}{fill:var(--${variable});background:var(--${variable})}` +
      `.dot.${stage}{background:var(--${variable})}`,
  ).join("");
}

/** The whole sheet. */
export const STYLE: Markup = new Markup(
  [
    `:root{color-scheme:light dark;${LIGHT}}`,
    `@media (prefers-color-scheme:dark){:root{${DARK}}}`,
    PAGE,
    TABLES,
    PLOTS,
    stageRules(),
    "@media print{figure,.tile,table{break-inside:avoid}main{max-width:none;padding:0}}",
  ].join("\n"),
);
