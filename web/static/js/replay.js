/** The page of a room that has ended: its sound, and everything else on the same clock. */
import { call, insist } from "./api.js";
import { Captions } from "./captions.js";
import { missing, showLedger } from "./ledger.js";
import { linkedPlace, linkedWords } from "./linked.js";
import { logLine, sentence } from "./log.js";
import { RoomPlayer } from "./player.js";
import { clockText } from "./room-clock.js";
import { wireEditing } from "./room-head.js";
import { drawStage, givePlace } from "./stage-view.js";
import { cutsOf, lanesOf, Stage, stageAt } from "./stage.js";
import { Timeline } from "./timeline.js";
import { TipSheet } from "./tip-sheet.js";
import { ReplayTips } from "./tips-replay.js";
import { TranscriptPanel } from "./transcript.js";

const PLAY = "M7 4v16l13-8z";
const PAUSE = "M6 4h4v16H6zM14 4h4v16h-4z";
const KEYS = {
  " ": toggle,
  k: toggle,
  j: () => skip(-15),
  l: () => skip(15),
  ArrowLeft: () => skip(-5),
  ArrowRight: () => skip(5),
};
const SETTLE_MS = 1000;
const SETTLE_AT_MOST_MS = 30_000;
const $ = (selector) => document.querySelector(selector);

const data = JSON.parse($("#room-data").textContent);
const { room } = data;
data.places.forEach(givePlace);
const audio = $("#audio");
const player = new RoomPlayer(audio, Date.parse(room.live_at));
const captions = new Captions(room.id, () => player.roomMs);
const timeline = new Timeline($("#timeline"), room.duration_ms);
const transcript = new TranscriptPanel(data);
const tips = new ReplayTips(data, { timeline, transcript, seek, report: say });
let events = [];
let stageEvents = [];
let lines = [];
let shownLine;
let opened = false;
let silent = false; // there is no sound: only the stage is there to look at
let solo = null; // participant id of the speaker who is heard alone
let sheet = null; // to tip with
let note = ""; // said once the sound is there

function say(words) {
  $("#state").textContent = words;
}

async function listen() {
  return call("GET", `/v1/rooms/${room.id}/listen`);
}

/** The room time of what is heard; before there is sound, of what the address names. */
function here() {
  if (silent) return Number($("#seek").value);
  return player.roomMs ?? linkedPlace(location, room.duration_ms).at ?? 0;
}

/** The address of the mix, or of the one speaker who was chosen; asked anew when it expires. */
async function source() {
  const urls = await listen();
  const track = urls.tracks.find((one) => one.participant_id === solo);
  return track ? track.url : urls.replay_url;
}

function open(startMs) {
  opened = true;
  player.open(source, { startMs, fromBeginning: true });
}

/** Tracks begin when their speakers did: the position is kept on the room's clock. */
function hear(button) {
  const at = here();
  solo = button.dataset.track || null;
  for (const other of $("#hear").querySelectorAll("button")) {
    other.setAttribute("aria-pressed", String(other === button));
  }
  timeline.highlight(solo);
  open(at);
}

function toggle() {
  if (silent) return undefined;
  if (!audio.paused) return player.pause();
  if (!opened) open(null);
  return player.play();
}

function seek(roomMs) {
  const at = Math.min(room.duration_ms, Math.max(0, roomMs));
  if (note) say((note = ""));
  if (silent) $("#seek").value = at;
  else if (!opened) open(at);
  else player.seek(at);
  showPosition();
}

function skip(seconds) {
  seek(here() + seconds * 1000);
}

function setSpeed(button) {
  audio.defaultPlaybackRate = audio.playbackRate = Number(button.dataset.speed);
  for (const other of document.querySelectorAll("[data-speed]")) {
    other.setAttribute("aria-pressed", String(other === button));
  }
}

function showPosition() {
  const at = here();
  $("#now").textContent = clockText(at);
  $("#seek").value = at;
  $("#seek").setAttribute("aria-valuetext", clockText(at));
  timeline.moveTo(at);
  transcript.follow(at);
  tips.follow(at);
  sheet?.offer();
  showStage(at);
}

/** As it was at the end of the second that the clock shows. */
function showStage(roomMs) {
  const at = Math.floor(roomMs / 1000) * 1000 + 999;
  const people = stageAt(stageEvents, at).onStage;
  drawStage($("#stage"), people, { recorded: false });
  $("#nobody").hidden = people.length > 0;
  const now = lines.findLast((line) => line.at <= at);
  if (now !== shownLine) showLine(now);
}

/** The log follows, unless somebody reads in it. */
function showLine(now) {
  shownLine?.item.classList.remove("now");
  now?.item.classList.add("now");
  shownLine = now;
  const log = $("#log");
  if (!now || log.matches(":hover, :focus-within")) return;
  log.scrollTop = now.item.offsetTop - log.offsetTop - log.clientHeight / 2;
}

function showPlaying() {
  const playing = !audio.paused;
  $("#play-shape").setAttribute("d", playing ? PAUSE : PLAY);
  $("#play").setAttribute("aria-label", playing ? "Pause" : "Play");
}

async function history() {
  const all = [];
  let after = 0;
  for (;;) {
    const page = await call("GET", `/v1/rooms/${room.id}/history?after=${after}`);
    all.push(...page.events);
    if (!page.events.length || page.next === null) return all;
    after = page.next;
  }
}

function showLog() {
  const stage = new Stage();
  for (const event of events) {
    stage.apply(event);
    const words = sentence(event, stage);
    if (!words) continue;
    const item = logLine(event, words, seek);
    lines.push({ at: event.room_ms ?? 0, item });
  }
  $("#log").replaceChildren(...lines.map((line) => line.item));
}

function marksOf(gaps, lanes) {
  return gaps.map((gap) => ({
    from: gap.room_start_ms,
    to: gap.room_end_ms,
    kind: gap.cause === "off_the_record" ? "cut" : "gap",
    title: missing(gap, lanes),
    lane: gap.participant_id,
  }));
}

/** The ledger names pauses too; a recording that nobody received has only the events to tell. */
function allGaps(gaps) {
  if (gaps.some((gap) => gap.cause === "off_the_record")) return gaps;
  const cuts = cutsOf(events, room.duration_ms).map(({ from, to }) => ({
    cause: "off_the_record", room_start_ms: from, room_end_ms: to, participant_id: null,
  }));
  return [...gaps, ...cuts].sort((a, b) => a.room_start_ms - b.room_start_ms);
}

function hearButton(label, track = "") {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "tiny";
  button.dataset.track = track;
  button.textContent = label;
  button.setAttribute("aria-pressed", String(track === (solo ?? "")));
  button.addEventListener("click", () => hear(button));
  return button;
}

function trackLink(track) {
  const row = document.createElement("li");
  const name = document.createElement("span");
  name.textContent = track.display_name;
  const link = document.createElement("a");
  link.href = track.url;
  link.textContent = "HLS playlist";
  row.append(name, link);
  return row;
}

function showTracks(tracks) {
  const alone = tracks.map((track) => hearButton(track.display_name, track.participant_id));
  $("#hear").replaceChildren($("#hear-label"), hearButton("Everybody"), ...alone);
  $("#hear").hidden = tracks.length === 0;
  $("#tracks").replaceChildren(...tracks.map(trackLink));
}

async function copyLink() {
  const url = new URL(location.href);
  url.searchParams.set("t", Math.floor(here() / 1000));
  url.searchParams.delete("q");
  url.hash = "";
  window.history.replaceState(null, "", url);
  try {
    await navigator.clipboard.writeText(url.href);
    say("The link is copied.");
  } catch {
    say("The link is in the address bar.");
  }
}

function onKey(event) {
  const { target } = event;
  const typing = target.closest("input:not([type=range]), select, textarea, [contenteditable]");
  const pressing = event.key === " " && target.closest("button, a, [tabindex='0']");
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || typing || pressing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  action();
}

function wire() {
  $("#play").addEventListener("click", toggle);
  $("#link").addEventListener("click", copyLink);
  $("#seek").addEventListener("input", (event) => seek(Number(event.target.value)));
  for (const button of document.querySelectorAll("[data-skip]")) {
    button.addEventListener("click", () => skip(Number(button.dataset.skip)));
  }
  for (const button of document.querySelectorAll("[data-speed]")) {
    button.addEventListener("click", () => setSpeed(button));
  }
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, showPlaying);
  player.addEventListener("time", showPosition);
  player.addEventListener("time", () => captions.show());
  player.addEventListener("ready", () => say(note));
  player.addEventListener("waiting", (event) => say(event.detail.reason));
  transcript.addEventListener("seek", (event) => seek(event.detail));
  addEventListener("hashchange", () => {
    const place = linkedPlace(location, room.duration_ms);
    if (place.at === null) return;
    seek(place.at);
    say(noteOf(place));
    arrive(place);
  });
  addEventListener("keydown", onKey);
}

/** Keeps and returns what is to be said of a link. */
function noteOf({ past }) {
  note = past ? "This link leads past the end, so it starts at 0:00." : "";
  return note;
}

function arrive({ at, past }) {
  if (at !== null && !past) transcript.arrive(at, linkedWords(location));
}

/** Without tips, and the comings and goings of those who only listened: the stage is drawn often. */
function eventsOfStage(lanes) {
  const staged = new Set(lanes.map((lane) => lane.id));
  const moves = ({ data }) => !data.participant_id || staged.has(data.participant_id);
  return events.filter((event) => !event.kind.startsWith("tip.") && moves(event));
}

async function recorded() {
  return call("GET", `/v1/recordings/${room.recording_id}`);
}

/** The recording and where to hear it, as soon as they can be had; nulls where they never can. */
async function sources() {
  if (!events.some((event) => event.kind === "recording.started")) {
    say("Nothing was recorded in this room.");
    return [null, null];
  }
  let told = false;
  const tell = (words) => (told = true) && say(words);
  try {
    const found = await insist(() => Promise.all([recorded(), listen()]), tell);
    if (told) say(note);
    return found;
  } catch (problem) {
    say(problem.message);
    return [null, null];
  }
}

function showSilence(at) {
  silent = true;
  for (const part of ["#play", "#cc", ".speeds"]) $(part).hidden = true;
  seek(at);
}

/** Of a room that has just ended the last tracks and gaps come when all of it is stored. */
async function showRecording(lanes, againMs = SETTLE_MS) {
  const [recording, urls] = await sources();
  const gaps = allGaps(recording?.gaps ?? []);
  timeline.show(lanes, marksOf(gaps, lanes));
  showLedger(gaps, lanes, recording);
  showTracks(urls?.tracks ?? []);
  if (recording && recording.status !== "stored") {
    setTimeout(() => showRecording(lanes, Math.min(2 * againMs, SETTLE_AT_MOST_MS)), againMs);
  }
  return urls;
}

async function load() {
  events = await insist(history, say);
  const lanes = lanesOf(events, room.duration_ms);
  stageEvents = eventsOfStage(lanes);
  showLog();
  const urls = await showRecording(lanes);
  const place = linkedPlace(location, room.duration_ms);
  if (urls) {
    say(noteOf(place));
    open(place.at);
  } else showSilence(place.at ?? 0);
  showPosition();
  await tips.load();
  await transcript.start(events);
  arrive(place);
}

/** Whoever signs in first finds the sheet at this very second. */
function tipAfterSigningIn({ currentTarget: link }) {
  const next = `${location.pathname}?tip=1#t=${Math.round(here())}`;
  link.href = `/sign-in?next=${encodeURIComponent(next)}`;
}

function wireTipping() {
  $("#tip-first")?.addEventListener("click", tipAfterSigningIn);
  if (!$("#tip-open") || !$("#tip")) return;
  sheet = new TipSheet(data, here);
  sheet.addEventListener("sent", ({ detail }) => {
    say(`Thank you: your tip stands at ${clockText(detail.room_ms)}.`);
    tips.mine(detail);
  });
  sheet.resume();
}

wire();
wireTipping();
wireEditing(`/v1/rooms/${room.id}`, say);
load().catch((error) => say(error.message));
