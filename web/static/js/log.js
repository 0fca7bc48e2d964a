/** What happened, as sentences. */
import { clockText } from "./room-clock.js";

const SENTENCES = {
  "room.went_live": () => "The room went live",
  "room.ended": () => "The room ended",
  "stage.joined": (name) => `${name} came on stage`,
  "stage.left": (name) => `${name} left the stage`,
  "participant.removed": (name) => `${name} was removed`,
  "hand.raised": (name) => `${name} raised a hand`,
  "speaker.muted": (name) => `${name} is muted`,
  "speaker.unmuted": (name) => `${name} is no longer muted`,
  "invitation.sent": (name) => `${name} was invited to the stage`,
  "invitation.declined": (name) => `${name} declined the invitation`,
  "consent.given": (name) => `${name} agreed to be recorded`,
  "consent.withdrawn": (name) => `${name} no longer agrees to be recorded`,
  "recording.started": () => "Recording started",
  "recording.paused": () => "Off the record",
  "recording.resumed": () => "Back on the record",
  "recording.stopped": () => "Recording stopped",
  "goal.set": (_, data) => `The room collects ${data.target_stars.toLocaleString("en")} Stars: ${data.title}`,
  "goal.reached": (_, data) => `The goal is reached: ${data.title}`,
};

/** One sentence, or null for what nobody needs to read. */
export function sentence(event, stage) {
  const person = stage.people.get(event.data.participant_id);
  const name = event.data.display_name ?? person?.display_name ?? "Somebody";
  return SENTENCES[event.kind]?.(name, event.data) ?? null;
}

/** A line of the log; with `jump` its time is a button that leads there. */
export function logLine(event, text, jump = null) {
  const item = document.createElement("li");
  const at = document.createElement(jump ? "button" : "time");
  at.textContent = event.room_ms === null ? "before" : clockText(event.room_ms);
  if (jump) {
    at.type = "button";
    at.className = "plain";
    at.addEventListener("click", () => jump(event.room_ms ?? 0));
  }
  const words = document.createElement("span");
  words.textContent = text;
  item.append(at, words);
  return item;
}
