/**
 * The room's events over SSE. The browser resumes by Last-Event-ID after a broken connection;
 * when it gives up (an error status), a new stream starts after the last event that was seen.
 */

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 15000;

/**
 * Fires `durable` and `ephemeral` (the event in `detail`), `connection` (`{up}`), and `bye`
 * (`{reason}`) when the server has nothing more for this person.
 */
export class RoomEvents extends EventTarget {
  constructor(roomId, after) {
    super();
    this.url = `/v1/rooms/${roomId}/events`;
    this.after = after;
    this.failures = 0;
    this.closed = false;
    addEventListener("offline", () => this.#onOffline());
    addEventListener("online", () => this.#onOnline());
  }

  open() {
    const source = new EventSource(`${this.url}?after=${this.after}`);
    this.source = source;
    source.onopen = () => this.#show(true);
    source.onerror = () => this.#onError(source);
    source.addEventListener("durable", (message) => this.#onDurable(JSON.parse(message.data)));
    source.addEventListener("ephemeral", (message) => this.#send("ephemeral", JSON.parse(message.data)));
    source.addEventListener("bye", (message) => this.#onBye(JSON.parse(message.data)));
  }

  close() {
    this.closed = true;
    this.#drop();
  }

  #drop() {
    clearTimeout(this.timer);
    this.source?.close();
  }

  /** The connection may look alive for minutes after its network has gone. */
  #onOffline() {
    if (this.closed) return;
    this.#drop();
    this.#show(false);
  }

  #onOnline() {
    if (this.closed) return;
    this.#drop();
    this.open();
  }

  #onDurable(event) {
    if (event.seq <= this.after) return;
    this.after = event.seq;
    this.#send("durable", event);
  }

  #onBye(detail) {
    this.close();
    this.#send("bye", detail);
  }

  #onError(source) {
    this.#show(false);
    if (source.readyState !== EventSource.CLOSED) return;
    const delay = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.failures);
    this.failures += 1;
    this.timer = setTimeout(() => this.open(), delay);
  }

  #show(up) {
    if (up) this.failures = 0;
    this.#send("connection", { up });
  }

  #send(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
