// A recording is chosen, dropped or recorded; the service says what it hears and why.

import { canRecord, record } from "./audio.js";
import { post } from "./api.js";
import { Waiting, bar, byId, bytes, capital, firstInvalid, make, percent, percentFine, seconds } from "./dom.js";
import { clear, listenTo, showSound } from "./picture.js";

const CLINICAL = ["age_years", "sex", "site", "symptoms", "history"];

/** Wires the form; `limits()` gives the service's limits once they are known. */
export function startDiagnose(limits) {
  const form = byId("diagnose-form");
  const waiting = new Waiting(form);
  const result = byId("diagnosis");
  let file = null;

  const take = (chosen) => {
    if (!chosen) return;
    const most = limits().upload_bytes;
    if (chosen.size > most) {
      waiting.complain(`${chosen.name} has ${bytes(chosen.size)}; the service takes at most ${bytes(most)}. Cut it shorter.`);
      return;
    }
    file = chosen;
    waiting.complain("");
    byId("chosen").textContent = `Chosen: ${chosen.name}, ${bytes(chosen.size)}.`;
  };
  byId("file").addEventListener("change", (event) => take(event.target.files[0]));
  const takeOther = (chosen) => {
    byId("file").value = ""; // or it would name another file
    take(chosen);
  };
  takeDrops(byId("drop"), takeOther);
  wireMicrophone(waiting, takeOther, limits);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!file) {
      waiting.complain("Choose, drop or record a recording first.");
      byId("file").focus();
      return;
    }
    const invalid = firstInvalid(form);
    if (invalid) return waiting.complain(invalid);
    const sent = file;
    const answer = await waiting.run(`Diagnosing ${sent.name} …`, async (signal) => {
      const diagnosis = await post("/v1/diagnose", { file: sent, ...clinical(form) }, signal);
      return { diagnosis, sound: await listenTo(sent) };
    });
    if (!answer) return;
    clear(result);
    result.hidden = false;
    result.append(...resultOf(answer.diagnosis, answer.sound, sent.name));
    byId("diagnosis-title").focus();
  });
}

/** A narrative of the user's own replaces the fields. */
function clinical(form) {
  const narrative = form.elements.narrative.value.trim();
  if (narrative) return { narrative };
  return Object.fromEntries(CLINICAL.map((name) => [name, form.elements[name].value.trim()]));
}

function takeDrops(place, take) {
  const over = (event) => {
    event.preventDefault();
    place.classList.toggle("over", event.type === "dragover");
    if (event.type === "drop") take(event.dataTransfer.files[0]);
  };
  for (const type of ["dragover", "dragleave", "drop"]) place.addEventListener(type, over);
  // A file that misses the place would replace the page.
  for (const type of ["dragover", "drop"]) window.addEventListener(type, (event) => event.preventDefault());
}

function wireMicrophone(waiting, take, limits) {
  const button = byId("record");
  const time = byId("record-time");
  if (!canRecord) {
    button.disabled = true;
    time.textContent = "Recording needs a microphone and a page opened over https or on localhost.";
    return;
  }
  let running = null;
  button.addEventListener("click", async () => {
    if (running) return running.stop();
    waiting.complain("");
    try {
      running = await record(limits().seconds, (s) => (time.textContent = seconds(s)));
      button.textContent = "Stop recording";
      button.classList.add("recording");
      waiting.say("Recording.");
      take(await running.finished);
      waiting.say("Recorded.");
    } catch (error) {
      waiting.say("");
      const refused = error.name === "NotAllowedError" || error.name === "NotFoundError";
      waiting.complain(refused ? "No microphone may be used. Allow it in the browser, or choose a file." : error.message);
    } finally {
      running = null;
      button.textContent = "Record from the microphone";
      button.classList.remove("recording");
    }
  });
}

function resultOf(diagnosis, sound, name) {
  const share = percent(diagnosis.confidence);
  const right = Math.round(diagnosis.confidence * 100);
  const title = make("h2", { id: "diagnosis-title", tabIndex: -1 }, capital(diagnosis.label));
  const parts = [
    make("p", { className: "eyebrow" }, "The model hears"),
    title,
    make("p", { className: "lead" }, `${share}, calibrated: of 100 such answers about ${right} are right.`),
  ];
  for (const warning of diagnosis.warnings) {
    parts.push(make("p", { className: "warning" }, make("strong", {}, "Warning: "), warning));
  }
  parts.push(card("What it heard", showSound(sound, { name: `Recording ${name}`, relevance: diagnosis.relevance })));
  const read = card("What it read", ...readText(diagnosis));
  parts.push(make("div", { className: "two" }, card("Probabilities", probabilities(diagnosis.probabilities)), read));
  parts.push(
    make(
      "p",
      { className: "none made" },
      `${seconds(diagnosis.seconds)} at ${diagnosis.sample_rate_hz.toLocaleString("en")} Hz · ` +
        `model ${diagnosis.fingerprint} · request ${diagnosis.request_id}`,
    ),
  );
  return parts;
}

const card = (title, ...children) => make("section", { className: "card" }, make("h3", {}, title), ...children);

function probabilities(rows) {
  const body = make("tbody");
  for (const { label, probability } of rows) {
    body.append(
      make(
        "tr",
        {},
        make("th", { scope: "row" }, label),
        make("td", { className: "n" }, percentFine(probability)),
        make("td", { className: "bars" }, bar(probability)),
      ),
    );
  }
  const head = make("tr", {}, make("th", { scope: "col" }, "Label"), make("th", { scope: "col", className: "n" }, "Probability"));
  head.append(make("td", { "aria-hidden": "true" }));
  return make("table", { className: "probabilities" }, make("thead", {}, head), body);
}

function readText({ narrative, words }) {
  if (!narrative) return [make("p", { className: "none" }, "No narrative: only the recording counted.")];
  if (!words.length) return [make("blockquote", {}, narrative)];
  const text = make("p", { className: "words" });
  for (const { word, relevance } of words) {
    const number = make("span", { className: "unseen" }, ` (${relevance.toFixed(2)})`);
    const span = make("span", { className: "word", title: `relevance ${relevance.toFixed(2)}` }, word, number);
    span.style.setProperty("--relevance", relevance);
    text.append(span, " ");
  }
  const best = words.filter((word) => word.relevance >= 0.05).sort((a, b) => b.relevance - a.relevance).slice(0, 3);
  const counted = best.map(({ word, relevance }) => `${word} (${relevance.toFixed(2)})`).join(", ");
  return [
    text,
    make("p", {}, `Counted most: ${counted || "no word more than another"}.`),
    make("p", { className: "none" }, "The stronger a word's background and the thicker its line, the more it counted (0 to 1)."),
  ];
}
