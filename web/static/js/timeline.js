/**
 * The room drawn on its own clock: who was on the stage, mutes, hands, cuts and gaps.
 *
 * Input are lanes `{id, name, spans: [{from, to}], muted: [{from, to}], hands: [ms]}` and marks
 * `{from, to, kind: "cut"|"gap", title, lane}`, everything in room milliseconds; a mark with the
 * id of a `lane` concerns that person only.
 */

const SVG = "http://www.w3.org/2000/svg";
const SCRUB = 12;
const LANE = 27;
const BAR = 8;
const PAD = 8;

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
    this.nowMs = 0;
    this.svg = shape("svg", { "aria-hidden": "true" });
    container.prepend(this.svg);
    new ResizeObserver(() => this.draw()).observe(container);
  }

  show(lanes, marks) {
    this.lanes = lanes;
    this.marks = marks;
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
    this.height = SCRUB + PAD + this.lanes.length * LANE + PAD;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.svg.setAttribute("height", this.height);
    this.svg.replaceChildren(hatch(), ...this.#scrub(), ...this.lanes.flatMap((l, n) => this.#lane(l, n)));
    this.svg.append(...this.marks.map((mark) => this.#mark(mark)), this.#playhead());
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
    const name = shape("text", { x: 6, y: top + 11 }, "lane-name");
    name.textContent = lane.name;
    const base = shape("rect", { x: 0, y: barTop, width: this.width, height: BAR, rx: 3 }, "lane");
    const bars = lane.spans.map((span) => this.#bar(span, barTop, BAR, "on-stage"));
    const muted = lane.muted.map((span) => this.#bar(span, barTop, BAR, "is-muted"));
    return [name, base, ...bars, ...muted, ...lane.hands.map((ms) => this.#hand(ms, barTop))];
  }

  #hand(roomMs, barTop) {
    const circle = shape("circle", { cx: this.#x(roomMs), cy: barTop + BAR / 2, r: 4.5 }, "hand");
    return titled(circle, "raised a hand");
  }

  #mark(mark) {
    const n = this.lanes.findIndex((lane) => lane.id === mark.lane);
    const [y, height] = n < 0 ? [0, this.height] : [SCRUB + PAD + n * LANE, LANE];
    const box = { x: this.#x(mark.from), y, width: this.#width(mark.from, mark.to), height };
    if (mark.kind === "cut") box.fill = "url(#hatch)";
    return titled(shape("rect", box, mark.kind), mark.title);
  }

  #playhead() {
    this.head = shape("line", { y1: 0, y2: this.height }, "head");
    return this.head;
  }
}
