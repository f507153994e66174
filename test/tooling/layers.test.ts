// Plants one violation of each layer rule in a small copy of the project and proves that it is caught:
// a rule that silently stopped matching would look exactly like a clean project.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';

const ROOT = process.cwd();
const CONFIGURATION = ['.dependency-cruiser.mjs', 'tsconfig.json', 'package.json', 'scripts/layers.mjs'];

/** What a clean project looks like, with every kind of import that is allowed. */
const CLEAN: Readonly<Record<string, string>> = {
  'src/base/errors.ts': 'export const a = 1;',
  'src/protocol/frame.ts': "export { a } from '../base/errors.ts';",
  'src/session/session.ts':
    "import { a } from '../protocol/frame.ts';\nexport type S = typeof a;\nexport const s: S = a;",
  'src/session/session.test.ts':
    "import { test } from 'node:test';\nimport { s } from './session.ts';\ntest(String(s), () => undefined);",
  'src/broker/router.ts': "export { a } from '../protocol/frame.ts';",
  'src/transports/tcp.ts': "import 'node:net';\nexport { a } from '../base/errors.ts';",
  'src/transports/websocket.ts': "export { WebSocket } from 'ws';",
  'src/transports/fetch.ts': 'export const t = 1;',
  'src/client/connect.ts': "export { s } from '../session/session.ts';\nexport { t } from '../transports/fetch.ts';",
  'src/client/index.ts': "export { s } from './connect.ts';",
  'src/server/listener.ts': "export { a } from '../broker/router.ts';",
  'src/server/index.ts': "export { a } from './listener.ts';",
  'src/index.ts': "export { s } from './client/index.ts';\nexport { a } from './server/index.ts';",
  'src/browser.ts': "export { s } from './client/connect.ts';",
  'src/cli/main.ts': "import { s } from '../index.ts';\nimport { run } from './run.ts';\nrun(s);",
  'src/cli/run.ts': 'export function run(value: unknown): void { process.exitCode = Number(value); }',
  'test/flow.test.ts': "import '../src/session/session.ts';\nimport '../src/server/listener.ts';",
  'examples/hello.ts': "import { s } from 'isthmus';\nexport { s };",
};

interface Planted {
  readonly title: string;
  readonly rule: string;
  /** The file that is blamed; the first of `files` where it is not given. */
  readonly from?: string;
  readonly files: Readonly<Record<string, string>>;
}

const PLANTED: readonly Planted[] = [
  {
    title: 'a pure layer imports a module of Node',
    rule: 'no-node-in-protocol',
    files: { 'src/protocol/bad-node.ts': "import 'node:fs';" },
  },
  {
    title: 'a pure layer imports only a type of Node',
    rule: 'no-node-in-session',
    files: { 'src/session/bad-type.ts': "import type { Socket } from 'node:net';\nexport type T = Socket;" },
  },
  {
    title: 'a pure layer imports an npm package',
    rule: 'packages-of-broker',
    files: { 'src/broker/bad-package.ts': "import 'ws';" },
  },
  {
    title: 'a layer imports a package that is not in its row',
    rule: 'packages-of-client',
    files: { 'src/client/bad-package.ts': "import 'ws';" },
  },
  {
    title: 'the client imports the server',
    rule: 'layer-client',
    files: { 'src/client/bad-server.ts': "import '../server/listener.ts';" },
  },
  {
    title: 'the client imports only a type of the server',
    rule: 'layer-client',
    files: { 'src/client/bad-type.ts': "import type { a } from '../server/listener.ts';\nexport type T = typeof a;" },
  },
  {
    title: 'a layer is entered by a dynamic import',
    rule: 'layer-client',
    files: { 'src/client/bad-dynamic.ts': "export const m = import('../server/listener.ts');" },
  },
  {
    title: 'the server imports the client',
    rule: 'layer-server',
    files: { 'src/server/bad-client.ts': "import '../client/connect.ts';" },
  },
  {
    title: 'the session imports the broker',
    rule: 'layer-session',
    files: { 'src/session/bad-broker.ts': "import '../broker/router.ts';" },
  },
  {
    title: 'the broker imports the session',
    rule: 'layer-broker',
    files: { 'src/broker/bad-session.ts': "import '../session/session.ts';" },
  },
  {
    title: 'base imports another layer',
    rule: 'layer-base',
    files: { 'src/base/bad-frame.ts': "import '../protocol/frame.ts';" },
  },
  {
    title: 'the command imports a private file',
    rule: 'layer-cli',
    files: { 'src/cli/bad-private.ts': "import '../server/listener.ts';" },
  },
  {
    title: 'a unit test crosses layers',
    rule: 'unit-test-session',
    files: { 'src/session/bad.test.ts': "import '../broker/router.ts';" },
  },
  {
    title: 'two files import each other',
    rule: 'no-cycle',
    files: {
      'src/broker/one.ts': "import { two } from './two.ts';\nexport const one = () => two;",
      'src/broker/two.ts': "import { one } from './one.ts';\nexport const two = () => one;",
    },
  },
  {
    title: 'two files import each other by a type alone',
    rule: 'no-cycle',
    files: {
      'src/broker/first.ts': "import type { Second } from './second.ts';\nexport interface First { second: Second }",
      'src/broker/second.ts': "import type { First } from './first.ts';\nexport interface Second { first: First }",
    },
  },
  {
    title: 'a barrel is imported from inside',
    rule: 'no-barrel-inside',
    files: { 'src/client/bad-barrel.ts': "import './index.ts';" },
  },
  {
    title: 'what a browser loads reaches Node and ws',
    rule: 'browser-without-node',
    from: 'src/browser.ts',
    files: {
      'src/browser.ts': "export { s } from './client/bad-browser.ts';",
      'src/client/bad-browser.ts':
        "export { a } from '../transports/tcp.ts';\nexport { WebSocket as s } from '../transports/websocket.ts';",
    },
  },
  {
    title: 'an example imports a private file',
    rule: 'examples-are-users',
    files: { 'examples/bad-private.ts': "import '../src/server/listener.ts';" },
  },
  {
    title: 'what is published imports a test',
    rule: 'no-test-in-product',
    files: { 'src/bad-test.ts': "import '../test/flow.test.ts';" },
  },
  {
    title: 'a folder that is no layer',
    rule: 'every-folder-is-a-layer',
    files: { 'src/misc/a.ts': "import '../base/errors.ts';" },
  },
  {
    title: 'a third level of folders',
    rule: 'two-levels',
    files: { 'src/base/bad-deep.ts': "import './deep/a.ts';", 'src/base/deep/a.ts': 'export {};' },
  },
  {
    title: 'an import that leads nowhere',
    rule: 'resolvable',
    files: { 'src/base/bad-gone.ts': "import './gone.ts';" },
  },
];

interface Violation {
  readonly rule: { readonly name: string };
  readonly from: string;
  readonly to: string;
}

/** The violations that the layer check finds in a copy of the project that holds these files. */
function violations(files: Readonly<Record<string, string>>): Violation[] {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-layers-'));
  try {
    mkdirSync(join(folder, 'scripts'));
    for (const path of CONFIGURATION) cpSync(join(ROOT, path), join(folder, path));
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction');
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), `${text}\n`);
    }
    const program = join(ROOT, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
    const args = [program, '--config', '.dependency-cruiser.mjs', '--output-type', 'json', 'src', 'test', 'examples'];
    const result = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 26 });
    assert.equal(result.stderr, '');
    const report = JSON.parse(result.stdout) as { summary: { violations: Violation[] } };
    return report.summary.violations;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function text(violation: Violation): string {
  return `${violation.rule.name}: ${violation.from} -> ${violation.to}`;
}

describe('the layer check', () => {
  const everything: Record<string, string> = { ...CLEAN };
  let found: Violation[] = [];

  before(() => {
    for (const { files } of PLANTED) Object.assign(everything, files);
    found = violations(everything);
  });

  test('finds nothing in a project that keeps the rules', () => {
    assert.deepEqual(violations(CLEAN).map(text), []);
  });

  for (const { title, rule, from, files } of PLANTED) {
    test(`catches: ${title}`, () => {
      const blamed = from ?? Object.keys(files)[0];
      const ofFile = found.filter((violation) => violation.from === blamed);
      assert.ok(
        ofFile.some((violation) => violation.rule.name === rule),
        `${rule} does not blame ${blamed}, only:\n${ofFile.map(text).join('\n')}`,
      );
    });
  }

  test('names both of what a browser must not load', () => {
    const reached = found.filter((violation) => violation.rule.name === 'browser-without-node').map((v) => v.to);
    assert.ok(reached.includes('net') || reached.includes('node:net'), reached.join());
    assert.ok(
      reached.some((to) => to.includes('node_modules/ws/')),
      reached.join(),
    );
  });

  test('blames only files that were planted', () => {
    const planted = new Set(PLANTED.flatMap(({ files }) => Object.keys(files)));
    assert.deepEqual(found.filter((violation) => !planted.has(violation.from)).map(text), []);
  });
});
