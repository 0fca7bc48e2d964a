/** Earnings: leads to Stripe's pages, says when Stripe has changed its mind, closes the account. */
import { call } from "./api.js";
import { sure } from "./dialogs.js";

const ASK_MS = 2000;
const ASK_TIMES = 150;
const WAITING = ["continue", "wait", "fix"];

const problem = document.querySelector("#problem");
const { step } = document.querySelector("#onboarding").dataset;

async function go(button) {
  button.disabled = true;
  problem.hidden = true;
  try {
    const { url } = await call("POST", button.dataset.go);
    location.assign(url);
  } catch (refused) {
    problem.textContent = refused.message;
    problem.hidden = false;
    button.disabled = false;
  }
}

/** Stripe tells of what was answered there in a moment, or in days. */
async function askOn() {
  for (let times = 0; times < ASK_TIMES; times += 1) {
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
    if (document.hidden) continue;
    const now = await call("GET", "/v1/creators/me/onboarding").catch(() => ({ step }));
    if (now.step !== step) return location.replace("/earnings");
  }
}

/** For good, with what the page has said would be lost. */
async function leave({ currentTarget: button }) {
  if (!(await sure(button.dataset.sure, "Close my account"))) return;
  const said = document.querySelector("#leave-problem");
  button.disabled = true;
  said.hidden = true;
  try {
    await call("POST", "/v1/creators/me/leave", { give_up: button.dataset.giveUp === "true" });
    location.replace("/");
  } catch (refused) {
    said.textContent = refused.message;
    said.hidden = false;
    button.disabled = false;
  }
}

document.querySelector("#leave-now").addEventListener("click", leave);
for (const button of document.querySelectorAll("[data-go]")) {
  button.addEventListener("click", () => go(button));
}
addEventListener("pageshow", (event) => event.persisted && location.reload());
if (WAITING.includes(step)) askOn();
