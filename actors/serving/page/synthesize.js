// Clips of a label in a style, each beside a recording of the corpus.

import { Sentence, getJson, post } from "./api.js";
import { fromBase64 } from "./audio.js";
import { Waiting, byId, capital, count, firstInvalid, make, seconds } from "./dom.js";
import { clear, listenTo, showSound } from "./picture.js";

const OWN = ""; // the option of a style reference of the user's own

/** Wires the form. Returns `fill(labels, styles, model)`, to call once they are known. */
export function startSynthesize() {
  const form = byId("synthesize-form");
  const { label, style, style_reference: reference, count: howMany } = form.elements;
  const waiting = new Waiting(form);
  const clips = byId("clips");
  const showReference = () => (byId("reference-field").hidden = style.value !== OWN);
  style.addEventListener("change", showReference);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const own = style.value === OWN;
    if (own && !reference.files.length) {
      waiting.complain("Choose a recording whose style is taken, or choose a style by name.");
      reference.focus();
      return;
    }
    const invalid = firstInvalid(form);
    if (invalid) return waiting.complain(invalid);
    const request = {
      label: label.value,
      ...(own ? { style_reference: reference.files[0] } : { style: style.value }),
      count: howMany.value,
      seconds: form.elements.seconds.value,
      seed: form.elements.seed.value,
      format: "flac",
    };
    const answer = await waiting.run(`Synthesizing ${count(Number(howMany.value), "clip")} of ${label.value} …`, async (signal) => {
      const made = await post("/v1/synthesize", request, signal);
      return { made, beside: await compared(label.value, own ? null : style.value, signal) };
    });
    if (!answer) return;
    clear(clips);
    clips.hidden = false;
    const title = make("h2", { id: "clips-title", tabIndex: -1 }, `${capital(count(answer.made.clips.length, "clip"))} of ${label.value}`);
    clips.append(title);
    for (const clip of answer.made.clips) clips.append(await pair(clip, answer.beside, !own));
    clips.append(make("p", { className: "none made" }, `Generator ${answer.made.fingerprint} · request ${answer.made.request_id}`));
    title.focus();
  });

  return (labels, styles, model) => {
    fillSelect(label, labels.map((row) => [row.label, withCount(row.label, row.recordings)]));
    fillSelect(style, styles.map((row) => [row.style, withCount(row.style, row.recordings)]));
    style.append(new Option("That of a recording of my own", OWN));
    howMany.max = model.limits.count;
    showReference();
    if (!model.can_synthesize) {
      waiting.complain("This service was started without a generator, so it cannot synthesize.");
      form.querySelector("[type=submit]").disabled = true;
    }
  };
}

const withCount = (name, n) => (n === null ? name : `${name} (${n})`);

function fillSelect(select, options) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
}

/** {recording, sound} to hear beside the clips, or {sentence} where there is none. */
async function compared(label, style, signal) {
  const query = new URLSearchParams({ label, ...(style ? { style } : {}) });
  try {
    const recording = await getJson(`/v1/recording?${query}`, { signal });
    return { recording, sound: await listenTo(fromBase64(recording.audio, recording.format)) };
  } catch (error) {
    if (error instanceof Sentence) return { sentence: error.message };
    throw error;
  }
}

/** `known`: the style was asked for by name, so that a recording in it may exist. */
async function pair(clip, { recording, sound, sentence }, known) {
  const blob = fromBase64(clip.audio, clip.format);
  const heard = await listenTo(blob);
  const spanS = Math.max(heard.durationS, sound?.durationS ?? 0, 0.1);
  const number = clip.index + 1;
  const name = `Synthetic clip ${number}, ${clip.label}`;
  const synthetic = side("synthetic", "Synthetic: made by a model", [`style ${clip.style}`, `seed ${clip.seed}`, seconds(clip.seconds)]);
  synthetic.append(showSound(heard, { name, spanS, events: clip.events }));
  const download = make("a", { className: "button", download: fileName(clip) }, `Download clip ${number}`);
  download.href = synthetic.querySelector("audio").src;
  synthetic.append(make("p", {}, download));

  let beside;
  if (sound) {
    const kind = capital(recording.kind);
    beside = side(recording.kind, `${kind} recording`, [
      `style ${recording.style}${known && recording.style !== clip.style ? ` (none in style ${clip.style})` : ""}`,
      seconds(recording.seconds),
    ]);
    beside.append(showSound(sound, { name: `${kind} recording, ${recording.label}`, spanS, events: recording.events }));
  } else beside = make("div", { className: "side" }, make("p", { className: "none" }, sentence));
  return make(
    "article",
    { className: "pair" },
    make("h3", {}, `Clip ${number}`),
    make("div", { className: "sides" }, synthetic, beside),
  );
}

function side(kind, badge, facts) {
  const said = make("p", { className: "none" }, facts.join(" · "));
  return make("div", { className: `side ${kind}` }, make("p", {}, make("span", { className: "badge" }, badge)), said);
}

/** A name that says that the clip is synthetic wherever the file goes. */
function fileName(clip) {
  const plain = (text) => String(text).toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return `synthetic-${plain(clip.label)}-${plain(clip.style)}-${clip.seed}-${clip.index}.${clip.format}`;
}
