/**
 * Room time and media time.
 *
 * Room time runs since the room went live; media time leaves out what was off the record. The
 * map is EXT-X-PROGRAM-DATE-TIME: every fragment knows the moment at which it was spoken.
 */

const ROUNDED_MS = 5;

/** @typedef {{start: number, duration: number, programDateTime: number|null}} Fragment seconds, seconds, Unix ms */

/** Room milliseconds at a media position (seconds), or null before any fragment is known. */
export function roomMsAt(fragments, liveAtMs, mediaTime) {
  const dated = fragments.filter((f) => f.programDateTime !== null);
  if (!dated.length) return null;
  const found = dated.findLast((f) => f.start <= mediaTime + 1e-6) ?? dated[0];
  return found.programDateTime + (mediaTime - found.start) * 1000 - liveAtMs;
}

/** The media position (seconds) of a room time; a moment that was cut leads to what came next. */
export function mediaTimeAt(fragments, liveAtMs, roomMs) {
  const at = liveAtMs + roomMs;
  const dated = fragments.filter((f) => f.programDateTime !== null);
  for (const f of dated) {
    if (at < f.programDateTime + f.duration * 1000) {
      return f.start + Math.max(0, at - f.programDateTime) / 1000;
    }
  }
  const last = dated.at(-1);
  return last ? last.start + last.duration : null;
}

/** `1:02:03` or `2:03`; playlists and players round, so what is a few ms short of a second is there. */
export function clockText(ms) {
  const total = Math.max(0, Math.floor((ms + ROUNDED_MS) / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Seconds of `?t=`: `95`, `95s`, `1m35s`, `1h2m3s`, `1:35`; null when it says nothing. */
export function secondsOf(text) {
  if (/^\d+(:\d{1,2}){1,2}$/.test(text)) {
    return text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  }
  const match = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?$/.exec(text || "-");
  if (!match) return null;
  const [h, m, s] = match.slice(1).map((part) => Number(part) || 0);
  return h * 3600 + m * 60 + s;
}
