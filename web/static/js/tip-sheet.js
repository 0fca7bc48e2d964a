/**
 * The sheet to tip with. What is written in it outlives the page: whoever has too few Stars buys
 * some and finds it as it was. Once it is sent its key and words stay as they are until it is
 * known what became of it, so that no second try can be a second tip.
 *
 * Fires `sent` with the tip.
 */
import { call } from "./api.js";
import { forget, keep, kept } from "./kept.js";
import { clockText } from "./room-clock.js";
import { starsText } from "./tip-view.js";
import { Unpaid } from "./unpaid.js";

const AGAIN_MS = [1000, 2000, 4000, 8000];
/** Players land a little before what they were sent to. */
const LANDING_MS = 30;
const UNSURE = "It is not known yet whether it arrived. It is tried again, and counts once.";
const $ = (selector) => document.querySelector(selector);

export class TipSheet extends EventTarget {
  /** `data` is the page's; `heardMs` tells the room time of what is heard, null where it is now. */
  constructor({ room, me, tips }, heardMs) {
    super();
    Object.assign(this, { room, me, tiers: tips.tiers, heardMs });
    this.unpaid = new Unpaid(tips);
    this.memory = `tip.${room.id}.${me.user_id}`; // a browser may have several owners
    this.dialog = $("#tip");
    this.stars = $("#tip-stars");
    this.message = $("#tip-message");
    this.stars.max = tips.most_stars;
    this.balance = null;
    this.frozen = false;
    this.sending = false;
    this.#wire();
  }

  #wire() {
    this.offer();
    $("#tip-open").addEventListener("click", () => this.open());
    $("#tip-cancel").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.draft?.sent || forget(this.memory));
    $("#tip-form").addEventListener("input", (event) => this.#onInput(event.target));
    $("#tip-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    addEventListener("online", () => this.#goOn());
  }

  /** Offered only where somebody would be paid for what is heard. */
  offer() {
    const nobody = this.unpaid.at(this.heardMs() ?? Infinity);
    $("#tip-open").hidden = nobody || this.me.signedOut;
    $("#tip-nobody").hidden = !nobody || this.me.signedOut;
  }

  /** Takes one durable event of a live room. */
  apply(event) {
    this.unpaid.apply(event, this.me.user_id);
    this.offer();
  }

  /** After a reload: what was on its way goes on; who comes from buying finds the sheet open. */
  resume() {
    const url = new URL(location.href);
    if (url.searchParams.has("tip")) {
      url.searchParams.delete("tip");
      history.replaceState(null, "", url);
      this.open(kept(this.memory));
    }
    this.#goOn();
  }

  /** `draft` as it was; one that is on its way comes first, whoever opens the sheet. */
  open(draft = null) {
    const under = kept(this.memory);
    this.#fill(under?.sent ? under : (draft ?? this.#fresh()));
    $("#tip-problem").textContent = this.draft.sent ? UNSURE : "";
    this.dialog.showModal();
    document.querySelector("[name=amount]:checked")?.focus();
    this.#readBalance();
  }

  #fresh() {
    const heard = this.heardMs();
    const draft = { client_key: crypto.randomUUID(), stars: 100, message: "", anonymous: false };
    if (heard === null) return draft;
    const at = heard + LANDING_MS;
    return { ...draft, heard_at: new Date(Date.parse(this.room.live_at) + at).toISOString(), at };
  }

  #fill(draft) {
    this.draft = draft;
    this.stars.value = draft.stars;
    this.message.value = draft.message;
    $("#tip-anonymous").checked = draft.anonymous;
    $("#tip-where").textContent = draft.at === undefined
      ? "For what is said now."
      : `For what you hear at ${clockText(draft.at)}.`;
    this.#show();
  }

  #onInput(field) {
    if (field.name === "amount") this.stars.value = field.value;
    Object.assign(this.draft, {
      stars: Number(this.stars.value),
      message: this.message.value,
      anonymous: $("#tip-anonymous").checked,
    });
    keep(this.memory, this.draft);
    $("#tip-problem").textContent = "";
    this.#show();
  }

  #tier(stars) {
    return this.tiers.findLast((tier) => tier.from_stars <= stars) ?? this.tiers[0];
  }

  get #tooLong() {
    return [...this.draft.message.trim()].length > this.#tier(this.draft.stars).message_chars;
  }

  get #short() {
    return this.balance !== null && this.draft.stars > this.balance;
  }

  #show() {
    const { stars, sent } = this.draft;
    for (const radio of document.querySelectorAll("[name=amount]")) radio.checked = Number(radio.value) === stars;
    for (const field of $("#tip-form").elements) if (field.type !== "button") field.disabled = Boolean(sent);
    $("#tip-room").textContent = this.#roomText();
    this.message.setAttribute("aria-invalid", String(this.#tooLong));
    const send = $("#tip-send");
    send.disabled = this.sending || (this.frozen && !sent) || (!this.#short && (this.#tooLong || !(stars >= 1)));
    send.textContent = this.#sendText();
    this.dialog.style.setProperty("--tier", this.#tier(stars).color);
  }

  #sendText() {
    if (this.draft.sent) return this.sending ? "Sending…" : "Try again";
    return this.#short ? "Buy Stars" : `Tip ${starsText(this.draft.stars || 0)}`;
  }

  /** How long it may be, and with how many Stars it might be longer. */
  #roomText() {
    const used = [...this.draft.message.trim()].length;
    const { message_chars: room } = this.#tier(this.draft.stars);
    const next = this.tiers.find((tier) => tier.message_chars >= Math.max(used, room + 1));
    const more = next ? `; ${next.message_chars} with ${starsText(next.from_stars)}` : "";
    return `${used} of ${room} characters${more}`;
  }

  async #readBalance() {
    const wallet = await call("GET", "/v1/wallet").catch(() => null);
    if (!wallet) return;
    this.balance = wallet.frozen ? null : wallet.stars;
    this.frozen = wallet.frozen;
    $("#tip-balance").textContent = wallet.frozen
      ? "Your Stars are frozen while a bank looks into a payment."
      : `You have ${starsText(wallet.stars)}.`;
    this.#show();
  }

  #submit() {
    if (this.sending) return;
    keep(this.memory, this.draft);
    if (this.#short && !this.draft.sent) return this.#buy();
    this.draft.sent = true;
    keep(this.memory, this.draft);
    this.#send(0);
  }

  /** Back with the sheet open, on a replay at this very second. */
  #buy() {
    const back = new URL(location.href);
    back.searchParams.set("tip", "1");
    if (this.room.state === "ended") back.hash = `t=${Math.round(this.draft.at)}`;
    const next = encodeURIComponent(back.pathname + back.search + back.hash);
    location.assign(`/stars?next=${next}`);
  }

  #goOn() {
    const draft = kept(this.memory);
    if (!draft?.sent || this.sending) return;
    this.#fill(draft);
    this.#send(0);
  }

  async #send(tries) {
    const { client_key, stars, message, anonymous, heard_at } = this.draft;
    this.sending = true;
    this.#show();
    try {
      this.#done(await call("POST", `/v1/rooms/${this.room.id}/tips`, { client_key, stars, message, anonymous, heard_at }));
    } catch (problem) {
      if (problem.passing) this.#later(tries);
      else this.#refused(problem);
    }
  }

  #done(tip) {
    this.sending = false;
    this.draft = null;
    forget(this.memory);
    this.dialog.close();
    this.dispatchEvent(new CustomEvent("sent", { detail: tip }));
  }

  #later(tries) {
    $("#tip-problem").textContent = UNSURE;
    if (AGAIN_MS[tries]) {
      setTimeout(() => this.#send(tries + 1), AGAIN_MS[tries]);
      return;
    }
    this.sending = false; // again by its button, when the browser is online, or the page is loaded
    this.#show();
  }

  /** Nothing was booked: it may be changed and sent again. */
  #refused(problem) {
    this.sending = false;
    delete this.draft.sent;
    keep(this.memory, this.draft);
    if (problem.code === "stars_missing") this.balance = problem.body.available ?? 0;
    if (!this.dialog.open) this.open(this.draft);
    $("#tip-problem").textContent = problem.message;
    this.#show();
  }
}
