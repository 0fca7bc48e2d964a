/** The page of an order: asks until it is paid, and leads back to where somebody came from. */
import { call } from "./api.js";
import { forget, kept } from "./kept.js";

const ASK_MS = [500, 1000, 1000, 1000, 2000, 2000];
const ASK_LATER_MS = 5000;
const GIVE_UP = 120;

const order = document.querySelector("#order");
const { id, pack, state, failure } = order.dataset;
const back = document.querySelector("#back");

function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What has changed is shown by the server: its words are the page's own. */
async function changed() {
  const now = await call("GET", `/v1/orders/${id}`);
  return now.state !== state || (now.failure_code ?? "") !== failure;
}

async function ask() {
  for (let times = 0; times < GIVE_UP; times += 1) {
    await wait(ASK_MS[times] ?? ASK_LATER_MS);
    if (document.hidden) continue;
    if (await changed().catch(() => false)) return location.replace(`/orders/${id}`);
  }
  document.querySelector("#asking")?.remove();
  document.querySelector("#said").textContent = "Nothing has come yet. Load this page again later.";
}

function leadBack() {
  const path = kept(`back.${id}`);
  if (!path) return;
  back.href = path;
  back.textContent = back.dataset.name;
}

leadBack();
if (state === "new" || state === "open") ask();
else forget(`order.${pack}`);
