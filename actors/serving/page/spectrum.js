// Log-mel spectrograms as the report draws them, of 16 kHz mono audio.

export const SAMPLE_RATE_HZ = 16000;
export const RANGE_DB = 70; // what the colours cover, down from the loudest point
export const LOW_HZ = 40;
export const HIGH_HZ = 4500; // breath sounds and their adventitious sounds lie below
export const TICKS_HZ = [100, 500, 1000, 2000, 4000];

const BANDS = 96;
const FFT = 2048;
const WINDOW = 640; // 40 ms
const HOP = 160; // 10 ms

// matplotlib's magma at 17 even steps.
const MAGMA = [
  "000004", "0a0822", "1d1147", "36106b", "51127c", "6a1c81", "832681", "9c2e7f", "b73779",
  "d0416f", "e75263", "f56b5c", "fc8961", "fea772", "fec488", "fde2a3", "fcfdbf",
].map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));

/** In-place radix-2 FFT of two Float64Arrays of equal length, a power of two. */
export function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  const { cos, sin } = twiddles(n);
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2;
    const stride = n / size;
    for (let start = 0; start < n; start += size) {
      for (let k = 0; k < half; k++) {
        const a = start + k;
        const b = a + half;
        const wr = cos[k * stride];
        const wi = sin[k * stride];
        const xr = re[b] * wr - im[b] * wi;
        const xi = re[b] * wi + im[b] * wr;
        re[b] = re[a] - xr;
        im[b] = im[a] - xi;
        re[a] += xr;
        im[a] += xi;
      }
    }
  }
}

const known = new Map();
function twiddles(n) {
  if (!known.has(n)) {
    const angles = Float64Array.from({ length: n / 2 }, (_, k) => (-2 * Math.PI * k) / n);
    known.set(n, { cos: angles.map(Math.cos), sin: angles.map(Math.sin) });
  }
  return known.get(n);
}

/** Slaney's mel scale: linear below 1 kHz, logarithmic above (Slaney, Auditory Toolbox, 1998). */
export function hzToMel(hz) {
  return hz < 1000 ? (hz * 3) / 200 : 15 + (Math.log(hz / 1000) * 27) / Math.log(6.4);
}

function melToHz(mel) {
  return mel < 15 ? (mel * 200) / 3 : 1000 * Math.exp(((mel - 15) * Math.log(6.4)) / 27);
}

/** Triangles of equal area on the mel scale: for each band its first bin and its weights. */
function makeFilters() {
  const [low, high] = [hzToMel(LOW_HZ), hzToMel(HIGH_HZ)];
  const edges = Array.from({ length: BANDS + 2 }, (_, i) => melToHz(low + ((high - low) * i) / (BANDS + 1)));
  return Array.from({ length: BANDS }, (_, band) => {
    const [left, centre, right] = edges.slice(band, band + 3);
    const first = Math.ceil((left * FFT) / SAMPLE_RATE_HZ);
    const weights = [];
    for (let bin = first; (bin * SAMPLE_RATE_HZ) / FFT < right; bin++) {
      const hz = (bin * SAMPLE_RATE_HZ) / FFT;
      weights.push((Math.min((hz - left) / (centre - left), (right - hz) / (right - centre)) * 2) / (right - left));
    }
    return { first, weights };
  });
}
let filters;

/**
 * Mel power in dB below its loudest point, at least -RANGE_DB; silence is -RANGE_DB everywhere.
 * Returns {bands, frames, values}: values[band * frames + frame], low bands first, a frame every `hop` samples.
 */
export function melDb(samples, hop = HOP) {
  filters ??= makeFilters();
  const frames = Math.max(Math.floor(samples.length / hop), 1);
  const values = new Float32Array(BANDS * frames);
  const window = Float64Array.from({ length: WINDOW }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW));
  const re = new Float64Array(FFT);
  const im = new Float64Array(FFT);
  let loudest = 0;
  for (let frame = 0; frame < frames; frame++) {
    re.fill(0);
    im.fill(0);
    const start = frame * hop - WINDOW / 2;
    for (let i = 0; i < WINDOW; i++) re[i] = (samples[start + i] ?? 0) * window[i];
    fft(re, im);
    filters.forEach(({ first, weights }, band) => {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * (re[first + i] ** 2 + im[first + i] ** 2);
      values[band * frames + frame] = sum;
      if (sum > loudest) loudest = sum;
    });
  }
  for (let i = 0; i < values.length; i++) {
    const db = loudest <= 1e-12 ? -RANGE_DB : 10 * Math.log10(Math.max(values[i] / loudest, 1e-12));
    values[i] = Math.max(db, -RANGE_DB);
  }
  return { bands: BANDS, frames, values };
}

/** [red, green, blue] of a level in dB, -RANGE_DB to 0. */
export function colourOf(db) {
  const at = Math.min(Math.max(db / RANGE_DB + 1, 0), 1) * (MAGMA.length - 1);
  const low = Math.min(Math.floor(at), MAGMA.length - 2);
  return MAGMA[low].map((value, i) => Math.round(value + (MAGMA[low + 1][i] - value) * (at - low)));
}

/** A canvas of one pixel a frame and band, low frequencies at the bottom, for at most `columns` frames. */
export function spectrogramCanvas(samples, columns = 1600) {
  const hop = HOP * Math.max(1, Math.ceil(samples.length / HOP / columns));
  const { bands, frames, values } = melDb(samples, hop);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [frames, bands];
  const context = canvas.getContext("2d");
  const image = context.createImageData(frames, bands);
  const colours = Array.from({ length: RANGE_DB * 4 + 1 }, (_, i) => colourOf(i / 4 - RANGE_DB));
  for (let band = 0; band < bands; band++) {
    for (let frame = 0; frame < frames; frame++) {
      const at = ((bands - 1 - band) * frames + frame) * 4;
      image.data.set(colours[Math.round((values[band * frames + frame] + RANGE_DB) * 4)], at);
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
