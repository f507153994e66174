// The addon for other systems than this one: what it is called, and what is said where it cannot be built.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostTarget, TARGETS } from '../../scripts/native-targets.mjs';
import { targetName } from '../../src/native/binding.ts';

function build(...args: string[]): { status: number | null; stderr: string } {
  const env = { ...process.env, PATH: '/nowhere', CXX: '', ZIG: '' };
  return spawnSync(process.execPath, [join(process.cwd(), 'scripts', 'build-native.mjs'), ...args], {
    env,
    encoding: 'utf8',
  });
}

test('an addon is looked for under the name that it is built under', () => {
  const report: unknown = process.platform === 'linux' ? process.report?.getReport() : undefined;
  assert.equal(hostTarget(), targetName(process.platform, process.arch, report));
  for (const name of Object.keys(TARGETS)) {
    const [platform = '', arch = '', library] = name.split('-');
    assert.equal(
      targetName(platform, arch, { header: library === 'musl' ? {} : { glibcVersionRuntime: '2.36' } }),
      name,
    );
  }
});

test('a compiler that is missing for another system is named, and is a failure only where it is required', () => {
  const lenient = build('--target', 'win32-x64');
  assert.equal(lenient.status, 0);
  assert.match(lenient.stderr, /^warning: no compiler for win32-x64[^\n]*\n$/);
  assert.equal(build('--target', 'win32-x64', '--require').status, 1);
});

test('a target that is none is a failure that says which there are', () => {
  const { status, stderr } = build('--target', 'amiga');
  assert.equal(status, 1);
  assert.match(stderr, /^build-native: no target is called 'amiga'; there are: linux-x64, [^\n]*\n$/);
});

test('on Windows the addon looks for the functions of Node-API that it calls, and for no others', () => {
  const folder = join(process.cwd(), 'native', 'addon');
  const text = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const found = (source: string, pattern: RegExp): string[] =>
    [...new Set([...source.matchAll(pattern)].map(([, name]) => name ?? ''))].sort();
  const others = readdirSync(folder).filter((name) => name !== 'windows-host.cc');
  const called = found(others.map(text).join('\n'), /\b(napi_\w+)\(/g);
  assert.ok(called.length > 20);
  assert.deepEqual(found(text('windows-host.cc'), /\bone\((napi_\w+)\)/g), called);
});
