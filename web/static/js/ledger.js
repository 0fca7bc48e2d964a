/** What a recording lacks, told on its replay. */
import { clockText } from "./room-clock.js";

const GAPS = {
  receiver_down: "the receiver was down",
  packets_lost: "packets were lost on the way",
  connection_lost: "the connection was lost",
  worker_lost: "the room moved to another server",
  disk_full: "the disk was full",
  off_the_record: "off the record",
};

/** A gap of the recording in words. */
export function missing(gap, lanes) {
  const name = lanes.find((lane) => lane.id === gap.participant_id)?.name;
  const seconds = Math.max(0.1, (gap.room_end_ms - gap.room_start_ms) / 1000).toFixed(1);
  const where = `${clockText(gap.room_start_ms)}: ${seconds} s`;
  return `${where}, ${GAPS[gap.cause] ?? gap.cause}${name ? ` (${name})` : ""}`;
}

function ledgerRow(text) {
  const row = document.createElement("li");
  row.textContent = text;
  return row;
}

function packetsText({ packets_received: received, packets_lost: lost }) {
  const share = ((100 * lost) / (received + lost)).toFixed(1);
  return `${received.toLocaleString()} packets of sound arrived, ${lost.toLocaleString()} (${share} %) were lost on the way.`;
}

/** Every gap, and how much arrived. */
export function showLedger(gaps, lanes, packets) {
  const words = gaps.map((gap) => missing(gap, lanes));
  if (!words.length) words.push("Nothing: every second that was received is here.");
  if (packets?.packets_received) words.push(packetsText(packets));
  document.querySelector("#ledger").replaceChildren(...words.map(ledgerRow));
}
