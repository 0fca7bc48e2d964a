/** Tips in a live room: shown at once, the large ones on top, with the goal and the front row. */
import { arrange, Kept } from "./arrange.js";
import { Goal } from "./goal.js";
import { Supporters } from "./supporters.js";
import { careFor } from "./tip-care.js";
import { nameOf, Pins, starsText, tipLine, tipOf } from "./tip-view.js";

const LISTED = 60;
const $ = (selector) => document.querySelector(selector);

export class LiveTips {
  /** `data` is the page's: `{room, me, can, tips}`. */
  constructor({ room, me, can, tips }, report) {
    this.me = me;
    const changed = (id, facts) => this.#change(id, facts);
    this.actions = careFor(`/v1/rooms/${room.id}/tips`, can, { changed, report });
    this.tips = new Map(tips.latest.map((tip) => [tip.id, tip]));
    this.lines = new Kept();
    this.pins = new Pins($("#pins"));
    this.goal = new Goal(room.id, tips.goal, report);
    this.supporters = new Supporters(room);
    this.#draw();
  }

  /** One's own, as the API answered: it may be here by its event already. */
  mine(tip) {
    this.#add(tip);
  }

  /** Takes one durable event; what a screen reader should say of it, or null. */
  apply(event) {
    this.goal.apply(event);
    if (event.kind === "tip.thanked") this.#change(event.data.tip_id, { thanked_at: event.at });
    if (event.kind === "tip.hidden") this.#hide(event.data.tip_id);
    if (event.kind !== "tip.sent" || !event.data.tip_id) return null;
    const tip = { ...tipOf(event), mine: event.data.user_id !== null && event.data.user_id === this.me.user_id };
    if (this.tips.has(tip.id)) return null;
    this.#add(tip);
    this.supporters.readSoon();
    return tip.tier.seconds ? `${nameOf(tip)} tipped ${starsText(tip.stars)}` : null;
  }

  #add(tip) {
    this.tips.set(tip.id, tip);
    if (this.tips.size > LISTED) this.tips.delete(this.tips.keys().next().value);
    this.pins.show(tip);
    this.#drawSoon();
  }

  #change(id, facts) {
    const tip = this.tips.get(id);
    if (!tip) return;
    this.tips.set(id, { ...tip, ...facts });
    this.#drawSoon();
  }

  /** From now on nothing can be done about them. */
  onlyShow() {
    this.actions = () => [];
    this.lines = new Kept();
    this.#draw();
  }

  #hide(id) {
    this.pins.drop(id);
    if (!this.tips.get(id)?.mine) this.#change(id, { message: null });
  }

  /** However many come: once for each picture. */
  #drawSoon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.waiting = false;
    const { actions } = this;
    const line = (tip) => [tip.id, tip, () => tipLine(tip, { actions })];
    const lines = this.lines.of([...this.tips.values()].reverse().map(line));
    arrange($("#tips"), lines);
    $("#no-tips").hidden = lines.length > 0;
  }
}
