// Calls of the service: errors become sentences, a 401 asks for the token once and tries again.

import { byId } from "./dom.js";

const KEY = "resp-agent-token";

/** What went wrong, as a sentence to show. */
export class Sentence extends Error {}

export const hasToken = () => sessionStorage.getItem(KEY) !== null;

async function call(path, options = {}) {
  const token = sessionStorage.getItem(KEY);
  let response;
  try {
    response = await fetch(path, { ...options, headers: token ? { Authorization: `Bearer ${token}` } : {} });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Sentence("The service does not answer. Check that it runs and that you are connected, then try again.");
  }
  if (response.status === 401) {
    await askForToken(token);
    return call(path, options);
  }
  if (!response.ok) throw new Sentence(await sentenceOf(response));
  return response;
}

async function sentenceOf(response) {
  const body = await response.json().catch(() => ({}));
  const detail = typeof body.detail === "string" ? body.detail : `The service answered with error ${response.status}.`;
  const sentence = /[.!?]$/.test(detail) ? detail : `${detail}.`;
  return body.request_id ? `${sentence} (Request ${body.request_id}.)` : sentence;
}

export const getJson = async (path, options) => (await call(path, options)).json();
export const getBlob = async (path, options) => (await call(path, options)).blob();

/** POSTs what is given of `fields` as a multipart form; `signal` cancels. */
export async function post(path, fields, signal) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Blob) body.append(name, value, value.name ?? name);
    else if (value !== undefined && value !== null && value !== "") body.append(name, String(value));
  }
  return (await call(path, { method: "POST", body, signal })).json();
}

let asking = null;

/** Asks for the token, once for all calls that wait for it. `refused` is the one that did not fit, or null. */
function askForToken(refused) {
  if (refused !== sessionStorage.getItem(KEY)) return Promise.resolve();
  asking ??= prompted(refused !== null).finally(() => (asking = null));
  return asking;
}

function prompted(wasRefused) {
  const dialog = byId("token-dialog");
  const input = byId("token");
  byId("token-problem").textContent = wasRefused ? "That token was not accepted." : "";
  input.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve, reject) => {
    dialog.addEventListener(
      "close",
      () => {
        const given = input.value.trim();
        input.value = "";
        if (dialog.returnValue !== "ok" || !given) return reject(new Sentence("This service answers only with its token."));
        sessionStorage.setItem(KEY, given);
        resolve();
      },
      { once: true },
    );
  });
}
