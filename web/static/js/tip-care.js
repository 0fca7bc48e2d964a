/** What may be done about a tip: its host says thanks, host and co-hosts take the words out. */
import { call } from "./api.js";
import { nameOf } from "./tip-view.js";

function button(label, title, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "plain";
  made.textContent = label;
  made.setAttribute("aria-label", title);
  made.addEventListener("click", () => {
    made.disabled = true;
    act();
  });
  return made;
}

/**
 * The buttons of each tip, for `tipLine`. `path` is of the room's tips, `can` the page's;
 * `changed(id, facts)` draws a tip anew, `report` says why nothing changed.
 */
export function careFor(path, can, { changed, report }) {
  const ask = async (method, { id }, what, facts) => {
    try {
      await call(method, `${path}/${id}/${what}`);
      changed(id, facts);
    } catch (problem) {
      report(problem.message);
      changed(id, {});
    }
  };
  return (tip) => {
    const who = nameOf(tip);
    const thank = () => ask("POST", tip, "thanks", { thanked_at: new Date().toISOString() });
    const hide = () => ask("DELETE", tip, "message", tip.mine ? {} : { message: null });
    return [
      ...(can.thank && !tip.thanked_at && !tip.mine ? [button("Say thanks", `Say thanks to ${who}`, thank)] : []),
      ...(can.hide_tip && tip.message ? [button("Hide the message", `Hide the message of ${who}`, hide)] : []),
    ];
  };
}
