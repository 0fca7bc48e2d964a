/** What every page has: forms, sign-out, and times in the reader's zone. */
import { call } from "./api.js";
import { wireForms } from "./form.js";
import { showLocalTimes } from "./local-time.js";

async function signOut() {
  await call("DELETE", "/v1/sessions/current").catch(() => {});
  location.assign("/");
}

wireForms();
showLocalTimes(document);
document.querySelector("[data-sign-out]")?.addEventListener("click", signOut);
