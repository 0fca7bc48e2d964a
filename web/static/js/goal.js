/** What a room collects for: its bar, and the host's way to set it. */
import { call } from "./api.js";

const $ = (selector) => document.querySelector(selector);

export class Goal {
  /** `goal` as the API gives it, or null. */
  constructor(roomId, goal, report) {
    this.path = `/v1/rooms/${roomId}/goal`;
    this.#show(goal);
    $("#goal-set")?.addEventListener("click", () => $("#goal-dialog").showModal());
    $("#goal-cancel")?.addEventListener("click", () => $("#goal-dialog").close());
    $("#goal-dialog form")?.addEventListener("answered", (event) => this.#show(event.detail));
    $("#goal-close")?.addEventListener("click", () => {
      call("DELETE", this.path).then(() => this.#show(null), (problem) => report(problem.message));
    });
  }

  /** Events of goals, and of tips, which say how far it is. */
  apply({ kind, data }) {
    if (kind === "goal.set" || kind === "goal.reached") this.#show(data);
    if (kind === "tip.sent" && data.goal) this.#show(data.goal);
    if (kind === "goal.closed") this.#show(null);
  }

  async read() {
    const { goal } = await call("GET", this.path);
    this.#show(goal);
  }

  #show(goal) {
    $("#goal").hidden = !goal;
    if ($("#goal-close")) $("#goal-close").hidden = !goal;
    if (!goal) return;
    const { title, raised_stars: raised, target_stars: target } = goal;
    $("#goal-title").textContent = title;
    $("#goal-sum").textContent =
      `${raised.toLocaleString("en")} of ${target.toLocaleString("en")} Stars${raised >= target ? ": reached" : ""}`;
    $("#goal-bar").max = target;
    $("#goal-bar").value = Math.min(raised, target);
  }
}
