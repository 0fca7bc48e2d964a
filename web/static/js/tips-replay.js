/** Tips on a replay: at their second on the timeline, in the list, and at what was said then. */
import { call } from "./api.js";
import { Goal } from "./goal.js";
import { Supporters } from "./supporters.js";
import { careFor } from "./tip-care.js";
import { linesAt } from "./transcript-list.js";
import { Pins, starsText, tipLine } from "./tip-view.js";

const PAGES = 30;
const PLAYING_MS = 2500;
const PIN_S = [4, 12];
const CHANGES = /^(tip\.|goal\.|transcript\.published)/;
const $ = (selector) => document.querySelector(selector);

export class ReplayTips {
  /** `data` is the page's; `seek` leads to a room time. */
  constructor({ room, tips, can }, { timeline, transcript, seek, report }) {
    Object.assign(this, { timeline, transcript, seek });
    this.path = `/v1/rooms/${room.id}/tips`;
    const changed = (id, facts) => this.#change(id, facts);
    this.actions = careFor(this.path, can, { changed, report });
    this.tips = [];
    this.lines = [];
    this.at = 0;
    this.pins = new Pins($("#pins"));
    this.goal = new Goal(room.id, tips.goal, report);
    this.supporters = new Supporters(room);
    transcript.addEventListener("drawn", () => this.#pinToWords());
    transcript.addEventListener("events", ({ detail }) => this.#onEvents(detail));
  }

  async load() {
    const asked = (this.asked = (this.asked ?? 0) + 1);
    const tips = [];
    let after = "";
    for (let page = 0; page < PAGES && after !== null; page += 1) {
      const found = await call("GET", `${this.path}?limit=100${after}`).catch(() => null);
      if (!found) return this.#showMissing();
      tips.push(...found.items);
      after = found.next && `&after=${found.next}`;
    }
    if (asked === this.asked) this.#show(tips);
  }

  /** What was there before stays. */
  #showMissing() {
    if (this.tips.length) return;
    $("#no-tips").textContent = "They could not be loaded.";
    $("#no-tips").hidden = false;
  }

  #show(tips) {
    this.tips = tips;
    this.lines = tips.map((tip) => this.#line(tip));
    $("#tips").replaceChildren(...this.lines);
    $("#no-tips").textContent = "None yet.";
    $("#no-tips").hidden = tips.length > 0;
    this.timeline.showTips(tips);
    this.#pinToWords();
    this.#mark();
  }

  #line(tip) {
    return tipLine(tip, { jump: this.seek, actions: this.actions });
  }

  /** One line anew: whoever reads in the list stays where they are. */
  #change(id, facts) {
    const n = this.tips.findIndex((tip) => tip.id === id);
    if (n < 0) return;
    if (facts.message === null) this.pins.drop(id);
    const line = this.#line((this.tips[n] = { ...this.tips[n], ...facts }));
    line.classList.toggle("now", this.lines[n] === this.marked);
    if (this.lines[n] === this.marked) this.marked = line;
    this.lines[n].replaceWith(line);
    this.lines[n] = line;
  }

  #onEvents(events) {
    if (!events.some((event) => CHANGES.test(event.kind))) return;
    for (const event of events) this.goal.apply(event);
    this.supporters.readSoon();
    this.load();
  }

  /** One's own: it stands at its second at once. */
  mine(tip) {
    this.pins.show(tip, this.#seconds(tip));
    this.supporters.readSoon();
    return Promise.all([this.load(), this.goal.read().catch(() => {})]);
  }

  /** Shows what was tipped at the seconds that have just been heard. */
  follow(roomMs) {
    const [from, to] = [this.at, roomMs];
    this.at = roomMs;
    if (to - from <= 0 || to - from > PLAYING_MS) {
      if (to !== from) this.pins.clear(); // somebody jumped
    } else {
      for (const tip of this.tips) {
        if (tip.room_ms > from && tip.room_ms <= to) this.pins.show(tip, this.#seconds(tip));
      }
    }
    this.#mark();
  }

  #seconds(tip) {
    return Math.min(PIN_S[1], Math.max(PIN_S[0], tip.tier.seconds));
  }

  /** The list follows, unless somebody reads in it. */
  #mark() {
    const at = Math.floor(this.at / 1000) * 1000 + 999; // the end of the second that the clock shows
    const now = this.lines[this.tips.findLastIndex((tip) => tip.room_ms <= at)];
    if (now === this.marked) return;
    this.marked?.classList.remove("now");
    now?.classList.add("now");
    this.marked = now;
    const list = $("#tips");
    if (!now || list.matches(":hover, :focus-within")) return;
    list.scrollTop = now.offsetTop - list.offsetTop - list.clientHeight / 2;
  }

  /** A tip stands at the sentence that was being said, as the transcript has it by now. */
  #pinToWords() {
    const list = $("#said");
    for (const old of list.querySelectorAll(".cue-tips")) old.remove();
    const sums = new Map();
    for (const tip of this.tips) {
      const line = this.#lineOf(tip);
      if (line) sums.set(line.id, (sums.get(line.id) ?? 0) + tip.stars);
    }
    for (const [id, stars] of sums) {
      const mark = document.createElement("span");
      mark.className = "cue-tips";
      mark.textContent = `★ ${stars.toLocaleString("en")}`;
      mark.title = `${starsText(stars)} tipped here`;
      list.querySelector(`[data-cue="${CSS.escape(id)}"]`)?.append(" ", mark);
    }
  }

  #lineOf({ sentence, room_ms: at }) {
    const { lines } = this.transcript;
    const said = sentence && lines.find((line) => !line.missing
      && line.participant_id === sentence.participant_id && line.start_ms === sentence.start_ms);
    return said ?? linesAt(lines, at)[0];
  }
}
