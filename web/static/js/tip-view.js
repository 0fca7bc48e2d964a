/** Draws tips: as lines of a list, and the large ones on top for as long as their Stars buy. */
import { clockText } from "./room-clock.js";

const PINNED = 4;

export function starsText(stars) {
  return `${stars.toLocaleString("en")} ${stars === 1 ? "Star" : "Stars"}`;
}

/** A tip of an event, as the API lists it. */
export function tipOf({ data, room_ms, at }) {
  return { ...data, id: data.tip_id, room_ms, at, thanked_at: null, sentence: null };
}

export function nameOf(tip) {
  if (tip.mine) return tip.anonymous ? "You, without your name" : "You";
  return tip.name ?? "Somebody";
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function filled(item, tip) {
  item.dataset.tip = tip.id;
  item.style.setProperty("--tier", tip.tier.color);
  const head = element("p", "tip-head");
  head.append(element("span", "tip-stars", `★ ${tip.stars.toLocaleString("en")}`), element("strong", "", nameOf(tip)));
  item.append(head);
  if (tip.message) item.append(element("p", "tip-words", tip.message));
  return item;
}

/** `actions(tip)` are buttons; `jump` leads to a room time. */
export function tipLine(tip, { actions = () => [], jump = null } = {}) {
  const item = filled(element("li", "tip"), tip);
  const foot = element("p", "tip-foot row small quiet");
  const at = element(jump ? "button" : "span", jump ? "plain" : "", clockText(tip.room_ms));
  if (jump) {
    at.type = "button";
    at.setAttribute("aria-label", `Play from ${clockText(tip.room_ms)}`);
    at.addEventListener("click", () => jump(tip.room_ms));
  }
  foot.append(at, ...(tip.thanked_at ? [element("span", "thanked", "Thanked")] : []), ...actions(tip));
  item.append(foot);
  return item;
}

/** The tips on top: at most PINNED, each for its tier's seconds; the smallest gives way. */
export class Pins {
  constructor(list) {
    this.list = list;
    this.shown = new Map();
  }

  /** `seconds`: shorter than its tier's where somebody hears it in a replay. */
  show(tip, seconds = tip.tier.seconds) {
    if (!seconds || this.shown.has(tip.id)) return;
    const timer = setTimeout(() => this.drop(tip.id), seconds * 1000);
    this.shown.set(tip.id, { tip, timer, item: filled(element("li", "pin"), tip) });
    while (this.shown.size > PINNED) this.drop(this.#least());
    this.#draw();
  }

  drop(id) {
    const pin = this.shown.get(id);
    if (!pin) return;
    clearTimeout(pin.timer);
    this.shown.delete(id);
    this.#draw();
  }

  clear() {
    for (const id of [...this.shown.keys()]) this.drop(id);
  }

  #least() {
    return [...this.shown.values()].reduce((a, b) => (b.tip.stars < a.tip.stars ? b : a)).tip.id;
  }

  #draw() {
    const pins = [...this.shown.values()].sort((a, b) => b.tip.stars - a.tip.stars);
    this.list.replaceChildren(...pins.map((pin) => pin.item));
    this.list.hidden = pins.length === 0;
  }
}
