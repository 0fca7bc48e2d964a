/**
 * The room drawn on its own clock: who was on the stage, mutes, hands, cuts and gaps.
 *
 * Input are lanes `{id, name, spans: [{from, to}], muted: [{from, to}], hands: [ms]}` and marks
 * `{from, to, kind: "cut"|"gap", title, lane}`, everything in room milliseconds; a mark with the
 * id of a `lane` concerns that person only.
 */

import { clockText } from "./room-clock.js";
import { tone } from "./stage-view.js";
import { starsText } from "./tip-view.js";

const SVG = "http://www.w3.org/2000/svg";
const SCRUB = 10;
const LANE = 32;
const BAR = 11;
const PAD = 8;
const AXIS = 20;
const LABEL_WIDTH = 72;
const TIP_WIDTH = 9;
const STEPS_S = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

/** Room times that the axis names, in ms: round ones, as many as have room, without the ends. */
export function ticksOf(durationMs, width) {
  const most = Math.max(1, Math.floor(width / LABEL_WIDTH));
  const fits = (step) => durationMs / 1000 / step <= most;
  const step = 1000 * (STEPS_S.find(fits) ?? Math.ceil(durationMs / 3_600_000 / most) * 3600);
  const ticks = [];
  for (let at = step; at < durationMs - step / 3; at += step) ticks.push(at);
  return ticks;
}

function shape(name, attributes, className = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (className) element.setAttribute("class", className);
  return element;
}

function titled(element, text) {
  const title = shape("title", {});
  title.textContent = text;
  element.append(title);
  return element;
}

function hatch() {
  const pattern = shape("pattern", {
    id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)",
  });
  pattern.append(shape("line", { x1: 0, y1: 0, x2: 0, y2: 6 }, "hatch-line"));
  const definitions = shape("defs", {});
  definitions.append(pattern);
  return definitions;
}

export class Timeline {
  constructor(container, durationMs) {
    this.durationMs = Math.max(1, durationMs);
    this.lanes = [];
    this.marks = [];
    this.tips = [];
    this.nowMs = 0;
    this.only = null;
    this.svg = shape("svg", { "aria-hidden": "true" });
    container.prepend(this.svg);
    new ResizeObserver(() => this.draw()).observe(container);
  }

  show(lanes, marks) {
    this.lanes = lanes;
    this.marks = marks;
    this.draw();
  }

  /** `[{room_ms, stars}]` in the order of time. */
  showTips(tips) {
    this.tips = tips;
    this.draw();
  }

  /** The others' lanes step back; null: nobody's. */
  highlight(laneId) {
    this.only = laneId;
    this.draw();
  }

  moveTo(roomMs) {
    this.nowMs = roomMs;
    this.played?.setAttribute("width", this.#width(0, roomMs));
    const x = this.#x(roomMs);
    this.head?.setAttribute("x1", x);
    this.head?.setAttribute("x2", x);
  }

  draw() {
    this.width = this.svg.clientWidth || this.svg.parentElement.clientWidth;
    this.lanesEnd = SCRUB + PAD + this.lanes.length * LANE + PAD / 2;
    this.height = this.lanesEnd + AXIS;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.svg.setAttribute("height", this.height);
    this.svg.replaceChildren(hatch(), ...this.#scrub(), ...this.#axis());
    this.svg.append(...this.lanes.map((lane, n) => this.#lane(lane, n)));
    this.svg.append(...this.marks.flatMap((mark) => this.#mark(mark)));
    this.svg.append(...this.lanes.map((lane, n) => this.#name(lane, n)), ...this.#tips(), this.#playhead());
    this.moveTo(this.nowMs);
  }

  #x(roomMs) {
    const share = Math.min(1, Math.max(0, roomMs / this.durationMs));
    return (share * this.width).toFixed(1);
  }

  #width(from, to) {
    return Math.max(1.5, this.#x(to) - this.#x(from)).toFixed(1);
  }

  #bar(span, y, height, className) {
    const box = { x: this.#x(span.from), y, width: this.#width(span.from, span.to), height, rx: 3 };
    return shape("rect", box, className);
  }

  #scrub() {
    const base = shape("rect", { x: 0, y: 0, width: this.width, height: SCRUB }, "buffered");
    this.played = shape("rect", { x: 0, y: 0, width: 0, height: SCRUB }, "played");
    return [base, this.played];
  }

  #lane(lane, n) {
    const top = SCRUB + PAD + n * LANE;
    const barTop = top + LANE - BAR - 4;
    const away = this.only !== null && this.only !== lane.id;
    const group = shape("g", {}, `${tone(lane.id)}${away ? " away" : ""}`);
    const base = shape("rect", { x: 0, y: barTop, width: this.width, height: BAR, rx: 3 }, "lane");
    const bars = lane.spans.map((span) => this.#bar(span, barTop, BAR, "on-stage"));
    const muted = lane.muted.map((span) => this.#bar(span, barTop, BAR, "is-muted"));
    group.append(base, ...bars, ...muted, ...lane.hands.map((ms) => this.#hand(ms, barTop)));
    return group;
  }

  #name(lane, n) {
    const name = shape("text", { x: 8, y: SCRUB + PAD + n * LANE + 12 }, "lane-name");
    name.textContent = lane.name;
    return name;
  }

  #axis() {
    return ticksOf(this.durationMs, this.width).flatMap((at) => {
      const x = this.#x(at);
      const label = shape("text", { x, y: this.height - 6, "text-anchor": "middle" }, "tick-name");
      label.textContent = clockText(at);
      return [shape("line", { x1: x, x2: x, y1: SCRUB, y2: this.lanesEnd }, "tick"), label];
    });
  }

  #hand(roomMs, barTop) {
    const circle = shape("circle", { cx: this.#x(roomMs), cy: barTop + BAR / 2, r: 4.5 }, "hand");
    return titled(circle, "raised a hand");
  }

  #mark(mark) {
    const n = this.lanes.findIndex((lane) => lane.id === mark.lane);
    const [y, height] = n < 0 ? [0, this.lanesEnd] : [SCRUB + PAD + n * LANE, LANE];
    const box = { x: this.#x(mark.from), y, width: this.#width(mark.from, mark.to), height };
    if (mark.kind !== "cut") return [titled(shape("rect", box, mark.kind), mark.title)];
    const ground = shape("rect", box, "cut-ground"); // nothing was kept: nothing shines through
    return [ground, titled(shape("rect", { ...box, fill: "url(#hatch)" }, "cut"), mark.title)];
  }

  /** One circle for all tips that would lie over each other; more Stars make it larger. */
  #tips() {
    const places = new Map();
    for (const { room_ms: at, stars } of this.tips) {
      const place = Math.round(this.#x(at) / TIP_WIDTH);
      const before = places.get(place) ?? { at, stars: 0, count: 0 };
      places.set(place, { at: before.at, stars: before.stars + stars, count: before.count + 1 });
    }
    return [...places.values()].map(({ at, stars, count }) => {
      const r = Math.min(SCRUB / 2 + 1, 2.5 + Math.log10(stars));
      const cx = Math.min(this.width - r, Math.max(r, this.#x(at)));
      const circle = shape("circle", { cx, cy: SCRUB / 2, r }, "tip-mark");
      return titled(circle, `${clockText(at)}: ${count} ${count === 1 ? "tip" : "tips"}, ${starsText(stars)}`);
    });
  }

  #playhead() {
    this.head = shape("line", { y1: 0, y2: this.lanesEnd }, "head");
    return this.head;
  }
}
