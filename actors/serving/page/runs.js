// The curriculum runs of the folder that the service was started with.

import { getBlob, getJson, hasToken } from "./api.js";
import { Waiting, byId, capital, count, make } from "./dom.js";

/** Loads the runs; called when their part of the page is first opened. */
export async function loadRuns() {
  const place = byId("run-list");
  const waiting = new Waiting(byId("runs"));
  const answer = await waiting.run("Loading the runs …", (signal) => getJson("/v1/runs", { signal }));
  if (!answer) return false;
  if (answer.runs.length) place.replaceChildren(...answer.runs.map((run) => runOf(run, waiting)));
  else place.replaceChildren(make("p", { className: "none" }, "The service was started without a folder of runs, or it holds none."));
  return true;
}

const known = (value) => typeof value === "number" && Number.isFinite(value);
const score = (value) => (known(value) ? value.toFixed(3) : "not known");

function runOf(run, waiting) {
  const { test_macro_f1_before: before, test_macro_f1_after: after, test_macro_f1_ci95: interval } = run;
  const path = `/v1/runs/${encodeURIComponent(run.run)}`;
  const facts = [["Policy", run.policy], ["Generator", run.generator], ["Seed", run.seed], ["Clips", run.clips]]
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, String(value))));
  const between = interval?.every(known) ? `; 95 % interval of the score after: ${score(interval[0])} to ${score(interval[1])}` : "";
  const article = make(
    "article",
    { className: "card" },
    make("h2", {}, run.run),
    make("p", {}, `Macro-F1 on the test split: ${score(before)} before, ${score(after)} after${between}.`),
    scale(before, after, interval),
    make("dl", { className: "tiles" }, ...facts),
  );
  if (run.report) article.append(make("p", {}, reportLink(run.run, `${path}/report`, waiting)));
  if (run.figures.length) article.append(figuresOf(run, path, waiting));
  return article;
}

/** A line from 0 to 1 with both scores and the interval; the sentence above it says the same. */
function scale(before, after, interval) {
  const line = make("div", { className: "scale", "aria-hidden": "true" });
  const put = (element, at) => {
    element.style.left = `${at * 100}%`;
    line.append(element);
    return element;
  };
  for (const at of [0, 0.25, 0.5, 0.75, 1]) put(make("b", {}, String(at)), at);
  if (interval?.every(known)) {
    put(make("span", { className: "band" }), interval[0]).style.width = `${(interval[1] - interval[0]) * 100}%`;
  }
  const sideOf = (here, there) => {
    if (!known(there) || Math.abs(here - there) > 0.15) return here > 0.93 ? "end" : here < 0.07 ? "start" : "";
    return here < there ? "end" : "start";
  };
  const dot = (name, here, there) =>
    known(here) && put(make("span", { className: `dot ${name}` }, make("i", { className: sideOf(here, there) }, name)), here);
  dot("before", before, after);
  dot("after", after, before);
  return line;
}

/** With a token a plain link would be refused, so the report is then fetched and saved. */
function reportLink(name, path, waiting) {
  if (!hasToken()) {
    return make("a", { href: path, target: "_blank", rel: "noopener" }, `Report of ${name} (new tab)`);
  }
  const button = make("button", { type: "button" }, `Download the report of ${name}`);
  button.addEventListener("click", async () => {
    const blob = await waiting.run("Loading the report …", (signal) => getBlob(path, { signal }));
    if (!blob) return;
    const href = URL.createObjectURL(blob);
    make("a", { href, download: `${name}.html` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000);
  });
  return button;
}

function figuresOf(run, path, waiting) {
  const place = make("div", { className: "two figures" });
  const details = make("details", {}, make("summary", {}, `${capital(count(run.figures.length, "figure"))} of ${run.run}`), place);
  details.addEventListener(
    "toggle",
    () =>
      waiting.run("Loading the figures …", async (signal) => {
        for (const name of run.figures) {
          const words = name.replaceAll(/[-_]/g, " ");
          const image = make("img", { alt: `Figure of run ${run.run}: ${words}` });
          image.src = URL.createObjectURL(await getBlob(`${path}/figures/${encodeURIComponent(name)}.png`, { signal }));
          place.append(make("figure", {}, image, make("figcaption", {}, capital(words))));
        }
      }),
    { once: true },
  );
  return details;
}
