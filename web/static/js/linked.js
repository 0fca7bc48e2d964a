/** Where in a replay an address leads. */
import { secondsOf } from "./room-clock.js";

/**
 * `at`: the room time that it names, by `#t=` in milliseconds or by `?t=` as people write it; null
 * where it names none. What is `past` the end starts at 0, as players do: nothing would be heard there.
 */
export function linkedPlace({ hash, search }, durationMs) {
  const exact = /^#t=(\d+)$/.exec(hash);
  const seconds = secondsOf(new URLSearchParams(search).get("t") ?? "");
  if (!exact && seconds === null) return { at: null, past: false };
  const at = exact ? Number(exact[1]) : seconds * 1000;
  const past = at >= durationMs;
  return { at: past ? 0 : at, past };
}

/** What was looked for where the address comes from: the words that were found. */
export function linkedWords({ search }) {
  return new URLSearchParams(search).get("q") ?? "";
}
