// The examples of README and documents are programs. Here they are run as a user would run them.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readDocument, runnableBlocks, UserProject } from './runnable-blocks.ts';

const ROOT = process.cwd();

describe('code blocks of documents', () => {
  let project: UserProject;
  before(() => {
    project = new UserProject(ROOT);
  });
  after(() => project.remove());

  test('only blocks that are marked run, with the output that follows them', () => {
    const text = '```ts\na\n```\n```js run\nb\nc\n```\ntext\n```text output\nd\n```\n```sh run\ne\n```\n';
    assert.deepEqual(runnableBlocks(text), [
      { language: 'js', line: 4, text: 'b\nc\n', output: 'd\n' },
      { language: 'sh', line: 12, text: 'e\n', output: undefined },
    ]);
  });

  test('a block in a language that cannot be run is refused', () => {
    assert.throws(() => runnableBlocks('```python run\n```\n'), /line 1/);
  });

  test('each language runs', () => {
    const typed = 'const n: number = 1;\nconsole.log(n);\n';
    assert.equal(project.run({ language: 'ts', line: 1, text: typed, output: undefined }), '1\n');
    assert.equal(project.run({ language: 'js', line: 2, text: 'console.log(2);', output: undefined }), '2\n');
    assert.equal(project.run({ language: 'sh', line: 3, text: 'echo 3', output: undefined }), '3\n');
  });

  test('a block that fails is a failure that names its line', () => {
    const fails = (language: 'ts' | 'js' | 'sh', text: string) => () =>
      project.run({ language, line: 7, text, output: undefined });
    assert.throws(fails('js', 'throw new Error("no");'), /line 7 ended with 1/);
    assert.throws(fails('sh', 'false; true'), /line 7 ended with 1/);
    assert.throws(fails('ts', 'const n: number = "x"; console.log(n);'), /line 7 ended[^]*TS2322/);
  });
});

const documents = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

test('the README has examples that can be run', () => {
  assert.ok(runnableBlocks(readDocument(ROOT, 'README.md')).length > 0, 'no block of README.md is marked `run`');
});

for (const name of documents) {
  const blocks = runnableBlocks(readDocument(ROOT, name));
  if (blocks.length === 0) continue;
  describe(name, () => {
    let project: UserProject;
    before(() => {
      project = new UserProject(ROOT);
    });
    after(() => project.remove());

    for (const block of blocks) {
      test(`the ${block.language} block of line ${block.line} does what it says`, () => {
        const printed = project.run(block);
        if (block.output !== undefined) assert.equal(printed, block.output);
      });
    }
  });
}
