/** Finds words in the transcript that is shown: marks all of them, counts them, and steps from one to the next. */
import { occurrences } from "./transcript-list.js";

const $ = (selector) => document.querySelector(selector);

export class TranscriptFinder {
  /** `list`: the element of the lines; `itemOf` gives a line's, and `scrollTo` brings it into view. */
  constructor(list, { itemOf, scrollTo }) {
    Object.assign(this, { list, itemOf, scrollTo });
    this.lines = [];
    this.found = [];
    this.at = 0;
    $("#find-said").addEventListener("input", () => {
      this.at = 0;
      this.#find({ scroll: true });
    });
    $("#find-said").addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#step(event.shiftKey ? -1 : 1);
    });
    $("#find-next").addEventListener("click", () => this.#step(1));
    $("#find-back").addEventListener("click", () => this.#step(-1));
  }

  /** Looks in these lines, which have been drawn anew: who reads on is not moved. */
  look(lines) {
    this.lines = lines;
    this.#find({ scroll: false });
  }

  #find({ scroll }) {
    this.found = occurrences(this.lines, $("#find-said").value);
    for (const word of this.list.querySelectorAll(".found")) word.classList.remove("found", "here");
    for (const one of this.found) this.#mark(one, "found");
    if (this.at >= this.found.length) this.at = 0;
    this.#show({ scroll });
  }

  #step(by) {
    if (!this.found.length) return;
    this.at = (this.at + by + this.found.length) % this.found.length;
    this.#show({ scroll: true });
  }

  #show({ scroll }) {
    for (const word of this.list.querySelectorAll(".here")) word.classList.remove("here");
    const here = this.found[this.at];
    const any = $("#find-said").value.trim() !== "";
    const many = this.found.length ? `${this.at + 1} of ${this.found.length}` : "not found";
    $("#find-count").textContent = any ? many : "";
    $("#find-next").hidden = $("#find-back").hidden = this.found.length < 2;
    if (!here) return;
    this.#mark(here, "here");
    if (scroll) this.scrollTo(this.itemOf(here.line));
  }

  #mark({ line, from, to }, className) {
    const words = this.itemOf(line)?.querySelectorAll(".word") ?? [];
    for (let n = from; n <= to; n += 1) words[n]?.classList.add(className);
  }
}
