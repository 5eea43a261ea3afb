// One function a part of the page: each gets what `/status` says of it, and shows that.

const series = new Map();

/** Give how a number was lately, the present one included. */
function lately(name, at, total) {
  if (!series.has(name)) series.set(name, new Series());
  series.get(name).add(at, total);
  return series.get(name);
}

function showVerdict(level, headline, advice, cause) {
  byId("verdict").dataset.level = level;
  put(byId("headline"), headline);
  fill(byId("advice"), advice, () => prose(advice));
  fill(byId("cause"), cause, () => causes(cause));
}

/** Make moments and what a library or a peer said, in its own words. */
function causes(parts) {
  return parts.map((part) => (Array.isArray(part) ? moment(...part) : make("code", {}, part)));
}

/** Make texts and code of a sentence with commands between back-quotes. */
function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

function reasonOf(problem) {
  return [...(problem.since === null ? [] : [[problem.since, "for {}"]]), ...(problem.detail ? [problem.detail] : [])];
}

function showProblems(status) {
  const [worst, ...others] = status.problems;
  showVerdict(status.level, status.headline, worst ? worst.whatToDo : "", worst ? reasonOf(worst) : []);
  fill(byId("problems"), others, () => others.map((problem) =>
    make("li", { "data-level": problem.level },
      make("span", { class: "sign", "aria-hidden": "true" }),
      make("div", {},
        make("p", { class: "what" }, problem.text),
        make("p", { class: "advice" }, ...prose(problem.whatToDo)),
        make("p", { class: "cause" }, ...causes(reasonOf(problem)))))));
}

function showNode(node, level, word, figure) {
  node.dataset.level = level;
  put(node.querySelector(".state"), word);
  put(node.querySelector(".number"), figure);
}

function levelOf({ problems }, part) {
  return problems.find((problem) => problem.part === part)?.level ?? "ok";
}

function stateOf(link, well) {
  if (link.held) return "held";
  if (link.connected) return well;
  return link.failures ? "not connected" : "connecting";
}

function showWire(wire, link, moving) {
  wire.dataset.flow = link.held ? "held" : !link.connected ? "broken" : moving ? "moving" : "idle";
}

/** Give when a peer is tried again, where that is far enough away to be read. */
function attempt(link) {
  return link.nextAttemptAt > now() + 3 ? [link.nextAttemptAt, "in {}"] : null;
}

function showHub(status) {
  const { hub, at } = status;
  const heard = lately("hub", at, hub.receivedEvents);
  showNode(byId("hub"), levelOf(status, "hub"), stateOf(hub, "listening"), rate(heard.rate));
  heard.draw(byId("hub").querySelector(".spark"));
  const stored = status.checks.find((check) => check.name === "journal")?.ok ?? true;
  showWire(byId("hub-wire"), { ...hub, connected: hub.connected && stored }, heard.rate > 0);
  facts(byId("hub").querySelector("dl"), [
    [hub.connected ? "connected" : "lost", [hub.since]],
    ["last event", hub.lastEventAt === null ? "none yet" : [hub.lastEventAt]],
    ["next attempt", attempt(hub)],
    ["resources", hub.resources.length > 3 ? count(hub.resources.length, "name") : hub.resources.join(", ")],
  ]);
}

function showJournal(status) {
  const { journal } = status;
  const level = levelOf(status, "journal");
  showNode(byId("journal"), level, level === "ok" ? "storing" : "see above", whole.format(journal.events));
  put(byId("journal").querySelector(".unit"), journal.events === 1 ? "event waiting" : "events waiting");
  lately("journal", status.at, journal.events).drawLevel(byId("journal").querySelector(".spark"));
  const used = journal.capacityBytes > 0 ? journal.bytes / journal.capacityBytes : 0;
  byId("fill").style.setProperty("--share", Math.min(used, 1));
  facts(byId("journal").querySelector("dl"), [
    ["in use", `${share(journal.bytes, journal.capacityBytes)} of ${bytes(journal.capacityBytes)}`],
    ["accepted", count(journal.head, "event")],
    ["damaged", journal.corruptRows ? count(journal.corruptRows, "row") : null],
  ]);
}

function lane(name) {
  const made = byId("lane").content.cloneNode(true).firstElementChild;
  made.dataset.sink = name;
  put(made.querySelector("h3"), name);
  return made;
}

function showSinks(status) {
  const names = Object.keys(status.sinks);
  fill(byId("lanes"), names, () => names.map(lane));
  for (const made of byId("lanes").children) showSink(made, status);
}

function showSink(made, status) {
  const name = made.dataset.sink;
  const sink = status.sinks[name];
  const delivered = lately(`sink ${name}`, status.at, sink.deliveredEvents);
  const level = levelOf(status, `sink ${name}`);
  const word = stateOf(sink, level === "ok" ? "delivering" : "behind");
  showNode(made.querySelector(".node"), level, word, rate(delivered.rate));
  delivered.draw(made.querySelector(".spark"));
  showWire(made.querySelector(".wire"), sink, delivered.rate > 0);
  facts(made.querySelector("dl"), [
    ["waiting", sink.lagEvents ? count(sink.lagEvents, "event") : "nothing"],
    ["oldest waits", sink.lagEvents && sink.lagSeconds >= 1 ? duration(sink.lagSeconds) : null],
    [sink.connected ? "connected" : "lost", [sink.since]],
    ["next attempt", attempt(sink)],
  ]);
}

/** Put rows in their place, or words of calm where there are none. */
function fillTable(place, heads, rows, calm, build = (row) => row) {
  fill(place, rows, () => [rows.length ? table(heads, rows.map(build)) : make("p", { class: "calm" }, calm)]);
}

function showLetters({ deadLetters }) {
  const rows = Object.entries(deadLetters).flatMap(([name, { reasons }]) =>
    Object.entries(reasons).map(([reason, events]) => [HOLDERS.get(name) ?? name, known(REASONS, reason), events]));
  const all = rows.reduce((sum, [, , events]) => sum + events, 0);
  put(byId("letters-summary"), all ? `${count(all, "event")} kept` : "none");
  fillTable(byId("letters"), ["of", "reason", "events"], rows, "Every event was taken.",
    ([holder, reason, events]) => [holder, reason, whole.format(events)]);
}

function showGaps({ gaps }) {
  const rows = Object.entries(gaps.resources).map(([name, { open, oldestAt }]) => [name, open, oldestAt]);
  put(byId("gaps-summary"), gaps.open ? count(gaps.open, "gap") : "none");
  fillTable(byId("gaps"), ["resource", "gaps", "oldest"], rows, "No version is known to be missing.",
    ([name, open, oldestAt]) => [name, whole.format(open), moment(oldestAt)]);
}

function showStates({ states }) {
  byId("states").hidden = !states;
  if (!states) return;
  const publishers = Object.entries(states.sinks);
  fillTable(byId("publishers"), ["where", "state", "waiting"], [
    ["the bridge's own store", stateOf(states.store, "keeping up"), count(states.store.lagEvents, "event")],
    ...publishers.map(([name, link]) => [name, stateOf(link, "keeping up"), count(link.lagChanges, "change")]),
  ]);
}

/** Tell how far another clock is ahead, as far as that can be told: what says so knows whole seconds. */
function clockOf(seconds) {
  if (seconds === null) return "not known";
  if (Math.abs(seconds) < 2) return "as the bridge's";
  return `${duration(Math.abs(seconds))} ${seconds > 0 ? "ahead" : "behind"}`;
}

function showChecks({ checks, process, hub }) {
  const bad = checks.filter((check) => !check.ok).length;
  put(byId("checks-summary"), bad ? `${bad} of ${checks.length} not good` : "all good");
  const rows = [...checks.map(({ name, ok, text }) => [name, ok ? "good" : "not good", text]),
    ["clock of Portos", "", clockOf(hub.clockOffsetSeconds)],
    ["process", "", `${count(process.tasks, "task")}, ${count(process.threads, "thread")}`]];
  fillTable(byId("checks"), ["check", "result", "what it says"], rows);
}

function showAbout({ version, site, startedAt }) {
  put(byId("site"), site);
  fill(byId("about"), [version, startedAt], () => [`version ${version}, started `, moment(startedAt)]);
}
