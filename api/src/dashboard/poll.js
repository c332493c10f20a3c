// Decides when the page asks for the key's state again: soon at first, then less and less often, and
// not at all while the page is hidden.

const FIRST_DELAY_MS = 1000;
export const LONGEST_DELAY_MS = 30_000;
const DELAY_FACTOR = 1.4;
/** A change of focus and of visibility come together, and one request serves both. */
const SHORTEST_INTERVAL_MS = 1000;

export class Poll {
  #refresh;
  #timer;
  #delay = FIRST_DELAY_MS;
  #startedAt = 0;
  /** Whether the page was hidden when the last request began, or later. Then there may be no timer. */
  #wasHidden = false;
  #latest = 0;

  /**
   * `refresh(isLatest)` asks once and resolves to when to ask again: "later", a number of
   * milliseconds, or "never". `isLatest()` tells it whether a newer request has begun meanwhile.
   */
  constructor(refresh) {
    this.#refresh = refresh;
    const wake = () => {
      if (document.hidden) {
        clearTimeout(this.#timer);
        this.#wasHidden = true;
        return;
      }
      const wait = this.#startedAt + SHORTEST_INTERVAL_MS - Date.now();
      if (wait <= 0) this.now();
      else if (this.#wasHidden) {
        this.#delay = FIRST_DELAY_MS;
        this.#runIn(wait);
      }
    };
    document.addEventListener("visibilitychange", wake);
    addEventListener("focus", wake);
    addEventListener("online", () => this.now());
  }

  /** Asks at once, and often again from then on. */
  now() {
    this.#delay = FIRST_DELAY_MS;
    return this.#run();
  }

  async #run() {
    clearTimeout(this.#timer);
    this.#startedAt = Date.now();
    this.#wasHidden = document.hidden;
    const number = ++this.#latest;
    const isLatest = () => number === this.#latest;
    const next = await this.#refresh(isLatest);
    // Answers may arrive out of order. Only the newest request decides what comes next.
    if (!isLatest()) return;
    if (next === "never" || document.hidden) {
      clearTimeout(this.#timer); // which `wake` may have set
      return;
    }
    const isLater = next === "later";
    const wait = isLater ? this.#delay : Math.max(next, FIRST_DELAY_MS);
    // Something happens at a time that was named, so ask often again from there on.
    this.#delay = isLater ? Math.min(this.#delay * DELAY_FACTOR, LONGEST_DELAY_MS) : FIRST_DELAY_MS;
    this.#runIn(wait);
  }

  #runIn(wait) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), wait);
  }
}
