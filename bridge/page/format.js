// How numbers and times are written. Every moment is on the bridge's own clock, so that the browser's does not matter.

const clock = { at: 0, heardAt: 0 };

/** Note what the bridge's clock says, in seconds since the epoch. */
function setClock(at) {
  clock.at = at;
  clock.heardAt = performance.now();
}

/** Give the present moment on the bridge's clock; it goes on where the bridge does not answer. */
function now() {
  return clock.at + (performance.now() - clock.heardAt) / 1000;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1, minimumFractionDigits: 1 });

function count(number, word) {
  return `${whole.format(number)} ${word}${number === 1 ? "" : "s"}`;
}

function rate(perSecond) {
  if (perSecond === null) return "–";
  if (perSecond === 0) return "0";
  if (perSecond < 0.05) return "< 0.1";
  return perSecond < 9.95 ? tenths.format(perSecond) : whole.format(perSecond);
}

function bytes(size) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const step = size < 1000 ? 0 : Math.min(Math.floor(Math.log10(size) / 3), units.length - 1);
  const value = size / 1000 ** step;
  return `${step && value < 10 ? tenths.format(value) : whole.format(value)} ${units[step]}`;
}

function share(part, all) {
  const percent = all > 0 ? (100 * part) / all : 0;
  return `${percent > 0 && percent < 10 ? tenths.format(percent) : whole.format(percent)} %`;
}

/** Write a length of time with its two largest units. */
function duration(seconds) {
  if (seconds < 10) return `${tenths.format(Math.max(seconds, 0))} s`;
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let rest = Math.round(seconds);
  const written = [];
  for (const [unit, length] of parts) {
    const value = Math.floor(rest / length);
    rest -= value * length;
    if (value || written.length) written.push(value ? `${value} ${unit}` : "");
    if (written.length === 2) break;
  }
  return written.filter(Boolean).join(" ");
}

/** Write how far a moment is from now, in one unit: what changes every second is hard to read. */
function distance(at) {
  const seconds = Math.abs(now() - at);
  const about = seconds < 60 ? Math.floor(seconds) : seconds < 3600 ? Math.floor(seconds / 60) * 60
    : seconds < 86400 ? Math.floor(seconds / 60) * 60 : Math.floor(seconds / 3600) * 3600;
  return about < 1 ? "1 s" : about < 10 ? `${about} s` : duration(about);
}

const zone = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  timeZoneName: "shortOffset",
});

/** Write a moment in full: on the reader's clock with its zone, and as it stands in the bridge's log. */
function absolute(at) {
  const date = new Date(at * 1000);
  const here = zone.format(date).replace("GMT", "UTC");
  const log = `${date.toISOString().slice(0, 19)}Z`;
  return new Date().getTimezoneOffset() === 0 ? here : `${here} · ${log} in the log`;
}
