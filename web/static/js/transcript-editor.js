/** One cue as a form: its text, where it begins, and what to do when somebody else was faster. */
import { call } from "./api.js";
import { written } from "./transcript-list.js";

/** About what two lines of a cue hold: text as short stays one cue. */
const FITS = 80;

function button(label, what, className = "tiny") {
  const made = document.createElement("button");
  made.type = "button";
  made.className = className;
  made.textContent = label;
  made.dataset.edit = what;
  return made;
}

function block(title, text) {
  const made = document.createElement("div");
  const head = document.createElement("strong");
  const said = document.createElement("p");
  head.textContent = title;
  said.textContent = text || "Nothing.";
  made.append(head, said);
  return made;
}

function stretchOf(line) {
  const { words } = line;
  return words.length
    ? { start_ms: words[0][0], end_ms: words.at(-1)[1] }
    : { start_ms: line.start_ms, end_ms: line.end_ms };
}

/**
 * Opens in place of `item`, which shows `line`; `next` is the same speaker's line after it, if
 * that is near. Fires `saved` (the API's answer) or `left`.
 */
export class CueEditor extends EventTarget {
  constructor(path, item, line, { version, next }) {
    super();
    Object.assign(this, { path, item, line, next, base: version, original: written(line).text });
    this.form = document.createElement("form");
    this.form.className = "cue-form";
    this.#build();
    item.hidden = true;
    item.after(this.form);
    this.field.focus();
    this.#fit();
  }

  #build() {
    this.field = document.createElement("textarea");
    this.field.value = this.original;
    this.field.maxLength = 2000;
    this.field.lang = this.line.language ?? "";
    this.field.setAttribute("aria-label", "What was said");
    this.said = document.createElement("p");
    this.said.className = "small quiet";
    this.said.setAttribute("role", "status");
    const row = document.createElement("p");
    row.className = "row";
    this.split = button("Split at the cursor", "split");
    this.join = button("Join the next one", "join");
    this.split.hidden = this.line.words.length < 2;
    this.join.hidden = !this.next;
    row.append(button("Save", "save", "tiny primary"), button("Cancel", "cancel"), this.split, this.join);
    this.form.append(this.field, row, this.said);
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("click", (event) => this.#do(event.target.dataset?.edit));
    this.form.addEventListener("keydown", (event) => this.#onKey(event));
    this.field.addEventListener("input", () => this.#fit());
  }

  /** Cues are cut where words are: not while their text is still being changed. */
  #fit() {
    this.field.rows = Math.max(2, Math.ceil(this.field.value.length / 40));
    this.split.disabled = this.join.disabled = this.field.value !== this.original;
  }

  #onKey(event) {
    event.stopPropagation();
    if (event.key === "Escape") this.leave();
    if (event.key === "Enter" && !event.shiftKey && event.target === this.field) {
      event.preventDefault();
      this.#do("save");
    }
  }

  #do(what) {
    const doing = {
      save: () => this.#save(),
      cancel: () => this.leave(),
      split: () => this.#cut(),
      join: () => this.#send({ ...this.#joined(), text: null }),
      mine: () => this.#insist(),
    }[what];
    doing?.();
  }

  #save() {
    const text = this.field.value;
    if (text.trim() === this.original) return this.leave();
    const stretch = stretchOf(this.line);
    const keeps = this.line.words.length && text.trim() && text.length <= FITS;
    return this.#send({ ...stretch, text, breaks: keeps ? [stretch.start_ms] : [] });
  }

  #cut() {
    const cursor = this.field.selectionStart;
    const before = written(this.line).starts.filter((start) => start < cursor).length;
    const at = Math.min(Math.max(before, 1), this.line.words.length - 1);
    const stretch = stretchOf(this.line);
    this.#send({ ...stretch, text: null, breaks: [stretch.start_ms, this.line.words[at][0]] });
  }

  #joined() {
    const { start_ms } = stretchOf(this.line);
    return { start_ms, end_ms: stretchOf(this.next).end_ms, breaks: [start_ms] };
  }

  async #send(edit) {
    this.sent = edit;
    this.#busy(true);
    try {
      const body = { base_version: this.base, participant_id: this.line.participant_id, ...edit };
      const answer = await call("POST", `${this.path}/edits`, body);
      this.#close();
      this.dispatchEvent(new CustomEvent("saved", { detail: answer }));
    } catch (problem) {
      this.#busy(false);
      if (problem.code === "edit_conflict") this.#showConflict(problem);
      else this.said.textContent = problem.message;
    }
  }

  /** `lines`: the transcript as others have made it while this was open. */
  notice(lines) {
    const { start_ms, end_ms } = stretchOf(this.line);
    const said = (line) => line.words.filter(([at]) => at >= start_ms && at < end_ms).map((word) => word[2]);
    const own = lines.filter((line) => line.participant_id === this.line.participant_id && !line.missing);
    const now = own.flatMap(said).join(" ");
    this.said.textContent = now === said(this.line).join(" ")
      ? "Somebody has changed the transcript elsewhere meanwhile."
      : `Somebody has changed this while you were writing. It says now: ${now || "nothing"}`;
  }

  #busy(is) {
    for (const one of this.form.querySelectorAll("button, textarea")) one.disabled = is;
    if (!is) this.#fit();
  }

  /** Nobody's text is lost: both are shown, and a person decides. */
  #showConflict(problem) {
    this.base = problem.body.version;
    const box = document.createElement("div");
    box.className = "conflict";
    box.setAttribute("role", "alert");
    const said = document.createElement("p");
    said.textContent = "Somebody has changed this while you were writing.";
    const row = document.createElement("p");
    row.className = "row";
    row.append(button("Put mine", "mine", "tiny primary"), button("Leave theirs", "cancel"));
    const mine = this.sent.text === null ? "The same words, cut otherwise." : this.field.value;
    box.append(said, block("It says now", problem.body.current_text), block("You wrote", mine), row);
    this.form.querySelector(".conflict")?.remove();
    this.form.append(box);
    row.firstChild.focus({ preventScroll: true });
    this.form.scrollIntoView({ block: "nearest" });
  }

  #insist() {
    const text = this.sent.text === null ? null : this.field.value;
    this.#send({ ...this.sent, text });
  }

  leave() {
    this.#close();
    this.dispatchEvent(new CustomEvent("left"));
  }

  #close() {
    this.form.remove();
    this.item.hidden = false;
  }
}
