// A recording to see and hear: waveform, spectrogram, what is marked on it, and a player with a moving cursor.

import { decode } from "./audio.js";
import { capital, count, make, seconds } from "./dom.js";
import { smooth, strongest, strongestText } from "./relevance.js";
import { HIGH_HZ, LOW_HZ, SAMPLE_RATE_HZ, TICKS_HZ, hzToMel, spectrogramCanvas } from "./spectrum.js";

// As in the report; after Okabe and Ito (2008).
const EVENT_COLOURS = {
  "fine crackle": "#e69f00",
  "coarse crackle": "#d55e00",
  wheeze: "#3a9bdc",
  "wheeze + crackle": "#cc79a7",
  rhonchus: "#009e73",
  stridor: "#c9b400",
  cough: "#7a6ff0",
  rub: "#8a8f98",
};
const LEFT = 34; // for the numbers of the frequency axis
const RIGHT = 10;
const WAVE = 52;
const BELOW = 24; // for the numbers of the time axis
const HEIGHT = 270;
const LANE = 54; // of relevance, where there is one

const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

/** A recording's samples of 16 kHz (null where the browser cannot read it) and the Blob that is played. */
export async function listenTo(blob) {
  const samples = await decode(blob);
  return { blob, samples, durationS: samples ? samples.length / SAMPLE_RATE_HZ : 0 };
}

/**
 * A <div> with picture, player and a list of the marked events.
 * `sound` is of listenTo; `spanS` the seconds of the axis; `relevance` {start_s, step_s, values}; `name` says what it is.
 */
export function showSound(sound, { name, spanS = sound.durationS, events = [], relevance: exact = null }) {
  const relevance = exact?.values.length ? smooth(exact) : null;
  const audio = make("audio", { controls: true, preload: "metadata", "aria-label": name });
  audio.src = URL.createObjectURL(sound.blob);
  const place = make("div", { className: "sound" });
  if (!sound.samples) {
    place.append(make("p", { className: "none" }, "This browser cannot draw the format of this recording."), audio);
    return place;
  }
  const canvas = make("canvas", { role: "img", "aria-label": describe(name, sound, events, relevance) });
  const cursor = make("div", { className: "cursor", "aria-hidden": "true" });
  const frame = make("div", { className: "picture" }, canvas, cursor);
  frame.style.height = `${HEIGHT + (relevance ? LANE : 0)}px`;
  place.append(frame, audio, ...legend(events, relevance));

  const spectrogram = spectrogramCanvas(sound.samples);
  const across = () => frame.clientWidth - LEFT - RIGHT;
  const paint = () => frame.isConnected && draw(canvas, frame.clientWidth, { sound, spectrogram, spanS, events, relevance });
  new ResizeObserver(() => (paint(), follow())).observe(frame);
  dark.addEventListener("change", paint);

  const follow = () => (cursor.style.left = `${LEFT + (across() * audio.currentTime) / spanS}px`);
  const step = () => {
    follow();
    if (!audio.paused && !still.matches) requestAnimationFrame(step);
  };
  audio.addEventListener("play", step);
  for (const event of ["timeupdate", "seeked"]) audio.addEventListener(event, follow);
  frame.addEventListener("click", (event) => {
    const at = ((event.clientX - frame.getBoundingClientRect().left - LEFT) / across()) * spanS;
    audio.currentTime = Math.max(0, Math.min(sound.durationS, at));
  });
  return place;
}

/** Frees what the players inside `place` hold, and empties it. */
export function clear(place) {
  for (const audio of place.querySelectorAll("audio")) {
    audio.pause();
    URL.revokeObjectURL(audio.src);
  }
  place.replaceChildren();
}

function draw(canvas, width, { sound, spectrogram, spanS, events, relevance }) {
  const density = window.devicePixelRatio || 1;
  const height = HEIGHT + (relevance ? LANE : 0);
  [canvas.width, canvas.height] = [Math.round(width * density), Math.round(height * density)];
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const c = canvas.getContext("2d");
  c.scale(density, density);
  const across = width - LEFT - RIGHT;
  const x = (s) => LEFT + (across * s) / spanS;
  const [top, bottom] = [WAVE + 8, HEIGHT - BELOW];
  const floor = height - BELOW;

  c.fillStyle = colour("faint");
  c.fillRect(LEFT, top, across, bottom - top);
  drawWave(c, sound.samples, x(0), x(sound.durationS), colour("accent"));
  c.drawImage(spectrogram, x(0), top, x(sound.durationS) - x(0), bottom - top);
  if (relevance) drawRelevance(c, relevance, x, sound.durationS, [top, bottom, floor], colour("accent"));
  kindsOf(events).forEach((kind, row) => {
    c.fillStyle = EVENT_COLOURS[kind] ?? colour("muted");
    c.strokeStyle = "#ffffff";
    for (const event of events.filter((one) => one.kind === kind)) {
      const bar = [x(event.start_s), top + 3 + row * 9, Math.max(x(event.end_s) - x(event.start_s), 3), 7];
      c.fillRect(...bar);
      c.strokeRect(...bar);
    }
  });

  c.fillStyle = colour("muted");
  c.font = "11px system-ui, sans-serif";
  c.textAlign = "right";
  c.textBaseline = "middle";
  const [low, high] = [hzToMel(LOW_HZ), hzToMel(HIGH_HZ)];
  c.fillText("Hz", LEFT - 5, top - 7);
  for (const hz of TICKS_HZ) {
    const y = bottom - ((hzToMel(hz) - low) / (high - low)) * (bottom - top);
    c.fillText(hz < 1000 ? `${hz}` : `${hz / 1000}k`, LEFT - 5, y);
  }
  c.textBaseline = "top";
  const every = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((s) => across / (spanS / s) > 44) ?? 1200;
  for (let s = 0; s <= spanS + 1e-6; s += every) {
    c.textAlign = s === 0 ? "left" : x(s) > width - 20 ? "right" : "center";
    c.fillText(s === 0 ? "0 s" : `${s}`, x(s), floor + 6);
  }
}

function drawWave(c, samples, from, to, colour) {
  let peak = 1e-4;
  for (const value of samples) peak = Math.max(peak, Math.abs(value));
  const columns = Math.max(1, Math.round(to - from));
  c.fillStyle = colour;
  for (let column = 0; column < columns; column++) {
    const first = Math.floor((column * samples.length) / columns);
    const last = Math.max(first + 1, Math.floor(((column + 1) * samples.length) / columns));
    let [least, most] = [0, 0];
    for (let i = first; i < last; i++) {
      if (samples[i] < least) least = samples[i];
      if (samples[i] > most) most = samples[i];
    }
    const scale = (WAVE / 2 - 2) / peak;
    c.fillRect(from + column, WAVE / 2 - most * scale, 1, Math.max(1, (most - least) * scale));
  }
}

/** A lane of relevance under the spectrogram, and frames around the strongest stretches on it, from `top` to `lane`. */
function drawRelevance(c, relevance, x, durationS, [top, lane, bottom], colour) {
  const { start_s, step_s, values } = relevance;
  const at = (s) => x(Math.min(Math.max(s, 0), durationS));
  c.fillStyle = colour;
  c.beginPath();
  c.moveTo(at(start_s), bottom);
  values.forEach((value, i) => c.lineTo(at(start_s + (i + 0.5) * step_s), bottom - value * (bottom - lane - 6)));
  c.lineTo(at(start_s + values.length * step_s), bottom);
  c.fill();
  for (const { start, end } of strongest(relevance)) {
    for (const [width, edge] of [[5, "#000000"], [2, "#ffffff"]]) {
      c.lineWidth = width;
      c.strokeStyle = edge;
      c.strokeRect(at(start), top + 2, Math.max(at(end) - at(start), 3), lane - top - 4);
    }
  }
  c.lineWidth = 1;
}

const kindsOf = (events) => {
  const order = Object.keys(EVENT_COLOURS);
  return [...new Set(events.map((event) => event.kind))].sort((a, b) => order.indexOf(a) - order.indexOf(b));
};

function legend(events, relevance) {
  const lines = [];
  if (relevance) {
    const how = "The curve under the spectrogram: how much each quarter of a second counted. White frames: where it counted most.";
    lines.push(make("p", {}, `Counted most: ${strongestText(relevance)}.`), make("p", { className: "none" }, how));
  }
  if (events.length) {
    const list = make("ul", { className: "events", "aria-label": "Marked events, top row first" });
    for (const kind of kindsOf(events)) {
      const key = make("span", { className: "key", "aria-hidden": "true" });
      key.style.background = EVENT_COLOURS[kind] ?? "var(--muted)";
      const when = events.filter((one) => one.kind === kind).map((one) => `${one.start_s.toFixed(1)}–${seconds(one.end_s)}`);
      list.append(make("li", {}, key, `${capital(kind)}: ${when.slice(0, 6).join(", ")}${when.length > 6 ? ", …" : ""}`));
    }
    lines.push(list);
  }
  return lines;
}

function describe(name, sound, events, relevance) {
  const parts = [`${name}: waveform and log-mel spectrogram of ${seconds(sound.durationS)}, ${LOW_HZ} to ${HIGH_HZ} Hz.`];
  if (events.length) parts.push(`${capital(count(events.length, "event"))} marked.`);
  if (relevance) parts.push(`Relevance is highest at ${strongestText(relevance)}.`);
  return parts.join(" ");
}
