// Which stretches of a recording counted most.

const WINDOW_S = 0.25; // shorter moments are neither heard apart nor seen
const MOST = 3;

/** {start_s, step_s, values} as a moving mean over a quarter of a second, the strongest being 1. */
export function smooth({ start_s, step_s, values }) {
  const half = Math.floor(WINDOW_S / step_s / 2);
  const means = values.map((_, i) => {
    const near = values.slice(Math.max(0, i - half), i + half + 1);
    return near.reduce((sum, value) => sum + value, 0) / near.length;
  });
  const most = Math.max(...means);
  return { start_s, step_s, values: most > 0 ? means.map((mean) => mean / most) : means };
}

/** The strongest stretches, in order of time: {start, end} in seconds and their highest relevance as `peak`. */
export function strongest({ start_s, step_s, values }) {
  const stretches = [];
  values.forEach((value, i) => {
    if (value < 0.6) return;
    const last = stretches.at(-1);
    if (last?.next === i) Object.assign(last, { next: i + 1, peak: Math.max(last.peak, value) });
    else stretches.push({ first: i, next: i + 1, peak: value });
  });
  const best = stretches.sort((a, b) => b.peak - a.peak).slice(0, MOST).sort((a, b) => a.first - b.first);
  return best.map(({ first, next, peak }) => ({ start: start_s + first * step_s, end: start_s + next * step_s, peak }));
}

/** The same as text. */
export function strongestText(relevance) {
  const stretches = strongest(relevance).map(
    ({ start, end, peak }) => `${start.toFixed(1)}–${end.toFixed(1)} s (${peak.toFixed(2)})`,
  );
  return stretches.join(", ") || "no moment more than another";
}
