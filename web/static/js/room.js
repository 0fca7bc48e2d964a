/** The page of a room that is scheduled or live. */
import { call } from "./api.js";
import { RoomEvents } from "./events.js";
import { Listening } from "./listening.js";
import { logLine, sentence } from "./log.js";
import { Moderation } from "./moderation.js";
import { showHead, wireEditing } from "./room-head.js";
import { drawStage, givePlace, showSpeaking } from "./stage-view.js";
import { Stage } from "./stage.js";
import { TipSheet } from "./tip-sheet.js";
import { LiveTips } from "./tips-live.js";
import { You } from "./you.js";

const BADGES = { on: ["rec", "REC"], paused: ["paused", "Off the record"], off: ["", "Not recorded"] };
const TELL_WITHIN_MS = 4000;
const READ_THE_END_MS = 1000;
const REPLAY_PER_PERSON_MS = 40;
const $ = (selector) => document.querySelector(selector);

const data = JSON.parse($("#room-data").textContent);
const { room, me } = data;
data.places.forEach(givePlace);

const stage = new Stage({
  state: room.state,
  recording: room.recording_state,
  stopped: data.recording_stopped,
  people: me.participant ? [...data.participants, me.participant] : data.participants,
});
const signedIn = Boolean(me.user_id);
let you = signedIn ? new You(room.id, me, report) : null;
let moderation = signedIn ? new Moderation(room.id, me, report) : null;
const tips = new LiveTips(data, report);
const listening = room.live_at ? new Listening(room.id, Date.parse(room.live_at), data.now_ms) : null;

function report(words) {
  $("#problem").textContent = words;
  $("#problem").hidden = !words;
}

function showRecording() {
  const [className, words] = BADGES[stage.recording];
  const badge = $("#recording .badge");
  if (!badge || badge.textContent === words) return;
  badge.className = `badge ${className}`;
  badge.textContent = words;
}

function nameLine(person) {
  const line = document.createElement("li");
  line.textContent = person.display_name;
  return line;
}

function showHands() {
  const list = $("#hands");
  if (moderation) moderation.drawHands(list);
  else list.replaceChildren(...stage.hands.map(nameLine));
  $("#no-hands").hidden = stage.hands.length > 0;
}

function render() {
  you?.render(stage);
  moderation?.render(stage, room);
  listening?.render(stage);
  const actions = (person) => moderation?.actionsFor(person) ?? [];
  drawStage($("#stage"), stage.onStage, { recorded: stage.state === "live", actions });
  $("#nobody").hidden = stage.onStage.length > 0;
  showRecording();
  showHands();
  if (!heard()) showSpeaking($("#stage"), new Set());
}

/** Whether what is said goes out: rings say so. */
function heard() {
  return stage.state === "live" && stage.recording === "on";
}

function log(event) {
  const words = sentence(event, stage);
  if (!words) return null;
  $("#log").prepend(logLine(event, words));
  return words;
}

function onDurable(event) {
  stage.apply(event);
  if (event.kind === "stage.joined") givePlace([event.data.participant_id, event.data.user_id]);
  const words = tips.apply(event) ?? log(event);
  sheet?.apply(event);
  if (words) $("#moves").textContent = words;
  if (event.kind === "room.went_live") location.reload();
  if (event.kind === "participant.removed" && event.data.user_id === me.user_id) me.removed = true;
  if (event.kind === "room.updated") readHeadSoon();
  if (event.kind === "room.ended") onEnd();
  if (event.kind === "consent.withdrawn") listening?.captions.forget(event.data.participant_id);
  if (event.kind === "recording.moved") you?.reconnect();
  render();
}

/** Nothing that they did here is theirs to do any more; what somebody hears plays on. */
function onSignedOut() {
  you?.hush();
  you = moderation = null;
  me.signedOut = true;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  for (const part of document.querySelectorAll("[data-signed-in]")) part.hidden = true;
  tips.onlyShow();
  sheet?.offer();
  render();
  report("");
  $("#signed-out").hidden = false;
}

/** Somewhere in the next seconds: a whole audience hears of a change at once. */
function readHeadSoon() {
  clearTimeout(readHeadSoon.timer);
  const read = async () => showHead(await call("GET", `/v1/rooms/${room.id}`));
  readHeadSoon.timer = setTimeout(() => read().catch(() => {}), Math.random() * TELL_WITHIN_MS);
}

function onEnd() {
  $("#ended").hidden = false;
  const badge = $("#badges .badge");
  badge.className = "badge";
  badge.textContent = "Ended";
  for (const part of document.querySelectorAll("[data-while-live]")) part.hidden = true;
  listening?.close();
  if (!listening?.playing) openReplaySoon();
}

/** Under the same address, not all at once; whoever is in the middle of something opens it by the link. */
function openReplaySoon() {
  const delay = READ_THE_END_MS + Math.random() * Math.min(TELL_WITHIN_MS, REPLAY_PER_PERSON_MS * audience);
  setTimeout(() => $("dialog[open]") || location.reload(), delay);
}

function onEphemeral({ kind, data: body }) {
  if (kind === "speaking" && heard()) showSpeaking($("#stage"), new Set(body.participants));
  if (kind === "audience") showAudience(body.count);
  if (kind === "caption") listening?.captions.add(body);
  if (kind === "captions.behind") listening?.captions.behind();
}

/** `count` is of open pages; speakers may be in the room without one. */
function showAudience(count) {
  audience = count ?? audience;
  const here = Math.max(audience, stage.onStage.length);
  $("#audience").textContent = count === null ? "Connecting again…" : `${here} here`;
}

function wireTipping() {
  if (!$("#tip-open") || !$("#tip")) return;
  sheet = new TipSheet(data, () => listening.heardMs);
  sheet.addEventListener("sent", ({ detail }) => tips.mine(detail));
  for (const name of ["timeupdate", "pause"]) listening.audio.addEventListener(name, () => sheet.offer());
  sheet.resume();
}

let sheet = null; // to tip with
let audience = data.audience;
const events = new RoomEvents(room.id, data.seq);
events.addEventListener("durable", (message) => onDurable(message.detail));
events.addEventListener("connection", ({ detail }) => {
  showAudience(detail.up ? audience : null);
  if (detail.up) listening?.captions.catchUp();
});
events.addEventListener("bye", ({ detail }) => {
  if (detail.reason === "access") location.reload();
  if (detail.reason === "credential") onSignedOut();
});
events.addEventListener("ephemeral", (message) => onEphemeral(message.detail));

addEventListener("pageshow", (event) => event.persisted && location.reload());
wireEditing(`/v1/rooms/${room.id}`, report);
for (const event of data.events) log(event);
render();
you?.resume();
wireTipping();
events.open();
