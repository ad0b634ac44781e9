// Audio in the browser: decoded to 16 kHz mono, written as WAV, recorded from a microphone.

import { SAMPLE_RATE_HZ } from "./spectrum.js";

/** Float32Array of 16 kHz mono, or null where this browser cannot read the format. */
export async function decode(blob) {
  const context = new OfflineAudioContext(1, 1, SAMPLE_RATE_HZ);
  try {
    const buffer = await context.decodeAudioData(await blob.arrayBuffer());
    const mono = new Float32Array(buffer.length);
    for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
      buffer.getChannelData(channel).forEach((value, i) => (mono[i] += value / buffer.numberOfChannels));
    }
    return mono;
  } catch {
    return null;
  }
}

/** 16-bit mono WAV of samples from -1 to 1. */
export function encodeWav(samples, sampleRateHz = SAMPLE_RATE_HZ) {
  const view = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const word = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, 36 + samples.length * 2, true);
  word(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, sampleRateHz, true);
  view.setUint32(28, sampleRateHz * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, "data");
  view.setUint32(40, samples.length * 2, true);
  samples.forEach((value, i) => {
    view.setInt16(44 + i * 2, Math.round(Math.max(-1, Math.min(1, value)) * 32767), true);
  });
  return new Blob([view], { type: "audio/wav" });
}

/** A Blob of what the service sent as base64. */
export function fromBase64(text, format) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: `audio/${format}` });
}

export const canRecord = Boolean(navigator.mediaDevices?.getUserMedia && window.MediaRecorder);

/**
 * Starts to record. Returns {stop, finished}: `finished` resolves to a WAV File once stopped, by the caller or after
 * `longestS` seconds; `tick(seconds)` is called four times a second.
 * The browser's voice processing is off: it takes breath sounds for noise.
 */
export async function record(longestS, tick) {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  const recorder = new MediaRecorder(stream);
  const parts = [];
  const began = performance.now();
  const timer = setInterval(() => {
    const seconds = (performance.now() - began) / 1000;
    tick(seconds);
    if (seconds >= longestS) stop();
  }, 250);
  const stop = () => recorder.state !== "inactive" && recorder.stop();
  const finished = new Promise((resolve, reject) => {
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onerror = () => reject(new Error("The recording broke off."));
    recorder.onstop = async () => {
      clearInterval(timer);
      stream.getTracks().forEach((track) => track.stop());
      const samples = await decode(new Blob(parts, { type: recorder.mimeType }));
      if (samples?.length) resolve(new File([encodeWav(samples)], "recording.wav", { type: "audio/wav" }));
      else reject(new Error("Nothing was recorded. Is the microphone connected?"));
    };
  });
  recorder.start();
  return { stop, finished };
}
