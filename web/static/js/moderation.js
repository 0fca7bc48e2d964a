/** What hosts and co-hosts do: the record, the hands, the people, the end. */
import { call } from "./api.js";
import { arrange, keepFocus, Kept } from "./arrange.js";
import { sure } from "./dialogs.js";
import { Listeners, offers } from "./listeners.js";
import { actionButton } from "./stage-view.js";

const HINTS = {
  on: "Everything said on stage is kept.",
  paused: "Nothing is kept now. The replay shows that something was left out.",
  off: "Nothing is kept.",
  stopped: "The recording was stopped for good: nothing more is kept.",
};

export class Moderation {
  constructor(roomId, me, report) {
    this.path = `/v1/rooms/${roomId}`;
    this.me = me;
    this.report = report;
    this.card = document.querySelector("#moderation");
    this.audience = document.querySelector("#audience-card");
    this.hands = new Kept();
    this.listeners = new Listeners(this.path, report);
    for (const place of ["#moderation", "#stage", "#hands", "#audience-card"]) {
      document.querySelector(place).addEventListener("click", (event) => this.#onClick(event));
    }
  }

  render(stage, room) {
    this.stage = stage;
    this.isHost = room.host_id === this.me.user_id;
    const own = stage.byUser(this.me.user_id);
    const may = this.isHost || this.me.admin || (own?.present && own.role === "cohost");
    this.moderates = may && stage.state !== "ended";
    this.card.hidden = !this.moderates;
    this.audience.hidden = !this.moderates || stage.state !== "live";
    this.listeners.render(stage, this.me.user_id);
    this.#showButtons();
  }

  /** The buttons under a face. */
  actionsFor(person) {
    if (!this.moderates || person.role === "host" || person.user_id === this.me.user_id) return [];
    if (person.role === "cohost" && !this.isHost && !this.me.admin) return [];
    const actions = person.muted ? [] : [{ do: "silence", label: "Mute" }];
    if (this.isHost && person.role === "speaker") actions.push({ do: "promote", label: "Make co-host" });
    if (person.role === "cohost") actions.push({ do: "step-back", label: "No longer co-host" });
    actions.push({ do: "demote", label: "To the audience" });
    actions.push({ do: "remove", label: "Remove", className: "danger" });
    return actions;
  }

  drawHands(list) {
    const rows = this.stage.hands.map((person) => {
      const facts = [person.display_name, person.role, person.invited_role, this.moderates].join();
      return [person.id, facts, () => this.#hand(person)];
    });
    arrange(list, this.hands.of(rows));
  }

  #hand(person) {
    const row = document.createElement("li");
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = person.display_name;
    row.append(name);
    const actions = this.moderates ? offers(person) : [];
    if (person.invited_role && !actions.length) row.append("invited");
    row.append(...actions.map((action) => actionButton(action, person)));
    return row;
  }

  #showButtons() {
    const { state, recording, stopped } = this.stage;
    const live = state === "live";
    const runs = this.isHost || this.me.admin;
    const shown = {
      "go-live": state === "scheduled" && this.isHost,
      record: live && recording === "off" && !stopped,
      pause: live && recording === "on",
      resume: live && recording === "paused",
      stop: live && recording !== "off" && runs,
      end: live && runs,
    };
    keepFocus(this.card, () => {
      for (const [name, visible] of Object.entries(shown)) {
        this.card.querySelector(`[data-do="${name}"]`).hidden = !visible;
      }
    });
    document.querySelector("#record-hint").textContent = live ? HINTS[stopped ? "stopped" : recording] : "";
  }

  #actions(id) {
    const { path } = this;
    const person = this.stage.people.get(id);
    const at = `${path}/participants/${id}`;
    const record = (state) => () => call("PUT", `${path}/recording`, { state });
    return {
      "go-live": () => call("POST", `${path}/live`),
      record: record("on"),
      pause: record("paused"),
      resume: record("on"),
      stop: () => this.#stop(record("off")),
      end: () => this.#end(),
      invite: () => call("POST", `${path}/invitations`, { user_id: person.user_id, role: "speaker" }),
      "take-back": () => call("DELETE", `${path}/invitations/${id}`),
      silence: () => call("PATCH", at, { muted: true }),
      promote: () => call("PATCH", at, { role: "cohost" }),
      "step-back": () => call("PATCH", at, { role: "speaker" }),
      demote: () => call("PATCH", at, { role: "listener" }),
      remove: () => this.#remove(person, at),
    };
  }

  async #stop(stop) {
    const text = "What was said until now stays in the replay. Recording can’t be started again in this room.";
    if (await sure(text, "Stop recording for good")) await stop();
  }

  async #end() {
    const text = "Everybody leaves the stage, and the replay opens at once. A room that has ended stays ended.";
    if (await sure(text, "End the room")) await call("POST", `${this.path}/end`);
  }

  async #remove(person, at) {
    const text = `${person.display_name} leaves the room and can’t come back.`;
    if (await sure(text, "Remove")) await call("DELETE", at);
  }

  async #onClick(event) {
    const button = event.target.closest("[data-do]");
    const action = button && this.#actions(button.dataset.id)[button.dataset.do];
    if (!action) return;
    if (button.ariaBusy) return; // not disabled: that would take the focus away
    button.ariaBusy = "true";
    this.report("");
    try {
      await action();
    } catch (problem) {
      this.report(problem.message);
    } finally {
      button.ariaBusy = null;
    }
  }
}
