/**
 * Draws what was said: turns of speakers in their colors, cues in them, words in those.
 *
 * A transcript is `{version, speakers: [{participant_id, name}], cues: [{id, participant_id,
 * start_ms, end_ms, words: [[start_ms, end_ms, text, confidence]], edited}], missing:
 * [{participant_id, start_ms, end_ms}]}`, all on the room's clock.
 */
import { clockText } from "./room-clock.js";
import { tone } from "./stage-view.js";

const UNSURE = 0.5;
const LONGEST_CUE_MS = 8000;

/** Whoever is silent for longer begins another turn (transcripts/merge.py). */
const TURN_PAUSE_MS = 3000;

/** Thai, Lao, Burmese, Khmer, Japanese, Chinese put no spaces between words (transcripts/words.py). */
const UNSPACED =
  /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\u{20000}-\u{3ffff}]/u;

export function spaced(before, after) {
  return !UNSPACED.test([...before].at(-1) ?? "") && !UNSPACED.test([...after][0] ?? "");
}

/** Words of a line as they are written, and where in that text each begins. */
export function written(line, change = (word) => word) {
  const starts = [];
  let text = "";
  line.words.forEach(([, , word], n) => {
    if (n && spaced(line.words[n - 1][2], word)) text += " ";
    starts.push(text.length);
    text += change(word);
  });
  return { text, starts };
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function wordsOf(cue) {
  const nodes = [];
  cue.words.forEach(([start, , text, confidence], n) => {
    const word = element("span", confidence < UNSURE ? "word unsure" : "word", text);
    word.dataset.at = start;
    if (confidence < UNSURE) word.title = "This word may be wrong";
    nodes.push(...(n && spaced(cue.words[n - 1][2], text) ? [" ", word] : [word]));
  });
  return nodes;
}

function cueItem(cue, editable) {
  const item = element("p", "cue");
  item.dataset.cue = cue.id;
  item.tabIndex = -1;
  item.lang = cue.language;
  item.append(...wordsOf(cue));
  if (cue.edited) item.append(" ", element("span", "edited", "edited"));
  if (editable) {
    const edit = element("button", "tiny edit", "Edit");
    edit.type = "button";
    edit.tabIndex = -1;
    edit.dataset.do = "edit";
    edit.setAttribute("aria-label", `Edit what was said at ${clockText(cue.start_ms)}`);
    item.append(" ", edit);
  }
  return item;
}

function missingItem(gap, editable) {
  const seconds = Math.max(1, Math.round((gap.end_ms - gap.start_ms) / 1000));
  const item = element("p", "cue missing");
  item.dataset.at = gap.start_ms;
  item.dataset.cue = gap.id;
  item.tabIndex = -1;
  item.append(element("span", "", `Possibly missing: ${seconds} s of speech`));
  if (editable) {
    const write = element("button", "tiny edit", "Write it");
    write.type = "button";
    write.tabIndex = -1;
    write.dataset.do = "edit";
    item.append(" ", write);
  }
  return item;
}

function turn(first, name) {
  const item = element("li", `turn ${tone(first.participant_id)}`);
  const head = element("p", "turn-head");
  const at = element("button", "plain at", clockText(first.start_ms));
  at.type = "button";
  at.dataset.at = first.start_ms;
  at.tabIndex = -1;
  at.setAttribute("aria-label", `Play from ${clockText(first.start_ms)}`);
  head.append(element("strong", "speaker", name), at);
  item.append(head);
  return item;
}

/** Cues and missing stretches in the order of time; a missing one has no words. */
export function linesOf({ cues, missing }) {
  const gaps = missing.map((gap) => ({
    ...gap, id: `missing-${gap.participant_id}-${gap.start_ms}`, words: [], missing: true,
  }));
  return [...cues, ...gaps].sort((a, b) => a.start_ms - b.start_ms || a.end_ms - b.end_ms);
}

/** The lines that are spoken at a room time; several where people talk at once. */
export function linesAt(lines, roomMs) {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle].start_ms <= roomMs) low = middle + 1;
    else high = middle;
  }
  const found = [];
  for (let n = low - 1; n >= 0 && lines[n].start_ms > roomMs - LONGEST_CUE_MS; n -= 1) {
    if (!lines[n].missing && lines[n].end_ms > roomMs) found.unshift(lines[n]);
  }
  return found;
}

/** Fills `list`; `mayEdit(participant_id)` says whose lines get a way to edit them. */
export function drawTranscript(list, lines, names, mayEdit) {
  const turns = [];
  let speaker = null;
  let endMs = 0;
  for (const line of lines) {
    if (line.participant_id !== speaker || line.start_ms - endMs > TURN_PAUSE_MS) {
      speaker = line.participant_id;
      turns.push(turn(line, names.get(speaker) ?? ""));
    }
    endMs = line.end_ms;
    const editable = mayEdit(speaker);
    turns.at(-1).append(line.missing ? missingItem(line, editable) : cueItem(line, editable));
  }
  list.replaceChildren(...turns);
  const first = list.querySelector(".cue");
  if (first) first.tabIndex = 0;
}

const EDGES = /^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu;

/** Numbers of the words of a line that are among those of `query`. */
export function wordsAmong(line, query) {
  const bare = (word) => folded(word).replace(EDGES, "");
  const wanted = new Set(query.split(/\s+/).map(bare).filter(Boolean));
  return line.words.flatMap(([, , word], n) => (wanted.has(bare(word)) ? [n] : []));
}

/** Case and accents don't matter when something is looked for. */
function folded(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/** Where `query` is said: `[{line, from, to}]` with numbers of words, ends included. */
export function occurrences(lines, query) {
  const wanted = folded(query.trim().replace(/\s+/g, " "));
  return wanted ? lines.flatMap((line) => inLine(line, wanted)) : [];
}

function inLine(line, wanted) {
  const { text, starts } = written(line, folded);
  const wordAt = (place) => starts.findLastIndex((start) => start <= place);
  const found = [];
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
    found.push({ line, from: wordAt(at), to: wordAt(at + wanted.length - 1) });
  }
  return found;
}
