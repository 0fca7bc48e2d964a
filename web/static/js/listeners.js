/** Who listens with an account: read when a moderator opens the list, kept by the room's events. */
import { call } from "./api.js";
import { arrange, Kept } from "./arrange.js";
import { actionButton } from "./stage-view.js";

const PAGE = 200;
const SHOWN = 200;
const REMOVE = { do: "remove", label: "Remove", className: "danger" };

/** What a moderator may offer to somebody who is not on the stage. */
export function offers(person) {
  if (person.invited_role) return [{ do: "take-back", label: "Take the invitation back" }];
  return [{ do: "invite", label: "Invite" }];
}

function row(person) {
  const item = document.createElement("li");
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = person.display_name;
  const buttons = document.createElement("span");
  buttons.className = "row";
  buttons.append(...[...offers(person), REMOVE].map((action) => actionButton(action, person)));
  item.append(name, buttons);
  return item;
}

export class Listeners {
  constructor(path, report) {
    this.path = `${path}/participants`;
    this.report = report;
    this.known = false;
    this.rows = new Kept();
    this.details = document.querySelector("#listeners");
    this.details.addEventListener("toggle", () => this.#open());
  }

  render(stage, ownId) {
    this.stage = stage;
    this.ownId = ownId;
    if (this.known && this.details.open) this.#draw();
  }

  async #open() {
    if (this.details.open && !this.known) {
      await this.#read().catch((problem) => this.report(problem.message));
    }
    if (this.known) this.#draw();
  }

  /** One page is asked at a time, and all who ever came are in it: a full room takes some. */
  async #read() {
    let after = "";
    do {
      const page = await call("GET", `${this.path}?role=listener&limit=${PAGE}${after}`);
      this.stage.meet(page.items);
      after = page.next ? `&after=${page.next}` : "";
    } while (after && this.stage.listeners.length < SHOWN);
    this.known = true;
  }

  #draw() {
    const people = this.stage.listeners.filter((person) => person.user_id !== this.ownId);
    const more = people.length - SHOWN;
    const line = more > 0 ? `The first ${SHOWN} are shown.` : people.length ? "" : "Nobody yet.";
    const rows = people.slice(0, SHOWN).map((person) => {
      const facts = [person.display_name, person.role, person.invited_role].join();
      return [person.id, facts, () => row(person)];
    });
    arrange(document.querySelector("#listener-list"), this.rows.of(rows));
    document.querySelector("#no-listeners").textContent = line;
  }
}
