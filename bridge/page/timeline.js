// When the bridge did not hear Portos, on a line that ends now and is a day long at most.

const DAY_SECONDS = 86400;
const SHORTEST_SECONDS = 300;
const LISTED = 5;

function showBlind({ at, startedAt, hub: { blind } }) {
  const told = blind.recent.filter((window) => window.cause !== "first_start");
  const windows = blind.now ? [...told, { ...blind.now, to: null }] : told;
  const began = Math.min(startedAt, ...windows.map((window) => window.from ?? startedAt));
  const from = Math.max(Math.min(began, at - SHORTEST_SECONDS), at - DAY_SECONDS);
  drawTimeline(windows, from, Math.max(began, from), at);
  put(byId("axis-from"), `${distance(from)} ago`);
  const summary = summaryOf(blind, told.length + blind.windows - blind.recent.length);
  put(byId("blind-summary"), summary);
  byId("timeline").setAttribute("aria-label", `The last ${distance(from)}: ${summary}`);
  fill(byId("windows"), [windows], () => listed(windows.toReversed()));
}

function summaryOf(blind, windows) {
  if (blind.now) return "blind now";
  return windows ? `${count(windows, "window")}, ${duration(blind.seconds)} in all` : "none";
}

function drawTimeline(windows, from, began, to) {
  const place = (at) => (1000 * (Math.min(Math.max(at, from), to) - from)) / (to - from);
  const bar = (kind, since, until) => {
    const left = Math.min(place(since), 996), right = place(until);
    return draw("rect", { class: kind, x: left, y: 0, width: Math.max(right - left, 4), height: 10 });
  };
  byId("timeline").replaceChildren(
    bar("unknown", from, to),
    bar("heard", began, to),
    ...windows.filter((window) => (window.to ?? to) > from && window.from !== null)
      .map((window) => bar(window.to === null ? "blind open" : "blind", window.from, window.to ?? to)));
}

function listed(windows) {
  if (!windows.length) return [make("p", { class: "calm" }, "Portos was heard all the time.")];
  const rows = windows.map(({ from, to, cause }) => [
    from === null ? "not known" : moment(from),
    to === null ? make("strong", {}, "not over") : from === null ? "not known" : duration(to - from),
    known(CAUSES, cause)]);
  const heads = ["began", "lasted", "why"];
  const older = rows.slice(LISTED);
  return [table(heads, rows.slice(0, LISTED)), ...(older.length
    ? [make("details", {}, make("summary", {}, `${count(older.length, "older window")}`), table(heads, older))] : [])];
}
