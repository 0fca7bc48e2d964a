/** What the signed-in person does: join, raise a hand, agree, speak, mute, leave. */
import { call } from "./api.js";
import { keepFocus } from "./arrange.js";
import { ask, sure } from "./dialogs.js";
import { explain, LevelMeter, listMicrophones, openMicrophone } from "./microphone.js";
import { Publisher, State } from "./whip.js";

const WORDS = {
  [State.CONNECTING]: "Connecting your microphone…",
  [State.LIVE]: "You are live. If you listen here too, use headphones.",
  [State.RECONNECTING]: "The connection broke. Connecting again…",
  [State.STOPPED]: "Your microphone is off.",
};
const MUTED = "Muted: nobody hears you.";
const UNHEARD = {
  paused: "Off the record: nothing is kept, and listeners hear nothing.",
  off: "Not recorded: nothing is kept, and listeners hear nothing.",
};
/** What somebody agrees to by coming on stage. */
function shareText(bps) {
  if (!bps) return "Tips go to the host.";
  return `Of its tips the speakers on stage share ${bps / 100} %, the host has the rest.`;
}

const ON_STAGE = new Set(["host", "cohost", "speaker"]);

/** `report` shows a refusal to the person. */
export class You {
  constructor(roomId, me, report) {
    this.path = `/v1/rooms/${roomId}`;
    this.memory = `speaking:${roomId}`;
    this.me = me;
    this.report = report;
    this.card = document.querySelector("#you");
    this.level = document.querySelector("#level");
    this.device = document.querySelector("#device");
    this.consent = document.querySelector("#consent");
    this.track = null;
    this.publisher = null;
    this.publishing = { state: State.IDLE, reason: "" };
    this.#wire();
  }

  #wire() {
    const actions = {
      join: () => call("POST", `${this.path}/join`),
      accept: () => call("POST", `${this.path}/invitations/accept`),
      decline: () => call("POST", `${this.path}/invitations/decline`),
      speak: () => this.#speak(),
      mute: () => this.#mute(),
      raise: () => call("PUT", `${this.path}/hand`, { raised: !this.person.hand_raised }),
      hush: () => this.hush(),
      leave: () => this.#leave(),
      withdraw: () => this.#withdraw(),
    };
    this.card.addEventListener("click", (event) => {
      const action = actions[event.target.closest("[data-do]")?.dataset.do];
      if (action) this.#run(action, event.target);
    });
    this.device.addEventListener("change", () => this.#run(() => this.#changeDevice(), this.device));
    this.agree = document.querySelector("#agree");
    this.agree.addEventListener("change", () => this.#showAgreed());
    addEventListener("pagehide", () => this.publisher?.stop());
  }

  async #run(action, control) {
    if (control.ariaBusy) return; // not disabled: that would take the focus away
    control.ariaBusy = "true";
    this.report("");
    try {
      await action();
    } catch (error) {
      this.report(error instanceof DOMException ? explain(error) : error.message);
    } finally {
      control.ariaBusy = null;
    }
  }

  /** Called with every change of the room. */
  render(stage) {
    this.stage = stage;
    this.person = stage.byUser(this.me.user_id);
    if (this.track) this.track.enabled = !this.person?.muted;
    if (this.publisher && !this.#mayPublish()) this.hush();
    this.#showButtons();
    this.#showStanding();
    this.#showPublishing();
  }

  /** After a reload in the middle: whoever was speaking goes on. */
  resume() {
    if (sessionStorage.getItem(this.memory) && this.#mayPublish() && this.person.consented) {
      this.#run(() => this.#publish(), this.device);
    }
  }

  /** Another worker receives the room now. */
  reconnect() {
    this.publisher?.reconnect();
  }

  hush() {
    sessionStorage.removeItem(this.memory);
    this.publisher?.stop({ over: this.stage.state === "ended" });
    this.meter?.stop();
    this.track?.stop();
    this.publisher = this.meter = this.track = null;
    this.#showLevel(0);
    this.#showButtons();
  }

  get #onStage() {
    return Boolean(this.person?.present && ON_STAGE.has(this.person.role));
  }

  #mayPublish() {
    return this.stage.state === "live" && this.#onStage;
  }

  #showButtons() {
    const { person, stage } = this;
    const live = stage.state === "live" && !this.me.removed;
    const present = live && Boolean(person?.present);
    const invited = Boolean(person?.invited_role) && stage.state !== "ended" && !this.me.removed;
    const shown = {
      join: live && !person?.present,
      accept: invited,
      decline: invited,
      speak: live && this.#onStage && !this.publisher,
      mute: live && this.#onStage && Boolean(this.publisher),
      hush: Boolean(this.publisher),
      raise: present && !this.#onStage && !person.invited_role,
      leave: present,
      withdraw: Boolean(person?.consented) && stage.state !== "ended" && !this.me.removed,
    };
    keepFocus(this.card, () => {
      for (const [name, visible] of Object.entries(shown)) this.#button(name).hidden = !visible;
    });
    document.querySelector("#microphone").hidden = !this.publisher;
    document.querySelector("#others").hidden = !(live && this.#onStage);
    // One primary button: whoever is on the stage came to speak.
    const listens = stage.state === "live" && !this.#onStage;
    document.querySelector("#listen")?.classList.toggle("primary", listens);
    this.#press("mute", person?.muted, "Unmute", "Mute");
    this.#press("raise", person?.hand_raised, "Lower hand", "Raise hand");
    this.#button("leave").textContent = this.#onStage && person.role === "speaker" ? "Leave the stage" : "Leave";
  }

  #button(name) {
    return this.card.querySelector(`[data-do="${name}"]`);
  }

  #press(name, on, whenOn, whenOff) {
    const button = this.#button(name);
    button.setAttribute("aria-pressed", String(Boolean(on)));
    button.textContent = on ? whenOn : whenOff;
  }

  #showStanding() {
    const line = document.querySelector("#standing");
    const words = this.#standing();
    if (line.textContent !== words) line.textContent = words;
  }

  #standing() {
    if (this.me.removed) return "The host removed you from this room. You can still listen.";
    if (this.stage.state === "scheduled") return "The room is not live yet.";
    if (this.stage.state === "ended") return "The room is over.";
    if (this.person?.invited_role) return `You are invited to the stage. ${shareText(this.person.share_bps)}`;
    if (this.#onStage) return this.publisher ? "You are on the stage." : "You are on the stage. Nobody hears you yet.";
    if (!this.person?.present) return "You are not in the room yet. Join to raise your hand.";
    return this.person.hand_raised ? "Your hand is up: the host sees it." : "You are in the audience.";
  }

  #showAgreed() {
    document.querySelector("#consent-agree").disabled = !this.agree.checked;
  }

  async #speak() {
    if (!this.person.consented) {
      this.agree.checked = false; // an earlier consent was withdrawn: it is given anew
      this.#showAgreed();
      if ((await ask(this.consent)) !== "agree") return;
      await call("PUT", `${this.path}/consent`, { consent: true });
    }
    await this.#publish();
  }

  async #publish() {
    this.track = await openMicrophone(this.device.value);
    this.track.enabled = !this.person.muted;
    this.#watch(this.track);
    await listMicrophones(this.device);
    this.publisher = new Publisher(this.track, () => call("POST", `${this.path}/publish`));
    this.publisher.addEventListener("state", (event) => this.#onPublishing(event.detail));
    sessionStorage.setItem(this.memory, "1");
    this.render(this.stage);
    await this.publisher.start();
  }

  #watch(track) {
    this.meter?.stop();
    this.meter = new LevelMeter(track, (level) => this.#showLevel(level));
    track.addEventListener("ended", () => {
      if (this.track === track) this.report("The microphone is gone. Choose another one.");
    });
  }

  async #changeDevice() {
    if (!this.publisher) return;
    const track = await openMicrophone(this.device.value);
    track.enabled = this.track.enabled;
    await this.publisher.replaceTrack(track);
    this.track.stop();
    this.track = track;
    this.#watch(track);
  }

  async #mute() {
    const muted = !this.person.muted;
    if (muted && this.track) this.track.enabled = false;
    await call("PATCH", `${this.path}/participants/${this.person.id}`, { muted });
  }

  async #leave() {
    const listensOn = this.#onStage && this.person.role === "speaker";
    this.hush();
    await call("POST", `${this.path}/leave`);
    if (listensOn) await call("POST", `${this.path}/join`);
  }

  async #withdraw() {
    const text =
      "Nothing you say from now on is kept, and listeners no longer hear you. " +
      "What was recorded until now stays. You can agree again at any time.";
    if (!(await sure(text, "Withdraw consent"))) return;
    await call("PUT", `${this.path}/consent`, { consent: false });
    this.hush();
  }

  #showLevel(level) {
    this.level.style.setProperty("--level", level.toFixed(2));
  }

  #onPublishing(publishing) {
    this.publishing = publishing;
    this.#showPublishing();
    if (publishing.state === State.REFUSED) this.report(publishing.reason);
  }

  #showPublishing() {
    const line = document.querySelector("#publishing");
    const words = this.#publishingWords();
    if (line.textContent !== words) line.textContent = words; // else it would be read out again
    line.dataset.state = this.publishing.state;
  }

  /** Who is connected may still be heard by nobody: that comes first. */
  #publishingWords() {
    const { state, reason } = this.publishing;
    if (reason || state !== State.LIVE) return reason || WORDS[state] || "";
    if (this.person?.muted) return MUTED;
    return UNHEARD[this.stage.recording] ?? WORDS[state];
  }
}
