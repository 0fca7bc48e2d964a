/**
 * Publishes one microphone track by WHIP (RFC 9725) and keeps it published.
 *
 * The receiver is ICE-lite: it needs none of our candidates, so the offer leaves at once and
 * nothing trickles. When the connection breaks, or the receiver forgot us, a new session
 * replaces it: the server files both under the same participant.
 */

const FIRST_DELAY_MS = 300;
const LONGEST_DELAY_MS = 8000;
const GRACE_MS = 2500;
const REQUEST_TIMEOUT_MS = 8000;

export const State = Object.freeze({
  IDLE: "idle",
  CONNECTING: "connecting",
  LIVE: "live",
  RECONNECTING: "reconnecting",
  REFUSED: "refused",
  STOPPED: "stopped",
});

const OVER = new Set([State.IDLE, State.REFUSED, State.STOPPED]);

/** The delay before attempt `n` (from 0), with jitter so that a whole stage doesn't return at once. */
export function backoffMs(n, random = Math.random) {
  const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** n);
  return ceiling * (0.5 + random() / 2);
}

/** An HTTP answer of the WHIP endpoint other than 201. */
class WhipError extends Error {
  constructor(status, retryAfterMs) {
    super(`The receiver answered ${status}.`);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

function onlyOpus(transceiver) {
  const capabilities = RTCRtpSender.getCapabilities?.("audio");
  const opus = capabilities?.codecs.filter((c) => c.mimeType.toLowerCase() === "audio/opus");
  if (opus?.length) transceiver.setCodecPreferences?.(opus);
}

/** One WHIP session: a peer connection and the resource that stands for it. */
class Session {
  constructor(track) {
    this.peer = new RTCPeerConnection();
    const transceiver = this.peer.addTransceiver(track, {
      direction: "sendonly",
      streams: [new MediaStream([track])],
    });
    onlyOpus(transceiver);
    this.sender = transceiver.sender;
    this.resource = null;
  }

  async open({ whip_url: url, token, ice_servers: iceServers }) {
    this.token = token;
    if (iceServers?.length) this.peer.setConfiguration({ iceServers });
    await this.peer.setLocalDescription();
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
      body: this.peer.localDescription.sdp,
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    if (response.status !== 201) {
      const seconds = Number(response.headers.get("Retry-After")) || 0;
      throw new WhipError(response.status, seconds * 1000);
    }
    this.resource = new URL(response.headers.get("Location"), response.url).href;
    await this.peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  }

  /**
   * Leaves without waiting: `keepalive` lets the DELETE outlive the page. `forgotten`: the
   * receiver has closed the session by itself, there is nothing left to delete.
   */
  close({ forgotten = false } = {}) {
    this.peer.onconnectionstatechange = null;
    this.peer.close();
    if (!this.resource || forgotten) return;
    const headers = { Authorization: `Bearer ${this.token}` };
    fetch(this.resource, { method: "DELETE", headers, keepalive: true }).catch(() => {});
    this.resource = null;
  }
}

/**
 * `authorize` asks the API for `{whip_url, token, ice_servers}` and may reject with a Problem; a Problem that
 * is not `passing` ends the attempts. Fires `state` events with `{state, reason}` in `detail`.
 */
export class Publisher extends EventTarget {
  constructor(track, authorize) {
    super();
    this.track = track;
    this.authorize = authorize;
    this.state = State.IDLE;
    this.session = null;
    this.attempt = 0;
    this.timer = null;
  }

  start() {
    this.#show(State.CONNECTING);
    return this.#connect();
  }

  /** Another microphone, without a new session. */
  async replaceTrack(track) {
    this.track = track;
    await this.session?.sender.replaceTrack(track);
  }

  /**
   * A new ticket and a new session, now: the old one's receiver has nothing to do with it any
   * more. Also in the middle of a longer wait, which was for that one.
   */
  reconnect() {
    if (OVER.has(this.state)) return;
    this.attempt = 0;
    this.#retry(0);
  }

  /** `over`: the room has ended, and the receiver has closed all its sessions. */
  stop({ over = false } = {}) {
    this.#drop({ forgotten: over });
    this.#show(State.STOPPED);
  }

  async #connect() {
    const session = new Session(this.track);
    this.session = session;
    try {
      const grant = await this.authorize();
      if (this.session !== session) return;
      session.peer.onconnectionstatechange = () => this.#onConnection(session);
      await session.open(grant);
    } catch (error) {
      if (this.session === session) this.#onRefusal(error);
      else session.close();
      return;
    }
    if (this.session !== session) session.close();
  }

  #onConnection(session) {
    if (this.session !== session) return;
    clearTimeout(this.timer);
    const state = session.peer.connectionState;
    if (state === "connected") {
      this.attempt = 0;
      this.#show(State.LIVE);
    } else if (state === "disconnected") {
      this.timer = setTimeout(() => this.#retry(0), GRACE_MS);
    } else if (state === "failed" || state === "closed") {
      this.#retry(0);
    }
  }

  #onRefusal(error) {
    const final = error.passing === false || error.status === 403;
    if (final) {
      this.#drop();
      this.#show(State.REFUSED, error.message);
    } else {
      this.#retry(error.retryAfterMs || 0);
    }
  }

  #retry(atLeastMs) {
    this.#drop();
    this.#show(State.RECONNECTING);
    const delay = Math.max(atLeastMs, backoffMs(this.attempt));
    this.attempt += 1;
    this.timer = setTimeout(() => this.#connect(), delay);
  }

  #drop(how) {
    clearTimeout(this.timer);
    this.session?.close(how);
    this.session = null;
  }

  #show(state, reason = "") {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, reason } }));
  }
}
