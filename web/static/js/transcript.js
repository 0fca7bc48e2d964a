/**
 * The transcript of a replay: follows the player, leads it by a click, is searched and corrected.
 *
 * Fires `seek` (room milliseconds), `drawn`, and `events` (that came). Hidden while there is nothing to tell.
 */
import { call } from "./api.js";
import { sure } from "./dialogs.js";
import { clockText } from "./room-clock.js";
import { CueEditor } from "./transcript-editor.js";
import { TranscriptFinder } from "./transcript-finder.js";
import { drawTranscript, linesAt, linesOf, wordsAmong } from "./transcript-list.js";
import { editRow, renameRow, speakerRow } from "./transcript-people.js";
import { givenUp, triedAgain } from "./transcript-trouble.js";

const PROGRESS_MS = 3000;
const CHANGES_MS = 15_000;
const JOIN_WITHIN_MS = 10_000;
/** Players land a little before what they were sent to. */
const ROUNDED_MS = 30;
const UNDER_WAY = new Set(["waiting", "running"]);
const CHANGES = new Set(["transcript.published", "consent.withdrawn", "consent.given"]);
const $ = (selector) => document.querySelector(selector);

export class TranscriptPanel extends EventTarget {
  /** `data` is the page's: `{room, me, can}`. */
  constructor({ room, me, can }) {
    super();
    this.path = `/v1/recordings/${room.recording_id}`;
    Object.assign(this, { room, can, self: me.participant?.id ?? null });
    this.lines = [];
    this.speakers = [];
    this.names = new Map();
    this.shown = [];
    this.version = 0;
    this.list = $("#said");
    this.finder = new TranscriptFinder(this.list, {
      itemOf: (line) => this.#item(line),
      scrollTo: (item) => this.#scrollTo(item),
    });
    this.#wire();
  }

  #wire() {
    this.list.addEventListener("click", (event) => this.#onClick(event));
    this.list.addEventListener("keydown", (event) => this.#onKey(event));
    this.list.addEventListener("focusin", (event) => this.#rove(event.target.closest(".cue")));
    $("#history").addEventListener("toggle", () => this.#showEdits());
    $("#again-do").addEventListener("click", () => this.#again());
  }

  /** Once; afterwards it keeps itself up to date. `events`: all that happened until now. */
  async start(events) {
    this.seq = events.at(-1)?.seq ?? 0;
    this.#noteConsent(events);
    if (!this.room.recording_id) return;
    await this.#refresh();
    const look = () => document.hidden || this.#look().catch(() => {});
    setInterval(look, CHANGES_MS);
    document.addEventListener("visibilitychange", look);
  }

  async #look() {
    const { events } = await call("GET", `/v1/rooms/${this.room.id}/history?after=${this.seq}`);
    this.seq = events.at(-1)?.seq ?? this.seq;
    this.#noteConsent(events);
    this.dispatchEvent(new CustomEvent("events", { detail: events }));
    const changed = events.some((event) => CHANGES.has(event.kind));
    if (changed || !this.version) await this.#refresh({ anew: changed });
  }

  async #refresh({ anew = false } = {}) {
    clearTimeout(this.timer);
    const status = await call("GET", `${this.path}/transcript/status`).catch(() => null);
    const known = [null, this.version, this.editor && this.noticed];
    const changed = status && !known.includes(status.version);
    if (changed || anew) await this.#load();
    const waits = this.#showStatus(status);
    if (waits) this.timer = setTimeout(() => this.#refresh(), PROGRESS_MS);
  }

  /** Says how far it is; whether there is something to wait for. */
  #showStatus(status) {
    const run = status?.run ?? null;
    const waits = UNDER_WAY.has(run?.status);
    const total = status?.windows_total ?? 0;
    $("#transcript").hidden = !run && !this.version && $("#own-words").hidden;
    $("#progress").hidden = !waits;
    $("#progress-bar").value = status?.windows_done ?? 0;
    $("#progress-bar").max = Math.max(1, total);
    if (!total) $("#progress-bar").removeAttribute("value");
    const share = total ? ` ${Math.floor((100 * status.windows_done) / total)} %` : "";
    $("#again").hidden = !this.can.transcribe || waits || !run;
    $("#progress-text").textContent = `${this.version ? "Listening again" : "Writing it down"}…${share}`;
    this.#showTrouble(run);
    return waits;
  }

  /** What keeps a run from being made; without a transcript everybody is told that there is none. */
  #showTrouble(run) {
    const failed = run?.status === "failed";
    const told = this.can.transcribe && run?.error_code;
    const subject = this.version ? "It could not be transcribed again" : "This recording could not be transcribed";
    if (failed && told) this.#say(givenUp(run, subject));
    else if (failed && !this.version) this.#say(`${subject}.`);
    else if (told) $("#progress-text").textContent += ` ${triedAgain(run)}`;
  }

  async #load() {
    const all = await this.#cues();
    if (!all) return;
    if (this.editor) {
      this.noticed = all.version;
      if (all.version !== this.version) this.editor.notice(linesOf(all));
      return;
    }
    this.version = all.version;
    this.speakers = all.speakers;
    this.names = new Map(all.speakers.map((one) => [one.participant_id, one.name]));
    this.lines = linesOf(all);
    this.byId = new Map(this.lines.map((line) => [line.id, line]));
    this.#draw();
  }

  /** All pages; begun anew when somebody changes it meanwhile. */
  async #cues() {
    let all = null;
    for (let after = ""; ; ) {
      const page = await call("GET", `${this.path}/transcript/cues?limit=1000${after}`).catch((problem) => {
        if (problem.status !== 404) this.#say(problem.message);
        return null;
      });
      if (!page) return null;
      if (all && page.version !== all.version) return this.#cues();
      all = all ? { ...all, cues: [...all.cues, ...page.cues] } : page;
      if (page.next === null) return all;
      after = `&after=${page.next}`;
    }
  }

  #draw() {
    const { scrollTop } = this.list;
    for (const part of ["#transcript", "#reading"]) $(part).hidden = false;
    drawTranscript(this.list, this.lines, this.names, (who) => this.#mayEdit(who));
    this.list.scrollTop = scrollTop;
    this.shown = [];
    $("#nothing-said").hidden = this.lines.length > 0;
    this.#showSpeakers();
    this.#showEdits();
    this.finder.look(this.lines);
    if (this.at !== undefined) this.follow(this.at);
    this.dispatchEvent(new Event("drawn"));
  }

  #mayEdit(who) {
    return this.can.edit || (this.can.edit_own && who === this.self);
  }

  #say(text, action = null) {
    $("#transcript-said").replaceChildren(text, ...(action ? [" ", action] : []));
  }

  /** Marks what is spoken at a room time; scrolls along unless somebody reads or writes. */
  follow(roomMs) {
    this.at = roomMs;
    const at = roomMs + ROUNDED_MS;
    const now = linesAt(this.lines, at).map((line) => this.#item(line)).filter(Boolean);
    for (const item of this.shown) if (!now.includes(item)) item.classList.remove("now");
    for (const item of now) item.classList.add("now");
    this.#showWord(now, at);
    const moved = now[0] && now[0] !== this.shown[0];
    this.shown = now;
    if (!moved || this.editor || this.list.matches(":hover, :focus-within")) return;
    this.#scrollTo(now[0], now[0] === this.arrived ? 2 : 3);
  }

  /** Shows what a link leads to in the middle, marked, with the words that were looked for. */
  arrive(roomMs, query) {
    const line = linesAt(this.lines, roomMs + ROUNDED_MS)[0]
      ?? this.lines.find((one) => one.start_ms >= roomMs);
    const item = line && this.#item(line);
    if (!item) return;
    this.arrived?.classList.remove("arrived");
    this.arrived = item;
    item.classList.add("arrived");
    const words = item.querySelectorAll(".word");
    for (const n of wordsAmong(line, query)) words[n]?.classList.add("found");
    item.scrollIntoView({ block: "center" });
  }

  #showWord(items, roomMs) {
    for (const word of this.list.querySelectorAll(".word.now")) word.classList.remove("now");
    for (const item of items) {
      const words = [...item.querySelectorAll(".word")];
      words.findLast((word) => Number(word.dataset.at) <= roomMs)?.classList.add("now");
    }
  }

  #item(line) {
    return this.list.querySelector(`[data-cue="${line.id}"]`);
  }

  /** To a `part`th of the list's height. */
  #scrollTo(item, part = 3) {
    this.list.scrollTop += item.getBoundingClientRect().top - this.list.getBoundingClientRect().top
      - this.list.clientHeight / part;
  }

  #seek(roomMs) {
    this.dispatchEvent(new CustomEvent("seek", { detail: roomMs }));
  }

  #onClick(event) {
    const item = event.target.closest(".cue");
    if (event.target.dataset.do === "edit") return this.#edit(item);
    const at = event.target.closest("[data-at]");
    if (at) this.#seek(Number(at.dataset.at));
  }

  #onKey(event) {
    const item = event.target.closest(".cue");
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = {
      ArrowDown: () => this.#toCue(item, 1),
      ArrowUp: () => this.#toCue(item, -1),
      Enter: () => event.target === item && this.#seek(this.byId.get(item.dataset.cue).start_ms),
      e: () => this.#edit(item),
    }[event.key];
    if (!action || (event.key === "Enter" && event.target !== item)) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  #toCue(item, step) {
    const all = [...this.list.querySelectorAll(".cue")];
    all[all.indexOf(item) + step]?.focus();
  }

  /** One stop for the tab key: the line that was last looked at, with its buttons. */
  #rove(item) {
    if (!item) return;
    for (const one of this.list.querySelectorAll('[tabindex="0"]')) one.tabIndex = -1;
    item.tabIndex = 0;
    const edit = item.querySelector(".edit");
    if (edit) edit.tabIndex = 0;
  }

  #edit(item) {
    const line = this.byId.get(item?.dataset.cue);
    if (!line || !this.#mayEdit(line.participant_id)) return;
    this.editor?.leave();
    const next = this.#next(line);
    const editor = new CueEditor(`${this.path}/transcript`, item, line, { version: this.version, next });
    this.editor = editor;
    editor.addEventListener("left", () => this.#left(line.id));
    editor.addEventListener("saved", (event) => this.#saved(event.detail, line));
  }

  #next(line) {
    if (line.missing) return null;
    const own = this.lines.filter((one) => one.participant_id === line.participant_id && !one.missing);
    const next = own[own.indexOf(line) + 1];
    return next && next.start_ms - line.end_ms < JOIN_WITHIN_MS ? next : null;
  }

  async #left(lineId) {
    this.editor = null;
    this.list.querySelector(`[data-cue="${lineId}"]`)?.focus();
    await this.#refresh();
  }

  async #saved(answer, line) {
    this.editor = null;
    await this.#load();
    const item = this.#item(line) ?? this.#item(linesAt(this.lines, line.start_ms)[0] ?? {});
    item?.focus();
    if (!answer.edit) return this.#say("Nothing was changed.");
    const path = `${this.path}/transcript/edits/${answer.edit.id}`;
    return this.#say("Saved.", this.#undo(() => call("DELETE", path)));
  }

  #undo(take) {
    const undo = document.createElement("button");
    Object.assign(undo, { type: "button", className: "tiny", textContent: "Undo" });
    undo.addEventListener("click", () => this.#done(take(), "Undone."));
    return undo;
  }

  /** `back`, where it can be undone, does that. */
  async #done(promise, words, back = null) {
    try {
      await promise;
      this.#say(words, back && this.#undo(back));
    } catch (problem) {
      this.#say(problem.message);
    }
    await this.#load();
  }

  async #again() {
    const what = "All of it is heard anew, in the languages that are set. What is read until then "
      + "stays, and corrections are kept.";
    if (!(await sure(what, "Transcribe again"))) return;
    const asked = call("POST", `${this.path}/transcript/runs`, {});
    await this.#done(asked, "");
    await this.#refresh();
    const same = "The same model listens again: only languages that were set since make a difference.";
    await asked.then(({ repeats }) => repeats && this.#say(same), () => {});
  }

  /** Who once agreed to be recorded may take that back, and give it again. */
  #noteConsent(events) {
    const last = events.findLast(({ kind, data }) =>
      kind.startsWith("consent.") && data.participant_id === this.self);
    if (!last) return;
    const given = last.kind === "consent.given";
    $("#own-words").hidden = false;
    $("#own-words-said").textContent = given ? "" : "You withdrew your consent: your words are hidden.";
    $("#own-words-do").textContent = given ? "Hide what I said" : "Show them again";
    $("#own-words-do").onclick = () => this.#setConsent(!given);
  }

  async #setConsent(consent) {
    const what = "Your words leave the transcript, captions, subtitles and search at once, and are "
      + "erased after a week. The sound of the recording stays as it is.";
    if (!consent && !(await sure(what, "Hide what I said"))) return;
    try {
      await call("PUT", `/v1/rooms/${this.room.id}/consent`, { consent });
      await this.#look();
    } catch (problem) {
      this.#say(problem.message);
    }
  }

  #showSpeakers() {
    const mine = this.speakers.filter((one) => this.#mayEdit(one.participant_id));
    $("#called").hidden = !mine.length;
    if (!mine.length || $("#called-list").contains(document.activeElement)) return;
    const languages = JSON.parse($("#spoken-languages").textContent);
    const rows = mine.map((speaker) =>
      speakerRow(this.path, speaker, {
        languages,
        speaks: this.can.transcribe || speaker.participant_id === this.self,
        done: (put, words, back) => this.#done(put, words, back),
      }));
    $("#called-list").replaceChildren(...rows);
  }

  async #showEdits() {
    const panel = $("#history");
    const may = this.can.edit || (this.can.edit_own && this.names.has(this.self));
    panel.hidden = !may;
    if (!may) return;
    const conflicts = await call("GET", `${this.path}/transcript/edits?state=conflict`).catch(() => null);
    const waiting = conflicts?.items.length ?? 0;
    $("#waiting").textContent = waiting ? `${waiting} to decide` : "";
    $("#waiting").hidden = !waiting;
    if (!panel.open) return;
    const page = await call("GET", `${this.path}/transcript/edits?limit=200`).catch(() => null);
    const others = (page?.items ?? []).filter((edit) => edit.state !== "conflict");
    const row = (edit) => {
      const name = this.names.get(edit.participant_id) ?? clockText(edit.start_ms);
      return editRow(this.path, edit, name, (done, words) => this.#done(done, words));
    };
    const changes = [
      ...others.map((edit) => [edit.created_at, row(edit)]),
      ...(page?.renames ?? []).map((rename) => [rename.created_at, renameRow(rename)]),
    ].sort(([one], [other]) => Date.parse(other) - Date.parse(one));
    const rows = [...(conflicts?.items ?? []).map(row), ...changes.map(([, made]) => made)];
    $("#corrected").replaceChildren(...rows);
    $("#none-corrected").hidden = rows.length > 0;
  }
}
