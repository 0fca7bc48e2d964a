/** The person's microphone: choosing it, its level, and its mute. */

const FLOOR_DB = -60;

function constraints(deviceId) {
  return {
    audio: {
      deviceId: deviceId ? { exact: deviceId } : undefined,
      channelCount: 1,
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
    },
  };
}

/** What to tell somebody whose microphone can't be had. */
export function explain(error) {
  const reasons = {
    NotAllowedError:
      "The browser doesn't let this page use the microphone. Allow it beside the address, then try again.",
    NotFoundError: "No microphone was found. Plug one in, then try again.",
    NotReadableError: "Another program holds the microphone. Close it, then try again.",
    OverconstrainedError: "That microphone is gone. Choose another one.",
  };
  return reasons[error.name] || "The microphone could not be opened.";
}

/** Asks for permission when needed. Rejects with a DOMException (see `explain`). */
export async function openMicrophone(deviceId = "") {
  if (!navigator.mediaDevices) throw new DOMException("insecure page", "NotAllowedError");
  const stream = await navigator.mediaDevices.getUserMedia(constraints(deviceId));
  return stream.getAudioTracks()[0];
}

/** Fills a `<select>` with the microphones; labels are known once permission was given. */
export async function listMicrophones(select) {
  const devices = await navigator.mediaDevices.enumerateDevices();
  const chosen = select.value;
  const options = devices
    .filter((device) => device.kind === "audioinput")
    .map((device, n) => new Option(device.label || `Microphone ${n + 1}`, device.deviceId));
  select.replaceChildren(...options);
  if (options.some((option) => option.value === chosen)) select.value = chosen;
}

function decibels(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return 10 * Math.log10(sum / samples.length + 1e-12);
}

/** Calls `show` with 0..1 some times a second, until `stop` is called. */
export class LevelMeter {
  constructor(track, show) {
    this.context = new AudioContext();
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.source = this.context.createMediaStreamSource(new MediaStream([track]));
    this.source.connect(this.analyser);
    this.samples = new Float32Array(this.analyser.fftSize);
    this.timer = setInterval(() => show(this.read()), 100);
  }

  read() {
    this.analyser.getFloatTimeDomainData(this.samples);
    return Math.min(1, Math.max(0, 1 - decibels(this.samples) / FLOOR_DB));
  }

  stop() {
    clearInterval(this.timer);
    this.context.close();
  }
}
