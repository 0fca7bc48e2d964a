/** How speakers are called and what they speak; who corrected what, and what is to be decided. */
import { call } from "./api.js";
import { clockText } from "./room-clock.js";
import { tone } from "./stage-view.js";

function made(name, className = "", text = "") {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  return element;
}

function button(label, className, onClick) {
  const element = made("button", className, label);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

/** `languages` are `[code, name]`; `done(promise, words, back)` tells how it went. */
export function speakerRow(path, speaker, { languages, speaks, done }) {
  const row = made("li", `called ${tone(speaker.participant_id)}`);
  const name = made("input");
  name.value = speaker.name;
  name.maxLength = 80;
  name.setAttribute("aria-label", `Name of ${speaker.name} in the transcript`);
  const form = made("form", "row");
  const save = made("button", "tiny", "Rename");
  form.append(name, save, made("span", "small quiet", "in the transcript only"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const at = `${path}/transcript/speakers/${speaker.participant_id}`;
    const put = (chosen) => call("PUT", at, { name: chosen || null });
    done(put(name.value.trim()), "The speaker is renamed.", () => put(speaker.name));
  });
  row.append(form);
  if (speaks) row.append(languageChoice(path, speaker, languages, done));
  return row;
}

/** What nobody chose says what was heard. */
function detected(name, { language }, languages) {
  const heard = languages.find(([code]) => code === language)?.[1] ?? language;
  return heard ? `${name} (${heard})` : name;
}

function languageChoice(path, speaker, languages, done) {
  const select = made("select");
  select.setAttribute("aria-label", `Language of ${speaker.name}`);
  const chosen = speaker.chosen_language ?? "";
  const known = languages.some(([code]) => code === chosen);
  for (const [code, name] of known ? languages : [...languages, [chosen, chosen]]) {
    const option = made("option", "", code || chosen ? name : detected(name, speaker, languages));
    option.value = code;
    option.selected = code === chosen;
    select.append(option);
  }
  select.addEventListener("change", () => {
    const put = call("PUT", `${path}/tracks/${speaker.participant_id}/language`, {
      language: select.value || null,
    });
    done(put, "The language holds from now on. Transcribe again to have this heard in it.");
  });
  return select;
}

function quoted(label, text) {
  const line = made("p", "quoted");
  line.append(made("span", "quiet small", label), " ", made("span", "", text || "nothing"));
  return line;
}

function whenAndWho(edit, name) {
  const line = made("p", "small quiet");
  const at = new Date(edit.withdrawn_at ?? edit.created_at);
  const time = made("time", "", at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" }));
  time.dateTime = at.toISOString();
  const who = edit.withdrawn_by ? `${edit.author}, undone by ${edit.withdrawn_by}` : edit.author;
  line.append(`${name} at ${clockText(edit.start_ms)} · ${who} · `, time);
  return line;
}

/** One edit of the history, with what can be done about it. */
export function editRow(path, edit, name, done) {
  const row = made("li", `edit-${edit.state}`);
  const at = `${path}/transcript/edits/${edit.id}`;
  row.append(whenAndWho(edit, name));
  if (edit.text === null) row.append(made("p", "", "Cut into cues otherwise."));
  else row.append(quoted("was", edit.replaced), quoted("became", edit.text));
  const actions = made("p", "row");
  if (edit.state === "conflict") {
    row.append(quoted("another model heard", edit.current));
    const keep = () => done(call("POST", `${at}/keep`), "The correction is kept.");
    actions.append(button("Keep the correction", "tiny", keep));
  }
  if (edit.state !== "withdrawn") {
    const label = edit.state === "conflict" ? "Take what was heard" : "Undo";
    actions.append(button(label, "tiny", () => done(call("DELETE", at), "Undone.")));
  }
  row.append(actions);
  return row;
}

/** That a speaker was renamed. */
export function renameRow(rename) {
  const row = made("li", "renamed");
  const line = made("p", "small quiet");
  const at = new Date(rename.created_at);
  const time = made("time", "", at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" }));
  time.dateTime = at.toISOString();
  line.append(`Name of a speaker · ${rename.author} · `, time);
  row.append(line, quoted("was", rename.replaced), quoted("became", rename.name));
  return row;
}
