// A number as it was seen lately, and a little picture of that: of a total that only grows, by what it grows a second.

const MOST_SAMPLES = 60;
const RATE_SECONDS = 10;
const LEAST_RATE = 1, LEAST_LEVEL = 50;  // what is less is no mountain

class Series {
  #samples = [];

  add(at, total) {
    const last = this.#samples.at(-1);
    if (last && at <= last.at) return;
    this.#samples.push({ at, total });
    if (this.#samples.length > MOST_SAMPLES + 1) this.#samples.shift();
  }

  /** Give the growth a second over the last ten, or since the sample before; null where there is none yet. */
  get rate() {
    const [before, last] = this.#samples.slice(-2);
    if (!last) return null;
    const early = this.#samples.find((sample) => sample.at >= last.at - RATE_SECONDS);
    const first = early === last ? before : early;
    return (last.total - first.total) / (last.at - first.at);
  }

  /** Draw what it grew by between two samples. */
  draw(picture) {
    this.#draw(picture, LEAST_RATE, this.#samples.slice(1).map((sample, index) => {
      const before = this.#samples[index];
      return (sample.total - before.total) / (sample.at - before.at);
    }));
  }

  /** Draw the number as it was. */
  drawLevel(picture) {
    this.#draw(picture, LEAST_LEVEL, this.#samples.map((sample) => sample.total));
  }

  /** Draw into the paths of a picture that is 120 wide and 32 high, the newest at its right. */
  #draw(picture, least, steps) {
    const highest = Math.max(...steps, least);
    const points = steps.map((step, index) => {
      const x = 120 - ((steps.length - 1 - index) * 120) / (MOST_SAMPLES - 1);
      return `${x.toFixed(1)} ${(31 - (step / highest) * 28).toFixed(1)}`;
    });
    const line = points.length > 1 ? `M${points.join("L")}` : "";
    const left = points.length > 1 ? points[0].split(" ")[0] : "";
    picture.querySelector(".line").setAttribute("d", line);
    picture.querySelector(".area").setAttribute("d", line && `${line}L120 32L${left} 32Z`);
  }
}
