/**
 * Plays the room's HLS by hls.js (by the browser itself only where hls.js can't run) and knows
 * the room time of what is heard. Recovers by itself: a broken or expired address is asked anew.
 */
import { mediaTimeAt, roomMsAt } from "./room-clock.js";

const LIBRARY = "/static/vendor/hls.light.min.mjs";
const NATIVE = "application/vnd.apple.mpegurl";
const FIRST_RETRY_MS = 700;
const LONGEST_RETRY_MS = 8000;
const MEDIA_RECOVERIES = 3;
const NEAR_S = 0.5;
const LAST_S = 0.1;
const UNPLAYABLE = new Set(["bufferAddCodecError", "bufferIncompatibleCodecsError"]);

async function library() {
  const { default: Hls } = await import(LIBRARY);
  return Hls;
}

/**
 * `source` resolves with the playlist's URL. Fires `waiting` (with `reason`), `ready` (playlist
 * known) and, on every progress of the audio, `time`.
 */
export class RoomPlayer extends EventTarget {
  constructor(audio, liveAtMs) {
    super();
    this.audio = audio;
    this.liveAtMs = liveAtMs;
    this.hls = null;
    this.failures = 0;
    this.recoveries = 0;
    this.opening = 0;
    this.wish = null;
    this.wanted = false;
    audio.addEventListener("timeupdate", () => this.dispatchEvent(new Event("time")));
    audio.addEventListener("canplay", () => this.#grant());
  }

  /** `startMs` is room time; without it a live playlist starts at its edge, others at 0. */
  async open(source, { startMs = null, fromBeginning = false } = {}) {
    this.close();
    const opening = this.opening;
    this.source = source;
    this.wish = startMs;
    this.known = false;
    this.fromBeginning = fromBeginning;
    try {
      const [Hls, url] = await Promise.all([library(), source()]);
      if (opening !== this.opening) return;
      if (Hls.isSupported()) this.#openHls(Hls, url);
      else if (this.audio.canPlayType(NATIVE)) this.#openNative(url);
      else this.#wait("This browser can't play HLS audio.");
    } catch (error) {
      if (opening === this.opening) this.#retry(error.message);
    }
  }

  /** Goes on by itself after every interruption, until `pause`. */
  play() {
    this.wanted = true;
    this.audio.play().catch(() => {});
  }

  pause() {
    this.wanted = false;
    this.audio.pause();
  }

  close() {
    this.opening += 1;
    clearTimeout(this.timer);
    this.hls?.destroy();
    this.hls = null;
  }

  /** The room time of what is heard, in ms; null until it is known. */
  get roomMs() {
    if (this.wish !== null) return this.wish;
    // Not hls.playingDate: at 0:00 it still names the moment before the jump there.
    if (this.hls) return roomMsAt(this.#fragments, this.liveAtMs, this.audio.currentTime);
    const start = this.audio.getStartDate?.().getTime();
    return start ? start + this.audio.currentTime * 1000 - this.liveAtMs : null;
  }

  /** Moves to a room time; a wish until the playlist is known and the first sound is there. */
  seek(roomMs) {
    const time = this.#mediaTime(roomMs);
    const early = time === null || this.audio.readyState === HTMLMediaElement.HAVE_NOTHING;
    this.wish = early ? roomMs : null;
    if (!early) this.audio.currentTime = time;
    this.dispatchEvent(new Event("time"));
  }

  /** The first sound is there: a wish that came after the start is not where it is yet. */
  #grant() {
    const time = this.wish === null ? null : this.#mediaTime(this.wish);
    this.wish = null;
    if (time !== null && Math.abs(this.audio.currentTime - time) > NEAR_S) this.audio.currentTime = time;
  }

  get #fragments() {
    const levels = this.hls?.levels ?? [];
    const level = levels[Math.max(0, this.hls?.currentLevel ?? 0)] ?? levels[0];
    return level?.details?.fragments ?? [];
  }

  #mediaTime(roomMs) {
    if (this.hls) return this.#beforeEnd(mediaTimeAt(this.#fragments, this.liveAtMs, roomMs));
    const start = this.audio.getStartDate?.().getTime();
    return start ? Math.max(0, (this.liveAtMs + roomMs - start) / 1000) : null;
  }

  /** Past the last sound nothing would ever load: a speaker may have left long before the end. */
  #beforeEnd(time) {
    const last = this.#fragments.at(-1);
    return last && time !== null ? Math.max(0, Math.min(time, last.start + last.duration - LAST_S)) : time;
  }

  #openHls(Hls, url) {
    const hls = new Hls({
      enableWorker: false, // fragmented MP4 passes through; no blob: worker for the policy to allow
      autoStartLoad: false, // once the playlist says where: starting twice may load nothing at all
      liveSyncDurationCount: 2,
      backBufferLength: 60,
    });
    this.hls = hls;
    hls.on(Hls.Events.LEVEL_LOADED, () => this.#onPlaylist());
    hls.on(Hls.Events.ERROR, (_, data) => data.fatal && this.#onFatal(Hls, data));
    hls.loadSource(url);
    hls.attachMedia(this.audio);
    if (this.wanted) this.play();
  }

  #openNative(url) {
    this.audio.src = url;
    if (this.wanted) this.play();
    this.audio.addEventListener("loadedmetadata", () => this.#onPlaylist(), { once: true });
  }

  #onPlaylist() {
    this.failures = 0;
    if (this.known) return;
    this.known = true;
    const start = this.wish === null ? null : this.#mediaTime(this.wish);
    this.hls?.startLoad(start ?? (this.fromBeginning ? 0 : -1));
    if (!this.hls && start !== null) this.audio.currentTime = start;
    this.dispatchEvent(new Event("ready"));
  }

  #onFatal(Hls, data) {
    if (UNPLAYABLE.has(data.details)) {
      this.close();
      this.#wait("This browser can't play this kind of sound.");
      return;
    }
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && this.recoveries < MEDIA_RECOVERIES) {
      this.recoveries += 1;
      this.hls.recoverMediaError();
      return;
    }
    this.#retry("The sound is on its way…");
  }

  #retry(reason) {
    const at = this.roomMs;
    const again = { startMs: this.fromBeginning ? at : this.wish, fromBeginning: this.fromBeginning };
    this.close();
    this.#wait(reason);
    const delay = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 1.6 ** this.failures);
    this.failures += 1;
    this.timer = setTimeout(() => this.open(this.source, again), delay);
  }

  #wait(reason) {
    this.dispatchEvent(new CustomEvent("waiting", { detail: { reason } }));
  }
}
