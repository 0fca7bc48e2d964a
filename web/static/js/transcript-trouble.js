/** What keeps a recording from being transcribed, and what to do about it, in words. */

const OPERATOR = "whoever runs this server";
const NAME_ANOTHER = `Ask ${OPERATOR} to name another model`;
const FIND_SOUND = `Ask ${OPERATOR} to see to the storage`;

/** By a run's error code: why, and what comes before another try. */
const TROUBLES = {
  model_unknown: ["there is no model of the name that is set", NAME_ANOTHER],
  model_unfit: ["the model does not run on that machine", NAME_ANOTHER],
  model_missing: ["the model is not on the machine that transcribes", `Ask ${OPERATOR} to put it there`],
  model_not_fetched: ["the model could not be downloaded", `Ask ${OPERATOR} to fetch it`],
  model_damaged: ["the files of the model are damaged", `Ask ${OPERATOR} to fetch them again`],
  language_unknown: ["the model does not know a language that was chosen", "Choose another one for that speaker"],
  sound_missing: ["a part of its sound is missing on the server", FIND_SOUND],
  object_missing: ["a part of its sound is missing on the server", FIND_SOUND],
  store_unavailable: ["its sound could not be read on the server", FIND_SOUND],
  transcriber_unavailable: ["the program that listens did not start, or did not answer", null],
};
const UNKNOWN = ["something went wrong on the server", null];

function of({ error_code: code }) {
  return TROUBLES[code] ?? UNKNOWN;
}

/** What the host reads of a run that is given up; `subject` could not be transcribed. */
export function givenUp(run, subject) {
  const [why, first] = of(run);
  const next = first
    ? `${first}, then press “Transcribe again”.`
    : `Press “Transcribe again”; if that does not help, ask ${OPERATOR}.`;
  return `${subject}: ${why}. ${next} (${run.error_code})`;
}

/** Of one that is under way, and not for the first time. */
export function triedAgain(run) {
  const [why] = of(run);
  return `It waits to try again by itself: ${why} (${run.error_code}).`;
}
