// The parts of the page, one shown at a time by the address's fragment, and what the service says of itself.

import { getJson } from "./api.js";
import { startDiagnose } from "./diagnose.js";
import { Waiting, byId, count, make, whole } from "./dom.js";
import { loadRuns } from "./runs.js";
import { startSynthesize } from "./synthesize.js";

const PARTS = ["diagnose", "synthesize", "runs", "about"];
let model = { limits: { upload_bytes: Infinity, seconds: 60, count: 8 } };
let runsAreHere = false;

function showPart(moveFocus) {
  const asked = location.hash.slice(1);
  if (moveFocus && !PARTS.includes(asked)) return;
  const here = PARTS.includes(asked) ? asked : PARTS[0];
  for (const part of PARTS) {
    byId(part).hidden = part !== here;
    const link = document.querySelector(`nav a[href="#${part}"]`);
    if (part === here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = byId(here).querySelector("h1");
  document.title = `${title.textContent} · Respiratory sounds`;
  if (moveFocus) {
    title.focus();
    scrollTo(0, 0);
  }
  if (here === "runs" && !runsAreHere) {
    runsAreHere = true;
    loadRuns().then((loaded) => (runsAreHere = loaded));
  }
}

function showModel() {
  const row = (name, ...value) => make("div", {}, make("dt", {}, name), make("dd", {}, ...value));
  const { training_data: data, limits } = model;
  const most = `${Math.round(limits.upload_bytes / 2 ** 20)} MB and ${limits.seconds} seconds a recording, ${limits.count} clips a request`;
  byId("model").replaceChildren(
    row("Model", model.name),
    row("Version", model.version),
    row("Fingerprint", make("code", {}, model.fingerprint)),
    row("Generator", model.generator_fingerprint ? make("code", {}, model.generator_fingerprint) : "none: this service does not synthesize"),
    row("Trained", model.trained),
    row("Training data", count(data.recordings, "recording")),
    row("Limits", most),
    row("Intended use", model.intended_use),
  );
  byId("training").replaceChildren(countsTable("Label", data.labels), countsTable("Style", data.styles));
}

function countsTable(what, counts) {
  const body = Object.entries(counts).map(([name, n]) =>
    make("tr", {}, make("th", { scope: "row" }, name), make("td", { className: "n" }, whole(n))),
  );
  const head = make("tr", {}, make("th", { scope: "col" }, what), make("th", { scope: "col", className: "n" }, "Recordings"));
  return make("table", { className: "card" }, make("caption", { className: "unseen" }, `Training recordings by ${what.toLowerCase()}`), make("thead", {}, head), make("tbody", {}, ...body));
}

startDiagnose(() => model.limits);
const fill = startSynthesize();
showPart(false);
addEventListener("hashchange", () => showPart(true));

new Waiting(byId("page-state")).run("Asking the service for its model …", async (signal) => {
  model = await getJson("/v1/model", { signal });
  showModel();
  const [{ labels }, { styles }] = await Promise.all([getJson("/v1/labels", { signal }), getJson("/v1/styles", { signal })]);
  fill(labels, styles, model);
});
