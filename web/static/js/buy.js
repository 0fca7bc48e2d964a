/** Buying Stars: an order, then the page where it is paid. */
import { call } from "./api.js";
import { forget, keep, kept } from "./kept.js";

const packs = document.querySelector("#packs");
const problem = document.querySelector("#problem");

/**
 * The order of this pack. Its key is kept until the order has ended: a double click, a lost answer
 * or the way back from Stripe's page lead to the same one.
 */
async function ordered(pack) {
  const name = `order.${pack}`;
  const known = kept(name);
  const key = known ?? crypto.randomUUID();
  keep(name, key);
  const order = await call("POST", "/v1/orders", { client_key: key, pack });
  if (order.state === "open") return order;
  forget(name);
  return known ? ordered(pack) : order; // what ended before was another wish
}

async function buy(button) {
  const buttons = packs.querySelectorAll("button");
  problem.hidden = true;
  for (const each of buttons) each.disabled = true;
  try {
    const order = await ordered(button.dataset.pack);
    keep(`back.${order.id}`, packs.dataset.next);
    location.assign(order.checkout_url ?? `/orders/${order.id}`);
  } catch (refused) {
    problem.textContent = refused.message;
    problem.hidden = false;
    for (const each of buttons) each.disabled = false;
  }
}

for (const button of packs.querySelectorAll("[data-pack]")) {
  button.addEventListener("click", () => buy(button));
}
// Back from Stripe's page the browser shows this one as it was left.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const each of packs.querySelectorAll("button")) each.disabled = false;
});
