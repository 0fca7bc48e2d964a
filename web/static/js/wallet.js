/** The wallet: gives unused Stars back. */
import { call } from "./api.js";
import { sure } from "./dialogs.js";

const problem = document.querySelector("#problem");

async function giveBack(button) {
  if (!(await sure(button.dataset.sure, "Give back"))) return;
  button.disabled = true;
  try {
    await call("POST", `/v1/orders/${button.dataset.giveBack}/refunds`);
    location.reload();
  } catch (refused) {
    problem.textContent = refused.message;
    problem.hidden = false;
    button.disabled = false;
  }
}

for (const button of document.querySelectorAll("[data-give-back]")) {
  button.addEventListener("click", () => giveBack(button));
}
