/** Moments in the reader's own zone and language. */

const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Rewrites every `<time datetime>` under `root`; the server wrote UTC for those without scripts. */
export function showLocalTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    element.textContent = FULL.format(moment);
    element.title = element.dateTime;
  }
}
