// The streams of the process: data to stdout, everything else to stderr, one line each. With `json` what goes
// to stderr are JSON lines as well.

type Stream = NodeJS.WriteStream;
type Level = 'info' | 'warn' | 'error';

const STYLES = { bold: [1, 22], dim: [2, 22], red: [31, 39], yellow: [33, 39], cyan: [36, 39] } as const;
export type Style = keyof typeof STYLES;

export class Terminal {
  /** Whether log lines are JSON. */
  json = false;
  readonly #stdout: Stream;
  readonly #stderr: Stream;
  #drained: Promise<void> | undefined;

  constructor(stdout: Stream, stderr: Stream) {
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  /** Whether a person reads the data. */
  get interactive(): boolean {
    return this.#stdout.isTTY;
  }

  /** How wide help may be. */
  get columns(): number {
    return this.#stdout.isTTY ? this.#stdout.columns : 100;
  }

  /** Writes data. Resolves when more may follow. */
  async write(data: string | Uint8Array): Promise<void> {
    if (this.#stdout.destroyed || this.#stdout.write(data)) return;
    // However many wait: one pair of listeners.
    this.#drained ??= new Promise<void>((resolve) => {
      const done = (): void => {
        this.#stdout.off('drain', done);
        this.#stdout.off('close', done);
        this.#drained = undefined;
        resolve();
      };
      this.#stdout.on('drain', done);
      this.#stdout.on('close', done);
    });
    await this.#drained;
  }

  /** Writes data. Resolves when the system has taken it, rejects when nobody can read it any more. */
  deliver(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stdout.write(data, (cause) => {
        if (cause) reject(new Error('the output could not be written', { cause }));
        else resolve();
      });
    });
  }

  line(text: string): Promise<void> {
    return this.write(`${text}\n`);
  }

  /** Says something to whoever watches: `text` to a person, `event` and the details to a program. */
  log(level: Level, event: string, text: string, details: object = {}): void {
    if (this.#stderr.destroyed) return;
    this.#stderr.write(
      this.json ? `${JSON.stringify({ time: new Date().toISOString(), level, event, ...details })}\n` : `${text}\n`,
    );
  }

  /** A style for stderr; plain where colours are not wanted. */
  style(style: Style, text: string): string {
    return paint(this.#stderr, style, text);
  }

  /** A style for stdout. */
  styleOut(style: Style, text: string): string {
    return paint(this.#stdout, style, text);
  }
}

/** `hasColors` knows NO_COLOR, FORCE_COLOR and TERM=dumb; it exists on terminals alone. */
function paint(stream: Stream, style: Style, text: string): string {
  if (!stream.isTTY || !stream.hasColors()) return text;
  const [open, close] = STYLES[style];
  return `\u001b[${open}m${text}\u001b[${close}m`;
}
