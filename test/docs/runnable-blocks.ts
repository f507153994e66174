// Finds the code blocks of a document that are marked `run` and runs each as a program, in a project where
// `isthmus` is this package. What is typed TypeScript is checked by the compiler before it runs.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const LANGUAGES = ['ts', 'js', 'sh'] as const;
type Language = (typeof LANGUAGES)[number];
const TIME_OUT_MS = 240_000;

export interface Block {
  readonly language: Language;
  /** The line of the document where the block begins. */
  readonly line: number;
  readonly text: string;
  /** What the program has to print, where the next block is marked `output`. */
  readonly output: string | undefined;
}

interface Fenced {
  readonly info: string;
  readonly line: number;
  readonly text: string;
}

function fencedBlocks(markdown: string): Fenced[] {
  const found: Fenced[] = [];
  let open: { info: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    if (open === undefined) {
      const info = /^```(\S.*)$/.exec(line)?.[1];
      if (info !== undefined) open = { info: info.trim(), line: index + 1, lines: [] };
    } else if (line === '```') {
      found.push({ info: open.info, line: open.line, text: `${open.lines.join('\n')}\n` });
      open = undefined;
    } else open.lines.push(line);
  }
  return found;
}

/** The blocks whose info string is a language and `run`, each with the `output` block that follows it. */
export function runnableBlocks(markdown: string): Block[] {
  const fenced = fencedBlocks(markdown);
  return fenced.flatMap((block, index) => {
    const [name, mark] = block.info.split(/\s+/);
    const language = LANGUAGES.find((known) => known === name);
    if (mark !== 'run') return [];
    if (language === undefined) throw new Error(`line ${block.line}: only ${LANGUAGES.join(', ')} can be run`);
    const next = fenced[index + 1];
    const output = next?.info.split(/\s+/)[1] === 'output' ? next.text : undefined;
    return [{ language, line: block.line, text: block.text, output }];
  });
}

/** A folder that looks like the project of a user who has installed this package. */
export class UserProject {
  readonly #folder: string;
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
    this.#folder = mkdtempSync(join(tmpdir(), 'isthmus-user-'));
    const modules = join(this.#folder, 'node_modules');
    mkdirSync(join(modules, '.bin'), { recursive: true });
    symlinkSync(root, join(modules, 'isthmus'), 'junction');
    for (const scope of ['@types', '@msgpack']) {
      symlinkSync(join(root, 'node_modules', scope), join(modules, scope), 'junction');
    }
    writeFileSync(join(this.#folder, 'package.json'), '{ "type": "module", "private": true }\n');
    const command = join(root, 'dist', 'cli', 'main.js');
    if (existsSync(command)) {
      chmodSync(command, 0o755);
      symlinkSync(command, join(modules, '.bin', 'isthmus'), 'file');
    }
  }

  /** Runs a block to its end and gives what it printed. Throws what went wrong, with the line of the document. */
  run(block: Block): string {
    const source = join(this.#folder, `line-${block.line}.${block.language}`);
    writeFileSync(source, block.text);
    if (block.language === 'sh') return this.#spawn(block, 'bash', ['-euo', 'pipefail', source]);
    if (block.language === 'js') return this.#spawn(block, process.execPath, [source]);
    const flags = ['--module', 'nodenext', '--target', 'es2023', '--strict', '--types', 'node'];
    this.#spawn(block, join(this.#root, 'node_modules', '.bin', 'tsc'), [...flags, source]);
    return this.#spawn(block, process.execPath, [source.replace(/\.ts$/, '.js')]);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #spawn(block: Block, command: string, args: readonly string[]): string {
    const path = [join(this.#folder, 'node_modules', '.bin'), process.env['PATH']].join(delimiter);
    const result = spawnSync(command, args, {
      cwd: this.#folder,
      encoding: 'utf8',
      env: { ...process.env, PATH: path, NODE_TEST_CONTEXT: undefined },
      timeout: TIME_OUT_MS,
    });
    if (result.status === 0) return result.stdout;
    const end = result.signal === null ? `ended with ${result.status}` : `was still running after ${TIME_OUT_MS} ms`;
    throw new Error(`the block of line ${block.line} ${end}:\n${result.stdout}${result.stderr}`, {
      cause: result.error,
    });
  }
}

export function readDocument(root: string, name: string): string {
  return readFileSync(join(root, name), 'utf8');
}
