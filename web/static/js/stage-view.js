/** Draws people on the stage; the markup of one is the template `#person`. */
import { arrange } from "./arrange.js";

const TONES = 8;
const places = new Map(); // by participant and user: how many came onto the room's stage before
let given = 0;
const ROLE_NAMES = { host: "host", cohost: "co-host" };

/** As `initials` in web/pages/render.py. */
export function initials(name) {
  const words = name.split(/\s+/).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const ends = words.length < 2 ? words : [words[0], words.at(-1)];
  return ends.map((word) => [...word][0]).join("").toUpperCase() || "?";
}

/** Takes the next color for somebody, unless they have one: lists of tips know the user alone. */
export function givePlace([participantId, userId]) {
  if (places.has(participantId)) return;
  places.set(participantId, given).set(userId, given);
  given += 1;
}

/** The class of a person's colors, as `tone` in web/pages/tones.py. */
export function tone(id) {
  return `tone-${(places.get(id) ?? Number.parseInt(id.slice(-2), 16)) % TONES}`;
}

function mark(text, className = "") {
  const span = document.createElement("span");
  span.textContent = text;
  span.className = className;
  return span;
}

function marksOf(person, recorded) {
  const marks = [];
  if (ROLE_NAMES[person.role]) marks.push(mark(ROLE_NAMES[person.role]));
  if (person.muted) marks.push(mark("muted"));
  if (!person.consented && recorded) marks.push(mark("no consent yet", "warn"));
  return marks;
}

function newPerson(id) {
  const item = document.querySelector("#person").content.cloneNode(true).firstElementChild;
  item.dataset.id = id;
  item.querySelector(".face").classList.add(tone(id));
  return item;
}

function fill(item, person, { recorded, actions }) {
  item.classList.toggle("muted", person.muted);
  item.querySelector(".face").textContent = initials(person.display_name);
  item.querySelector(".name").textContent = person.display_name;
  item.querySelector(".name").title = person.display_name;
  item.querySelector(".marks").replaceChildren(...marksOf(person, recorded));
  fillActions(item.querySelector(".actions"), person, actions);
}

/** A menu of what can be done to somebody; left alone when nothing changed, so that it stays open. */
function fillActions(slot, person, actions) {
  const wanted = actions(person);
  const signature = wanted.map((action) => action.do).join();
  if (slot.dataset.has === signature) return;
  slot.dataset.has = signature;
  slot.replaceChildren(...(wanted.length ? [actionMenu(wanted, person)] : []));
}

function actionMenu(wanted, person) {
  const menu = document.createElement("details");
  menu.name = "actions";
  const title = document.createElement("summary");
  title.className = "tiny button";
  title.textContent = "Manage";
  title.setAttribute("aria-label", `Manage ${person.display_name}`);
  const items = document.createElement("div");
  items.className = "menu";
  items.append(...wanted.map((action) => actionButton(action, person)));
  menu.append(title, items);
  items.addEventListener("click", () => menu.removeAttribute("open"));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.removeAttribute("open");
    title.focus();
  });
  return menu;
}

/** A small button that bubbles `data-do` and `data-id` to whoever listens above it. */
export function actionButton(action, person) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = `tiny ${action.className ?? ""}`;
  button.dataset.do = action.do;
  button.dataset.id = person.id;
  button.textContent = action.label;
  button.setAttribute("aria-label", `${action.label}: ${person.display_name}`);
  return button;
}

const NO_ACTIONS = () => [];

/** Makes `list` show `people`; items of people who stay are kept, so their rings don't blink. */
export function drawStage(list, people, { recorded = true, actions = NO_ACTIONS } = {}) {
  const items = new Map([...list.children].map((item) => [item.dataset.id, item]));
  const drawn = people.map((person) => {
    const item = items.get(person.id) ?? newPerson(person.id);
    fill(item, person, { recorded, actions });
    return item;
  });
  arrange(list, drawn);
}

/** Rings around those whose participant id is in `ids`. */
export function showSpeaking(list, ids) {
  for (const item of list.children) item.classList.toggle("speaking", ids.has(item.dataset.id));
}
