// Asks the bridge again and again, and says so where it does not answer.

const ASK_SECONDS = 2;
const ASK_UNSEEN_SECONDS = 10;
const ANSWER_SECONDS = 5;
const COLOURS = { ok: "#2f9e5f", warning: "#d9930d", critical: "#d6392f", unknown: "#868e96" };

const PARTS = [
  showProblems, showHub, showJournal, showSinks, showBlind, showLetters, showGaps, showStates, showChecks, showAbout,
];

/** Until its journal is open the bridge tells no more. */
const FIRST_PARTS = [showProblems, showAbout];

let answered = false;
let life = null;

/** Show a level where the page itself is not seen: in the tab, and to who hears it. */
function showElsewhere(level, headline, site) {
  put(document.querySelector("title"), `${level === "ok" ? "" : "● "}${headline} | portos-bridge ${site}`.trim());
  put(byId("announcement"), headline);
  if (byId("icon").dataset.level === level) return;
  const circle = `<circle cx="8" cy="8" r="7" fill="${COLOURS[level]}"/>`;
  const dot = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${circle}</svg>`;
  byId("icon").href = `data:image/svg+xml,${encodeURIComponent(dot)}`;
  byId("icon").dataset.level = level;
}

function show(status) {
  if (life !== status.startedAt) series.clear();
  life = status.startedAt;
  setClock(status.at);
  answered = true;
  for (const part of status.journal ? PARTS : FIRST_PARTS) part(status);
  byId("picture").hidden = !status.journal;
  document.body.dataset.stale = "false";
  showElsewhere(status.level, status.headline, status.site);
  fill(byId("freshness"), "live", () => ["live"]);
}

function showSilence(why) {
  const headline = answered ? "The bridge does not answer." : "The bridge has not answered yet.";
  const last = answered ? " Below is how it was when it last did." : "";
  showVerdict("unknown", headline, `See whether its process runs and whether you reach it.${last}`,
    [...(answered ? [[clock.at, "no answer for {}"]] : []), why]);
  byId("problems").replaceChildren();
  byId("problems").shown = null;
  document.body.dataset.stale = "true";
  showElsewhere("unknown", headline, byId("site").textContent);
  fill(byId("freshness"), clock.at, () => (answered ? ["as it was ", moment(clock.at)] : ["no answer"]));
}

/** Give what `/status` says; throws where it says nothing. */
async function answer() {
  const response = await fetch("status", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_SECONDS * 1000) });
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  return response.json();
}

async function ask() {
  let status;
  try {
    status = await answer();
  } catch (error) {
    showSilence(error.name === "TimeoutError" ? `no answer within ${ANSWER_SECONDS} s` : error.message);
    return;
  }
  try {
    show(status);
  } catch (error) {
    showSilence("its answer is not that of the release this page is from: load the page again");
    console.error(error);
  }
}

let asking = Promise.resolve();
let timer = null;

/** Ask now and from then on; nobody is asked twice at once. */
async function keepAsking() {
  clearTimeout(timer);
  asking = asking.then(ask);
  await asking;
  clearTimeout(timer);
  timer = setTimeout(keepAsking, (document.hidden ? ASK_UNSEEN_SECONDS : ASK_SECONDS) * 1000);
}

document.addEventListener("visibilitychange", keepAsking);
setInterval(tick, 1000);
keepAsking();
