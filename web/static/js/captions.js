/**
 * Captions on a room's page. Each has its place on the room's clock, and so has what is heard:
 * they are shown with the sound, however far behind the room that is. Where nothing is played
 * they are shown as they come.
 */
import { call } from "./api.js";
import { spaced } from "./transcript-list.js";

const PAGE = 500;
const SHOWN = 2;
const LINGER_MS = 1500;
const UNHEARD_MS = 7000;
const LATE_MS = 2500;
const BEHIND_MS = 8000;
const REMEMBERED = "encore.captions";

/** Whether this browser's reader wants captions; private windows may forget it. */
function remembered() {
  try {
    return localStorage.getItem(REMEMBERED) === "on";
  } catch {
    return false;
  }
}

function remember(on) {
  try {
    localStorage.setItem(REMEMBERED, on ? "on" : "off");
  } catch {
    // For this page, then.
  }
}

/** The cues to show at a room time: those under way, the latest last. */
export function shownAt(cues, roomMs) {
  return cues.filter((cue) => cue.start_ms <= roomMs && roomMs < cue.until_ms).slice(-SHOWN);
}

/** As one line: where it breaks is for the page to say. */
export function flowing(text) {
  return text.split("\n").reduce((all, part) => all + (spaced(all, part) ? " " : "") + part);
}

function line(cue, n, shown) {
  const paragraph = document.createElement("p");
  const name = document.createElement("span");
  name.className = "caption-name";
  name.textContent = cue.display_name;
  const text = document.createElement("span");
  text.lang = cue.language;
  text.textContent = flowing(cue.text);
  if (shown[n - 1]?.participant_id !== cue.participant_id) paragraph.append(name);
  paragraph.append(text);
  return paragraph;
}

export class Captions {
  /** `heardMs` tells the room time of what is heard, null while nothing is. */
  constructor(roomId, heardMs) {
    this.path = `/v1/rooms/${roomId}/captions`;
    this.heardMs = heardMs;
    this.box = document.querySelector("#captions");
    this.button = document.querySelector("#cc");
    this.cues = [];
    this.last = 0;
    this.version = 0;
    this.reading = null;
    this.on = false;
    this.button.addEventListener("click", () => this.#turn(!this.on, true));
    this.#turn(remembered(), false);
  }

  #turn(on, wished) {
    this.on = on;
    if (wished) remember(on);
    this.button.setAttribute("aria-pressed", String(on));
    this.box.hidden = !on;
    if (on) this.catchUp();
    this.show();
  }

  /** Everything that was said since the last that is known. */
  catchUp() {
    if (!this.on) return;
    this.reading ??= this.#read()
      .catch(() => {})
      .finally(() => {
        this.reading = null;
        this.show();
      });
  }

  async #read() {
    let after = this.last;
    while (after !== null) {
      const page = await call("GET", `${this.path}?after=${after}&limit=${PAGE}`);
      if (page.version !== this.version) {
        const anew = this.version > 0;
        this.version = page.version;
        if (anew) {
          this.cues = [];
          this.last = after = 0;
          continue;
        }
      }
      for (const cue of page.items) this.#take(cue);
      after = page.next;
    }
  }

  /** A new caption, from the room's events. */
  add(cue) {
    if (!this.on) return;
    const heard = this.heardMs();
    this.#take(cue, heard === null ? 0 : heard + LATE_MS);
    this.unheardUntil = Date.now() + UNHEARD_MS;
    this.box.classList.remove("behind");
    this.show();
  }

  #take(cue, until = 0) {
    if (this.cues.some((known) => known.id === cue.id)) return;
    this.last = Math.max(this.last, cue.id);
    this.cues.push({ ...cue, until_ms: Math.max(cue.end_ms + LINGER_MS, until) });
    this.cues.sort((a, b) => a.start_ms - b.start_ms || a.id - b.id);
  }

  /** Somebody took their consent back. */
  forget(participantId) {
    this.cues = this.cues.filter((cue) => cue.participant_id !== participantId);
    this.show();
  }

  /** The machine that writes captions does not keep up. */
  behind() {
    this.box.classList.add("behind");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.box.classList.remove("behind"), BEHIND_MS);
  }

  show() {
    if (!this.on) return;
    const heard = this.heardMs();
    const current = heard === null ? this.#latest() : shownAt(this.cues, heard);
    const key = current.map((cue) => cue.id).join();
    if (key === this.shown) return;
    this.shown = key;
    this.box.querySelector(".lines").replaceChildren(...current.map(line));
  }

  /** What came last, for a while. */
  #latest() {
    clearTimeout(this.hiding);
    const left = (this.unheardUntil ?? 0) - Date.now();
    if (left <= 0) return [];
    this.hiding = setTimeout(() => this.show(), left);
    return this.cues.slice(-SHOWN);
  }
}
