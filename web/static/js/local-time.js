/** Moments in the reader's own zone and language. */

const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
/** For appointments: the day of the week, and the zone in which the hour counts. */
const APPOINTMENT = new Intl.DateTimeFormat(undefined, {
  weekday: "short", day: "numeric", month: "short", year: "numeric",
  hour: "numeric", minute: "2-digit", timeZoneName: "short",
});
/** For what was: the day of the week says more than the year of this one. */
const DAY = { weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit" };

function dayText(moment) {
  const year = moment.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return new Intl.DateTimeFormat(undefined, { ...DAY, year }).format(moment);
}

function text(element, moment) {
  if (element.hasAttribute("data-day")) return dayText(moment);
  return (element.hasAttribute("data-appointment") ? APPOINTMENT : FULL).format(moment);
}

/** Rewrites every `<time datetime>` under `root`; the server wrote UTC for those without scripts. */
export function showLocalTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    element.textContent = text(element, moment);
    element.title = element.dateTime;
  }
}

/** An instant as `<input type="datetime-local">` takes it. */
export function inputValue(instant) {
  const moment = new Date(instant);
  const shifted = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}
