/** A receipt on paper. */

document.querySelector("#print").addEventListener("click", () => print());
