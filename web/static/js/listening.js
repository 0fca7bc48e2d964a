/** The card that plays the live room: at the edge, or from its beginning. */
import { call } from "./api.js";
import { Captions } from "./captions.js";
import { RoomPlayer } from "./player.js";
import { clockText } from "./room-clock.js";

const SILENT = {
  paused: "Off the record: the sound goes on when they resume.",
  off: "Not recorded: the sound begins when they record.",
  stopped: "The recording was stopped: no more sound comes.",
};

/** `serverNowMs` is the server's clock as the page was made: the reader's own may be wrong. */
export class Listening {
  constructor(roomId, liveAtMs, serverNowMs) {
    this.roomId = roomId;
    this.liveAtMs = liveAtMs;
    this.skewMs = serverNowMs - Date.now();
    this.silent = null;
    this.over = false;
    this.card = document.querySelector("#player");
    this.audio = document.querySelector("#audio");
    this.line = document.querySelector("#listening");
    this.position = document.querySelector("#position"); // apart: it changes too often to be read out
    this.live = document.querySelector("#listen");
    this.start = document.querySelector("#from-start");
    this.mode = null;
    this.player = new RoomPlayer(this.audio, liveAtMs);
    this.captions = new Captions(roomId, () => this.heardMs);
    this.#wire();
  }

  #wire() {
    this.live.addEventListener("click", () => this.#toggle("live"));
    this.start.addEventListener("click", () => this.#toggle("start"));
    document.querySelector("#volume").addEventListener("input", (event) => {
      this.audio.volume = Number(event.target.value);
    });
    this.player.addEventListener("time", () => {
      this.#showPosition();
      this.captions.show();
    });
    this.player.addEventListener("waiting", (event) => this.#say(event.detail.reason));
    this.audio.addEventListener("waiting", () => this.#say(this.silent ?? "Waiting for sound…"));
    this.audio.addEventListener("ended", () => this.#stop("That was all of it."));
  }

  /** Called with every change of the room. */
  render(stage) {
    if (this.over) return;
    this.silent = SILENT[stage.stopped ? "stopped" : stage.recording] ?? null;
    if (this.mode === "live" && this.silent) this.#say(this.silent);
  }

  /** The room is over: what somebody hears plays on, the edge is gone. */
  close() {
    this.over = true;
    this.silent = null;
    if (this.mode === "live" && this.audio.paused) this.#stop("");
    this.card.hidden = !this.playing;
    this.live.classList.remove("primary"); // the replay is, now
    this.#showButtons();
  }

  /** The room time of what is heard; null while nothing is. */
  get heardMs() {
    return this.mode === null ? null : this.player.roomMs;
  }

  get playing() {
    return this.mode !== null;
  }

  #toggle(mode) {
    if (this.mode === mode) {
      this.#stop("Stopped.");
      return;
    }
    this.mode = mode;
    this.#showButtons();
    this.#say("Connecting…");
    this.player.open(() => this.#address(mode), { fromBeginning: mode === "start" });
    this.player.play();
  }

  async #address(mode) {
    const urls = await call("GET", `/v1/rooms/${this.roomId}/listen`);
    return mode === "live" ? urls.live_url : urls.from_start_url;
  }

  #stop(words) {
    this.mode = null;
    this.player.pause();
    this.player.close();
    this.#showButtons();
    this.#say(words);
  }

  #showButtons() {
    this.live.hidden = this.over && this.mode !== "live";
    this.live.textContent = this.mode === "live" ? "Stop" : this.mode ? "Back to live" : "Listen live";
    this.start.textContent = this.mode === "start" ? "Stop" : "From the beginning";
  }

  #showPosition() {
    const at = this.player.roomMs;
    if (this.mode === null || at === null) return;
    // The last progress may be told after the sound ran out.
    if (this.audio.readyState < HTMLMediaElement.HAVE_FUTURE_DATA) return;
    const behindMs = Date.now() + this.skewMs - this.liveAtMs - at;
    this.#say("Playing");
    const behind = this.over ? "" : ` · ${clockText(behindMs)} behind live`;
    this.position.textContent = clockText(at) + behind;
  }

  #say(words) {
    if (this.line.textContent === words) return;
    this.line.textContent = words;
    this.position.textContent = "";
  }
}
