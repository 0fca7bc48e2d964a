/** Who gave most: those who are here, of the room, of its host. */
import { call } from "./api.js";
import { initials, tone } from "./stage-view.js";
import { starsText } from "./tip-view.js";

const TELL_WITHIN_MS = 4000;
const $ = (selector) => document.querySelector(selector);

function row(one) {
  const item = document.createElement("li");
  const face = document.createElement("span");
  face.className = `face ${tone(one.user_id)}`;
  face.setAttribute("aria-hidden", "true");
  face.textContent = initials(one.name);
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = one.name;
  const stars = document.createElement("span");
  stars.className = "small quiet";
  stars.textContent = starsText(one.stars);
  item.append(face, name, stars);
  return item;
}

/** What stands below the list. Who listens without having joined is in no front row. */
export function sumText({ items, anonymous_stars, total_stars }, ofPresent) {
  if (!total_stars) return "Nobody yet.";
  const absent = ofPresent && !items.length ? "None of those who gave has joined the room. " : "";
  const unnamed = anonymous_stars ? `${starsText(anonymous_stars)} without a name. ` : "";
  return `${absent}${unnamed}${starsText(total_stars)} in all.`;
}

/** Read while they are shown: anew after tips, a whole audience not at once. */
export class Supporters {
  constructor(room) {
    const month = new Date().toISOString().slice(0, 7);
    const [ofRoom, ofHost] = [`/v1/rooms/${room.id}/supporters`, `/v1/creators/${room.host_id}/supporters`];
    this.paths = {
      present: `${ofRoom}?present=true`, room: ofRoom, month: `${ofHost}?month=${month}`, creator: ofHost,
    };
    this.details = $("#supporters");
    this.choice = $("#supporters-of");
    this.details.addEventListener("toggle", () => this.#read());
    this.choice.addEventListener("change", () => this.#read());
  }

  readSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#read(), Math.random() * TELL_WITHIN_MS);
  }

  async #read() {
    if (!this.details.open) return;
    const asked = this.choice.value;
    const found = await call("GET", this.paths[asked]).catch(() => null);
    if (asked !== this.choice.value) return; // an answer to what is asked no more
    $("#supporter-list").replaceChildren(...(found?.items ?? []).map(row));
    $("#supporter-sum").textContent = found ? sumText(found, asked === "present") : "That could not be loaded.";
  }
}
