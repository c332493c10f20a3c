// When the page looks again: often at first, then more and more seldom, never while nobody sees it.

const FIRST_MS = 1000;
export const LAST_MS = 30_000;
const SLOWER = 1.4;
/** Focus and visibility come together; one look serves both. */
const LEAST_MS = 1000;

export class Poll {
  #look;
  #timer;
  #delay = FIRST_MS;
  #looked = 0;

  /** `look()` looks once and resolves to when to look again: "later", ms from now, or "never". */
  constructor(look) {
    this.#look = look;
    const wake = () => {
      if (document.hidden) clearTimeout(this.#timer);
      else if (Date.now() - this.#looked >= LEAST_MS) this.now();
    };
    document.addEventListener("visibilitychange", wake);
    addEventListener("focus", wake);
    addEventListener("online", () => this.now());
  }

  /** Looks at once, and often again from here on. */
  now() {
    this.#delay = FIRST_MS;
    return this.#run();
  }

  async #run() {
    clearTimeout(this.#timer);
    this.#looked = Date.now();
    const again = await this.#look();
    clearTimeout(this.#timer); // of a look that ran beside this one
    if (again === "never" || document.hidden) return;
    const isLater = again === "later";
    const wait = isLater ? this.#delay : Math.max(again, FIRST_MS);
    // At a time that was named something happens: often again from there on.
    this.#delay = isLater ? Math.min(this.#delay * SLOWER, LAST_MS) : FIRST_MS;
    this.#timer = setTimeout(() => this.#run(), wait);
  }
}
