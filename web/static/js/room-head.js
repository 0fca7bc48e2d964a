/** The head of a room's page, and the dialog in which its host changes it. */
import { call } from "./api.js";
import { ask, sure } from "./dialogs.js";
import { inputValue, showLocalTimes } from "./local-time.js";

const $ = (selector) => document.querySelector(selector);

function pill(topic) {
  const span = document.createElement("span");
  span.className = "pill";
  span.textContent = topic;
  return span;
}

/** Shows what the host wrote; `room` as the API gives it. */
export function showHead(room) {
  $("#room-title").textContent = room.title;
  $("#about").textContent = room.description;
  $("#about").hidden = !room.description;
  $("#room-topics").replaceChildren(...room.topics.map(pill));
  $("#when").hidden = room.state !== "scheduled" || !room.scheduled_at;
  $("#when time").dateTime = room.scheduled_at ?? "";
  showLocalTimes($("#when"));
  document.title = `${room.title} · Encore`;
}

function fill(form, room) {
  form.elements.title.value = room.title;
  form.elements.description.value = room.description;
  form.elements.topics.value = room.topics.join(", ");
  form.elements.speakers_share_bps.value = room.speakers_share_bps / 100;
  const when = form.elements.scheduled_at;
  if (when) when.value = room.scheduled_at ? inputValue(room.scheduled_at) : "";
}

/** Wires the buttons that only the host's page has. */
export function wireEditing(path, report) {
  const dialog = $("#edit");
  if (!dialog) return;
  const run = (action) => async () => {
    report("");
    await action().catch((problem) => report(problem.message));
  };
  $("#edit-room").addEventListener("click", run(async () => {
    fill(dialog.querySelector("form"), await call("GET", path));
    ask(dialog);
  }));
  $("#edit-cancel").addEventListener("click", () => dialog.close());
  dialog.querySelector("form").addEventListener("answered", (event) => showHead(event.detail));
  $("#call-off")?.addEventListener("click", run(async () => {
    const text = "The room disappears from the list, with its invitations. Nobody is told.";
    if (!(await sure(text, "Call it off"))) return;
    await call("DELETE", path);
    location.assign("/");
  }));
}
