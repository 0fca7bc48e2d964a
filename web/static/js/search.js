/** Search as you type: the page itself is asked for the results, the last word being open. */
import { showLocalTimes } from "./local-time.js";

const PAUSE_MS = 150;
const form = document.querySelector("#search");
let asking = new AbortController();
let timer;

function address(typing) {
  const url = new URL(form.action);
  for (const [name, value] of new FormData(form)) if (value) url.searchParams.set(name, value);
  if (typing) url.searchParams.set("prefix", "true");
  return url;
}

async function show(typing) {
  asking.abort();
  asking = new AbortController();
  const results = document.querySelector("#results");
  results.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address(typing), { signal: asking.signal });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.querySelector("#results") ?? page.querySelector("#main > *");
    results.replaceChildren(...found.childNodes);
    showLocalTimes(results);
    history.replaceState(null, "", address(false));
    results.removeAttribute("aria-busy");
  } catch (error) {
    if (error.name !== "AbortError") results.removeAttribute("aria-busy");
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(() => show(true), PAUSE_MS);
}

form.querySelector("#q").addEventListener("input", soon);
for (const field of form.querySelectorAll("select, [type=checkbox]")) {
  field.addEventListener("change", () => show(false));
}
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  show(false);
});
