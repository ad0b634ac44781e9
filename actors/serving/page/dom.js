// Elements, numbers as text, and forms that wait for an answer.

export const byId = (id) => document.getElementById(id);

/** An element; `properties` whose names hold a dash (and `role`, `for`) are attributes, the children nodes or text. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const percent = (share) => `${Math.round(share * 100)} %`;
export const percentFine = (share) => `${(share * 100).toFixed(1)} %`;
export const seconds = (value) => `${value.toFixed(1)} s`;
export const whole = (n) => (n === null ? "not known" : n.toLocaleString("en"));
export const count = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const bytes = (n) => (n >= 2 ** 20 ? `${Math.round(n / 2 ** 20)} MB` : `${Math.ceil(n / 2 ** 10)} kB`);

/** A bar for a share of 0 to 1; its number stands beside it as text. */
export function bar(share) {
  const fill = make("span");
  fill.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return make("div", { className: "bar", "aria-hidden": "true" }, fill);
}

/** What is wrong with the first invalid field of a form, which gets the focus; null where all are right. */
export function firstInvalid(form) {
  const field = [...form.elements].find((element) => element.willValidate && !element.checkValidity());
  if (!field) return null;
  const folded = field.closest("details");
  if (folded) folded.open = true;
  field.focus();
  return `${field.labels[0].firstChild.textContent.trim()}: ${field.validationMessage}`;
}

/**
 * Shows in one place of the page that it works, what went wrong, and that it is done.
 * The place has children .status (role status), .problem (role alert) and, where work can be cancelled, .cancel.
 */
export class Waiting {
  constructor(place) {
    this.status = place.querySelector(".status");
    this.problem = place.querySelector(".problem");
    this.cancel = place.querySelector(".cancel");
    this.place = place;
    this.cancel?.addEventListener("click", () => this.controller?.abort());
  }

  say(sentence) {
    this.status.textContent = sentence;
  }

  complain(sentence) {
    this.problem.textContent = sentence;
  }

  /** Runs `work(signal)`, one at a time; resolves to what it gives, or to undefined where it failed or was cancelled. */
  async run(sentence, work) {
    if (this.controller) return undefined;
    this.controller = new AbortController();
    this.complain("");
    this.say(sentence);
    this.place.classList.add("busy");
    if (this.cancel) this.cancel.hidden = false;
    try {
      const answer = await work(this.controller.signal);
      this.say("");
      return answer;
    } catch (error) {
      this.say("");
      if (error.name === "AbortError") this.say("Cancelled.");
      else this.complain(error.message);
      return undefined;
    } finally {
      if (this.cancel) {
        if (document.activeElement === this.cancel) this.place.querySelector("[type=submit]")?.focus();
        this.cancel.hidden = true;
      }
      this.place.classList.remove("busy");
      this.controller = null;
    }
  }
}
